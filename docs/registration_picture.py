"""Make the picture of the dock *Registration*: ``python docs/registration_picture.py PAIRS`` with a pairs file.

PAIRS is what ``pathsrgan register PAIRS FOLDER`` writes, and FOLDER what ``pathsrgan phantom FOLDER`` writes. Opens a
real window, on a virtual screen where there is none.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import napari
from PIL import Image
from qtpy.QtWidgets import QApplication

from napari_pathsrgan.plugin.registration.registration_widget import RegistrationWidget
from napari_pathsrgan.plugin.widgets.screen import some_screen

OUT = Path(__file__).parent / "images" / "registration.jpg"


def main() -> None:
    """Open, wait, photograph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    pairs: Path = parser.parse_args().pairs
    with some_screen():
        viewer = napari.Viewer(title=f"{pairs.name} · PathSRGAN")
        viewer.window.resize(1500, 900)
        dock = RegistrationWidget(viewer, pairs)
        viewer.window.add_dock_widget(dock, name="Registration", area="right")
        while not dock.layers:
            QApplication.processEvents()
            time.sleep(0.01)
        viewer.fit_to_view()
        QApplication.processEvents()
        Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3]).save(OUT, quality=88)
        viewer.close()


if __name__ == "__main__":
    main()
