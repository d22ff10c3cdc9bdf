"""Networks and their weights: tensors in, tensors out.

`card` and `zoo` read what a checkpoint says of itself without torch, so that a window can list models at once.
"""
