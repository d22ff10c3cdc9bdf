"""The dock *Registration*."""
