"""``pathsrgan VERB``: parse, call one function, print. No logic of its own.

Nothing heavy is imported before the verb that needs it runs: ``pathsrgan info`` loads neither torch nor napari.
"""

from __future__ import annotations

from napari_pathsrgan.commands.app import main

__all__ = ["main"]
