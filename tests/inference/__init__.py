"""Tests of the inference room; a package, so that they can share `networks` and `specimens`."""
