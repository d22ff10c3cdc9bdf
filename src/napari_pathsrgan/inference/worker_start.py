"""Entry point of the inference process: it ties its life to its parent's, and only then begins the slow imports.

``python -P -m napari_pathsrgan.inference.worker_start PARENT BUFFER DEVICE PRECISION RUNTIME THREADS``
"""

from __future__ import annotations

import sys

from napari_pathsrgan.child_processes import die_with_parent


def main() -> None:
    """Serve the process whose number is the first argument; see `worker.main` for the others."""
    parent, *arguments = sys.argv[1:]
    die_with_parent(int(parent))
    from napari_pathsrgan.inference.worker import main as serve

    serve(*arguments)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
