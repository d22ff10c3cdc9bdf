"""A screen to open the window on: the user's, or a virtual one where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from qtpy.QtWidgets import QApplication

from napari_pathsrgan.errors import ScreenError

VIRTUAL_SIZE = "1920x1080x24"


def has_screen() -> bool:
    """Whether Qt can open a window here; only Linux runs without one."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def some_screen() -> Iterator[bool]:
    """Provide a screen for as long as the context lasts.

    Yields
    ------
    bool
        True for the user's own, False for a virtual one (Xvfb: Qt's offscreen platform has no OpenGL, and napari's
        canvas needs it).

    Raises
    ------
    ScreenError
        If there is neither.
    """
    if has_screen():
        yield True
        return
    program = shutil.which("Xvfb")
    if program is None:
        raise ScreenError(
            "There is no screen here, and no virtual one either.",
            "Install Xvfb (Debian: apt-get install xvfb libgl1-mesa-dri), or run this where there is a screen.",
        )
    reader, writer = os.pipe()
    # -terminate: it ends by itself when the last window's process has, and not before, which Qt would not survive.
    command = [program, "-displayfd", str(writer), "-screen", "0", VIRTUAL_SIZE, "-nolisten", "tcp", "-terminate"]
    server = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader) as told:
            number = told.readline().strip()  # empty when the server ends without a display
        if not number:
            raise ScreenError("The virtual screen (Xvfb) does not start.", "Run `pathsrgan doctor` to see why.")
        os.environ["DISPLAY"] = f":{number}"
        yield False
    finally:
        if QApplication.instance() is None:
            os.environ.pop("DISPLAY", None)
            server.terminate()
            server.wait()
