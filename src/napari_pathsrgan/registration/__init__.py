"""Three scans of one glass slide → matched patches: what each shows where, to a small part of a pixel.

`coarse` finds how two scans lie on each other as a whole, `fine` does so patch by patch, `pairs` keeps the patches and
`accuracy` says how good they are (Ma et al. 2020, § III-B).
"""
