"""A model at work on a slide: in this process, in one of its own, or on demand for a window."""
