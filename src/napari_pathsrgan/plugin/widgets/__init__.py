"""Widgets that several docks use: text, messages, layouts, dialogs."""
