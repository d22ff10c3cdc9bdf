"""A screen to open the window on: the user's, or a virtual one where there is none."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qtpy.QtWidgets import QApplication

from napari_pathsrgan.errors import ScreenError
from napari_pathsrgan.private_files import open_private

VIRTUAL_SIZE = "1920x1080x24"
_EVERY_HOST = 0xFFFF
"""Family of addresses in an authority file that stands for all of them."""


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
    before = os.environ.get("XAUTHORITY")
    reader, writer = os.pipe()
    authority = _write_authority()
    # -terminate: it ends by itself when the last window's process has, and not before, which Qt would not survive.
    command = [program, "-displayfd", str(writer), "-screen", "0", VIRTUAL_SIZE, "-nolisten", "tcp", "-terminate"]
    command += ["-auth", str(authority)]
    server = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader) as answer:
            number = answer.readline().strip()  # empty when the server ends without a display
        if not number:
            raise ScreenError("The virtual screen (Xvfb) does not start.", "Run `pathsrgan doctor` to see why.")
        os.environ |= {"DISPLAY": f":{number}", "XAUTHORITY": str(authority)}
        yield False
    finally:
        if QApplication.instance() is None:
            os.environ.pop("DISPLAY", None)
            _restore("XAUTHORITY", before)
            server.terminate()
            server.wait()


def _write_authority() -> Path:
    """Write the file with the key that the virtual screen wants of every program; it goes when this process ends.

    One entry of the format that libXau documents (Xau.h): it fits all displays, since the screen's number comes later.
    """
    folder = Path(tempfile.mkdtemp(prefix="pathsrgan-screen-"))  # for this user alone
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    fields = (b"", b"", b"MIT-MAGIC-COOKIE-1", secrets.token_bytes(16))  # address, number, name, key
    entry = struct.pack(">H", _EVERY_HOST) + b"".join(struct.pack(">H", len(field)) + field for field in fields)
    with open_private(folder / "Xauthority", "wb") as file:
        file.write(entry)
    return folder / "Xauthority"


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
