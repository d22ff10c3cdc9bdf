"""Synthetic slides whose truth is known.

`cells` makes a specimen of stained cervical cells of any size from a seed, `optics` images it through an objective and
a sensor, `scanner` writes the scans of one specimen at 4×, 10× and 20× as slide files with their truth.
"""
