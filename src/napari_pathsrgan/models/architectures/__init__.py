"""The networks: one module for each, which holds one `models.architecture.Architecture` called ``ARCHITECTURE``.

A module's name is the network's. docs/extending.md says how to add one.
"""
