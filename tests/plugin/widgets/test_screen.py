"""The virtual screen lets in only programs that know its key."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux runs without a screen")

_SCREEN = """
import os, socket, stat, struct, subprocess, sys
from pathlib import Path
from napari_pathsrgan.plugin.widgets.screen import some_screen

KNOCK = '''
import os, socket, sys
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
answers = []
for place in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(place.replace("@", chr(0)))
        one.sendall(b"l" + bytes([0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
        answers.append(one.recv(1)[0])
print(answers)
'''

with some_screen() as real:
    number = os.environ["DISPLAY"].lstrip(":")
    authority = Path(os.environ["XAUTHORITY"])
    places = [f"/tmp/.X11-unix/X{number}", f"@/tmp/.X11-unix/X{number}"]
    from qtpy.QtGui import QGuiApplication
    application = QGuiApplication(sys.argv)
    knock = subprocess.run([sys.executable, "-I", "-c", KNOCK, *places], capture_output=True, text=True, cwd="/")
    print(real, oct(authority.stat().st_mode & 0o777), oct(authority.parent.stat().st_mode & 0o777))
    print(knock.stdout.strip() or knock.stderr)
    print(application.primaryScreen().size().width(), flush=True)
    del application
print(os.environ.get("DISPLAY"), os.environ.get("XAUTHORITY"))
"""


def test_programs_without_its_key_are_refused_and_ours_is_let_in() -> None:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "QT_QPA_PLATFORM")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, "-c", _SCREEN], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    refused = 0  # of the X protocol's answers to a program that connects; 1 lets it in
    assert done.stdout.splitlines() == [
        "False 0o600 0o700",
        str([refused] * 2),
        "1920",
        "None None",
    ], done.stderr
