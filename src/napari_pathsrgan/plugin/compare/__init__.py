"""Images of one place compared on the canvas: modes, labels, keys, capture."""
