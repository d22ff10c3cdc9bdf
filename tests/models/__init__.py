"""Tests of the models room; a package, so that they can share `authors_network`."""
