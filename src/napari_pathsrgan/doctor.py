"""What this machine has and lacks, each lack with its remedy.

Qt and OpenGL are tried in a process of their own: a driver that crashes takes that process with it, not the answer.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from napari_pathsrgan.child_processes import child_environment, python_command
from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.models.card import read_card
from napari_pathsrgan.models.zoo import available_models
from napari_pathsrgan.slides.slide_kind import READ_BY

LEAST_FREE_BYTES = 2_000_000_000
"""Below it the disk cache is called short of room (a square centimetre at 20× is 3.5 GB before compression)."""
PATIENCE_S = 120
"""Seconds that Qt and OpenGL may take to start."""
_ANEW = "Install it anew: pip install --force-reinstall napari-pathsrgan"

Need = Literal["all", "window", "speed", "command"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked for.

    Attributes
    ----------
    topic, name : str
        Where it belongs and what it is.
    found : str
        What there is, or what went wrong.
    ok : bool
    need : {"all", "window", "speed", "command"}
        What does not work without it: everything, the window alone, nothing, only slower, or some commands.
    remedy : str
        What to do; empty where all is well.
    """

    topic: str
    name: str
    found: str
    ok: bool = True
    need: Need = "all"
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Examination:
    """All findings.

    Attributes
    ----------
    findings : tuple of Finding
    """

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is missing that every use needs."""
        return all(finding.ok or finding.need != "all" for finding in self.findings)


def examine() -> Examination:
    """Look at devices, readers, screen, weights and cache.

    Returns
    -------
    Examination
    """
    groups = {"Device": _devices, "Reader": _readers, "Window": _window, "Weights": _weights, "Cache": _cache}
    return Examination(tuple(finding for topic, look in groups.items() for finding in _look(topic, look)))


def _look(topic: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Go through a group; a part of this package that can't be loaded ends the group, not the examination."""
    try:
        yield from look()
    except ImportError as error:
        yield Finding(topic, "napari-pathsrgan", _last_line(str(error)), False, remedy=_ANEW)


def _devices() -> Iterator[Finding]:
    topic = "Device"
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding(topic, "torch", _last_line(str(error)), False, remedy="Install it: pip install torch")
        return
    from napari_pathsrgan.inference.backend import BACKENDS
    from napari_pathsrgan.inference.engine import choose_device, default_threads

    yield Finding(topic, "torch", torch.__version__)
    for index in range(torch.cuda.device_count()):
        yield Finding(topic, f"cuda:{index}", torch.cuda.get_device_name(index))
    if torch.backends.mps.is_available():
        yield Finding(topic, "mps", "Apple graphics")
    yield Finding(topic, "cpu", f"{os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}")
    yield Finding(topic, "chosen by itself", str(choose_device()))
    fast_bf16 = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    yield Finding(topic, "bf16 on the CPU", "supported" if fast_bf16 else "not supported", need="speed")
    for backend in BACKENDS.all():
        missing = backend.missing()
        found = f"{missing.problem} {missing.remedy}" if missing else backend.limits
        yield Finding(topic, f"backend {backend.name}", found, need="speed")
    yield Finding(topic, "NNCF", _speed_package("nncf", "makes int8 previews possible"), need="speed")
    yield Finding(topic, "threads for networks", str(default_threads()))


