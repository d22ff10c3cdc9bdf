"""Pixels in and out: slide files as pixels with a place in µm, and the pyramid store that results fill."""
