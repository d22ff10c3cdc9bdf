"""What computes networks: one module for each backend, which holds one `inference.backend.Backend` called ``BACKEND``.

A module's name is the backend's. docs/extending.md says how to add one.
"""