def _speed_package(package: str, use: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return f"not installed; pip install 'napari-pathsrgan[openvino]' {use}"


def _readers() -> Iterator[Finding]:
    for package, module in (
        ("openslide-python", "openslide"),
        ("imagecodecs", "imagecodecs"),
        ("simplejpeg", "simplejpeg"),
        ("tifffile", "tifffile"),
        ("zarr", "zarr"),
    ):
        suffixes = ", ".join(suffix[1:].upper() for suffix in READ_BY.get(module, ()))
        files = suffixes or {"simplejpeg": "JPEG in TIFFs", "tifffile": "writing TIFFs"}[module]
        try:
            loaded = importlib.import_module(module)
            found = f"{version(package)}: {files}"
        except (ImportError, OSError, PackageNotFoundError) as error:
            yield Finding("Reader", module, _last_line(str(error)), False, remedy=f"Install it: pip install {package}")
            continue
        if module == "openslide":
            found = f"{version(package)} with OpenSlide {loaded.__library_version__}: {files}"
        yield Finding("Reader", module, found)


def _window() -> Iterator[Finding]:
    """Start Qt and OpenGL elsewhere; tell how far that came."""
    try:
        yield Finding("Window", "napari", version("napari"), need="window")
    except PackageNotFoundError:
        yield Finding("Window", "napari", "not installed", False, "window", "Install it: pip install napari")
    try:
        probe = subprocess.run(
            python_command("-c", _PROBE),
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        answers, complaint = probe.stdout, _last_line(probe.stderr) or f"ended with code {probe.returncode}"
    except subprocess.TimeoutExpired:
        answers, complaint = "", f"no answer within {PATIENCE_S} s"
    found: dict[str, str] = {}
    for line in answers.splitlines():
        with contextlib.suppress(ValueError, TypeError):
            found |= json.loads(line)
    for name, remedy in _REMEDIES.items():
        if name not in found:
            yield Finding("Window", name, complaint, False, "window", remedy)
            return
        yield Finding("Window", name, found[name], need="window")


_PROBE = """
import json, os

def tell(name, found):
    print(json.dumps({name: found}), flush=True)

from qtpy import API_NAME, QtCore, QtGui, QtWidgets
tell("Qt", f"{API_NAME}, Qt {QtCore.qVersion()}")

from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.plugin.widgets.screen import some_screen
try:
    with some_screen() as real:
        tell("screen", "yes" if real else "none; Xvfb stands in")
        app = QtWidgets.QApplication([])
        tell("Qt's platform", app.platformName())
        surface = QtGui.QOffscreenSurface()
        surface.create()
        context = QtGui.QOpenGLContext()
        if not (context.create() and context.makeCurrent(surface)):
            raise SystemExit("Qt gets no OpenGL context")
        from OpenGL import GL
        tell("OpenGL", ", ".join(GL.glGetString(what).decode() for what in (GL.GL_VERSION, GL.GL_RENDERER)))
except PathSRGANError as error:
    raise SystemExit(error.problem)
"""

_REMEDIES = {
    "Qt": "Install a binding: pip install 'napari-pathsrgan[all]'",
    "screen": "Log in to a desktop, or install xvfb.",
    "Qt's platform": "Install the libraries that Qt needs; ./run names those that are missing.",
    "OpenGL": "Install libgl1, libegl1 and libgl1-mesa-dri, or the graphics card's driver.",
}
"""What to do where the probe gets no further than to this."""


def _weights() -> Iterator[Finding]:
    models = available_models()
    for name, path in models.items():
        try:
            card = read_card(path)
        except PathSRGANError as error:
            yield Finding("Weights", name, error.problem, False, "window", error.remedy)
            continue
        yield Finding("Weights", name, f"{card.preset}, {card.mpp_in:g} → {card.mpp_hr:g} µm/px, {path}")
    if not models:
        yield Finding(
            "Weights",
            "models",
            "none",
            False,
            remedy="Install napari-pathsrgan anew, or train one: pathsrgan train --help",
        )


def _cache() -> Iterator[Finding]:
    from napari_pathsrgan.inference.cache_folder import cache_settings, default_folder

    folder, settings = default_folder(), cache_settings()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    kept = f"up to {settings.max_bytes / 1e9:g} GB are kept" if settings.keep else "nothing is kept"
    found, remedy = f"{folder}, {free / 1e9:.0f} GB free; {kept}", ""
    if not os.access(there, os.W_OK):
        found, remedy = f"{folder}, not writable", "Set PATHSRGAN_CACHE to a folder of your own."
    elif free < LEAST_FREE_BYTES:
        remedy = "Free some space, or set PATHSRGAN_CACHE to a folder on another disk."
    yield Finding("Cache", "folder", found, not remedy, "speed", remedy)


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
