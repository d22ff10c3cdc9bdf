"""Tests of the slides room; a package, so that they can share `synthetic`."""
