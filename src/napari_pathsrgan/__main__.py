"""``python -m napari_pathsrgan`` is ``pathsrgan``."""

from __future__ import annotations

import sys

from napari_pathsrgan.commands.app import main

if __name__ == "__main__":
    sys.exit(main())
