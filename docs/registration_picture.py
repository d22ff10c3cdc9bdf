"""Make the picture of a registration: ``python docs/registration_picture.py FOLDER`` with a folder of three scans.

FOLDER is what ``pathsrgan phantom FOLDER`` writes. Opens a real window, on a virtual screen where there is none.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import napari
from PIL import Image

from napari_pathsrgan.plugin.registration_view import show_registration
from napari_pathsrgan.plugin.screen import some_screen
from napari_pathsrgan.registration.fine import register_slides
from napari_pathsrgan.slides.open_slide import open_slide

OUT = Path(__file__).parent / "images" / "registration.jpg"


def main() -> None:
    """Register, show, photograph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    slides = [open_slide(folder / f"{power}x.tiff") for power in (4, 10, 20)]
    found = register_slides(*slides)
    with some_screen():
        viewer = napari.Viewer()
        viewer.window.resize(1500, 900)
        _, board, _, _ = show_registration(viewer, slides[0], slides[2], found.patches)
        board.visible = True
        viewer.reset_view()
        OUT.parent.mkdir(exist_ok=True)
        Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3]).save(OUT, quality=88)
        viewer.close()
    for slide in slides:
        slide.close()


if __name__ == "__main__":
    main()
