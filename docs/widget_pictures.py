"""Pictures of widgets, for the scripts that make the documentation's."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from qtpy.QtWidgets import QApplication, QWidget

IMAGES = Path(__file__).parent / "images"
NARROW_PX = 320
"""Docks are made to be whole at this width."""

_GAP_PX = 12


def until(condition: Callable[[], object], patience_s: float = 300.0) -> None:
    """Let the window live until something is true."""
    end = time.monotonic() + patience_s
    while not condition():
        QApplication.processEvents()
        time.sleep(0.01)
        if time.monotonic() > end:
            raise TimeoutError


def settle(seconds: float = 0.6) -> None:
    """Let timers run and the window draw."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def picture(widget: QWidget) -> Image.Image:
    """A widget as it looks now."""
    settle()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "widget.png"
        widget.grab().save(str(path))
        return Image.open(path).convert("RGB")


def write(image: Image.Image, name: str) -> None:
    """Write a picture of the documentation."""
    path = IMAGES / f"{name}.jpg"
    image.save(path, quality=88)
    print(path)


def beside(pictures: list[Image.Image], name: str) -> None:
    """Write pictures beside each other."""
    width = sum(one.width + _GAP_PX for one in pictures) - _GAP_PX
    whole = Image.new("RGB", (width, max(one.height for one in pictures)), "white")
    left = 0
    for one in pictures:
        whole.paste(one, (left, 0))
        left += one.width + _GAP_PX
    write(whole, name)
