"""Disturb exports in every way that happens, and count how each ends: bit-equal to an undisturbed one, or an error.

``python benchmarks/export_faults.py``: two exports to one output at once, SIGKILL at random moments and the same
command again, an output folder moved away while it fills, and a full disk (a small tmpfs as root; else a limit on the
size of files). Each export is a fork of this process, which has imported everything and computed nothing. Exits with 1
if one export ended with other pixels, or with a code that it must not have.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tifffile
import torch

import napari_pathsrgan.inference.engine
import napari_pathsrgan.inference.export_checks
import napari_pathsrgan.inference.local_cluster
import napari_pathsrgan.inference.whole_slide
import napari_pathsrgan.slides.open_slide  # noqa: F401 (all of these before the process is forked)
from napari_pathsrgan.commands.app import main as pathsrgan
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import save_generator

WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "plain": (".ome.zarr", ()),
    "sharded": (".ome.zarr", ("--sharded",)),
    "workers": (".ome.zarr", ("--workers", "2")),
    "TIFF": (".ome.tiff", ()),
}
REFUSED = 2
_SMALL_NETWORK = {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}
_FULL_SHARE, _ROOMY_BYTES = 0.4, 64 << 20
"""Of an output, what a full disk has room for."""
_FILE_LIMIT_BYTES = 20_000


class Exports:
    """Runs `pathsrgan upscale` on one slide with a small network.

    Parameters
    ----------
    folder : Path
        For the slide, the model and all outputs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._slide, self._model = _write_slide(folder / "slide.tif"), folder / "small.safetensors"
        torch.manual_seed(0)
        card = ModelCard(name="small", preset="lite", preset_options=_SMALL_NETWORK)
        save_generator(build_generator("lite", **_SMALL_NETWORK), card, self._model)
        self.undisturbed: dict[str, dict[str, bytes]] = {}
        self.seconds: dict[str, float] = {}

    def start(self, way: str, out: Path, file_limit: int | None = None) -> int:
        """Begin an export in a process of its own; returns its number."""
        child = os.fork()
        if child:
            return child
        os.setpgid(0, 0)
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
        with (self.folder / "log.txt").open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        torch.set_num_threads(1)
        options = ("--model", self._model, "--device", "cpu", "--precision", "fp32", "--backend", "torch")
        os._exit(pathsrgan(list(map(str, ("upscale", self._slide, out, *options, *WAYS[way][1])))))

    def run(self, way: str, out: Path, file_limit: int | None = None) -> int:
        """Run an export to its end; returns its exit code."""
        return ended(self.start(way, out, file_limit))

    def measure(self, way: str) -> None:
        """Export undisturbed, for what the others are compared with, and how long they take."""
        out = self.folder / f"undisturbed{WAYS[way][0]}"
        began = time.monotonic()
        if self.run(way, out):
            sys.exit((self.folder / "log.txt").read_text())
        self.seconds[way], self.undisturbed[way] = time.monotonic() - began, content(out)
        remove(out)

    def is_equal(self, way: str, out: Path) -> bool:
        """Whether an output holds what an undisturbed export holds, and nothing else; says what differs."""
        here, wanted = content(out), self.undisturbed[way]
        other = sorted(name for name in here.keys() | wanted.keys() if here.get(name) != wanted.get(name))
        if other:
            print(f"{out.name} differs in {len(other)} of {len(wanted)} files, such as {other[0]}", file=sys.stderr)
        return not other


def _write_slide(path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(60, 240, (40, 50, 3), np.uint8).repeat(12, 0).repeat(12, 1)
    size = {"resolution": (1e4 / 1.465,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb", metadata=None, **size)
    return path


def content(out: Path) -> dict[str, bytes]:
    """All files of an output by their names in it."""
    if not out.exists():
        return {}
    files = [out] if out.is_file() else sorted(path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def ended(process: int) -> int:
    """Wait for a process; returns its exit code, negative where a signal ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def remove(out: Path) -> None:
    """Remove an output and what lies beside it."""
    for path in (*out.parent.glob(f"{out.name}*"), *out.parent.glob(f".{out.name}*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def leftovers(out: Path) -> list[str]:
    """What lies beside an output that belongs to it: nothing may."""
    return [path.name for path in (*out.parent.glob(f"{out.name}?*"), *out.parent.glob(f".{out.name}*"))]


def at_once(exports: Exports, way: str, _chance: random.Random) -> str:
    """Two exports to one output: one is complete, the other refused or complete as well."""
    out = exports.folder / f"twice{WAYS[way][0]}"
    codes = sorted(ended(process) for process in [exports.start(way, out), exports.start(way, out)])
    good = codes in ([0, 0], [0, REFUSED]) and exports.is_equal(way, out) and not leftovers(out)
    remove(out)
    return "one is refused, the output equal" if good else f"WRONG: codes {codes}"


def kill(exports: Exports, way: str, chance: random.Random) -> str:
    """SIGKILL at a random moment, then the same command again."""
    out = exports.folder / f"killed{WAYS[way][0]}"
    process = exports.start(way, out)
    time.sleep(chance.uniform(0, exports.seconds[way]))
    os.kill(process, signal.SIGKILL)
    killed = ended(process) == -signal.SIGKILL
    if not killed or _is_complete(way, out):  # killed as it removed the tiles of a finished output, at the latest
        code, good = 0, exports.is_equal(way, out)
    else:
        code = exports.run(way, out)
        good = code == 0 and exports.is_equal(way, out) and not leftovers(out)
    remove(out)
    return ("resumed, equal" if killed else "too late to kill") if good else f"WRONG: code {code}"


def _is_complete(way: str, out: Path) -> bool:
    """Whether an output is there that is not gone on with."""
    return out.exists() and way in ("sharded", "TIFF")


def move(exports: Exports, way: str, chance: random.Random) -> str:
    """The folder that fills is moved away at a random moment, and brought back."""
    out = exports.folder / f"moving{WAYS[way][0]}"
    filling = out if way in ("plain", "workers") else out.with_name(f"{out.name}.tiles")
    elsewhere = exports.folder / "elsewhere"
    process = exports.start(way, out)
    while not filling.exists():
        time.sleep(0.002)
    time.sleep(chance.uniform(0, exports.seconds[way] / 2))
    with contextlib.suppress(FileNotFoundError):  # finished already
        filling.rename(elsewhere)
    code = ended(process)
    if code == 0:  # it was complete when it was moved, or finished before
        good = exports.is_equal(way, elsewhere if elsewhere.exists() else out)
    else:
        good = code == REFUSED and not out.exists()
        elsewhere.rename(filling)
        good = good and exports.run(way, out) == 0 and exports.is_equal(way, out) and not leftovers(out)
    remove(out)
    shutil.rmtree(elsewhere, ignore_errors=True)
    return ("complete before" if code == 0 else "refused; equal once it is back") if good else f"WRONG: code {code}"


def full_disk(exports: Exports, way: str, _chance: random.Random) -> str:
    """No room for the whole output, then room."""
    n_bytes = round(_FULL_SHARE * sum(map(len, exports.undisturbed[way].values())))
    with _small_disk(exports.folder, n_bytes) as (disk, make_room):
        out = disk / f"case{WAYS[way][0]}"
        limit = None if make_room else _FILE_LIMIT_BYTES
        code = exports.run(way, out, limit)
        whole = _is_complete(way, out)
        if make_room:
            make_room()
        good = code == REFUSED and not whole and exports.run(way, out) == 0 and exports.is_equal(way, out)
        good = good and not leftovers(out)
        remove(out)
    return "refused; equal once there is room" if good else f"WRONG: code {code}"


@contextlib.contextmanager
def _small_disk(folder: Path, n_bytes: int) -> Iterator[tuple[Path, Callable[[], None] | None]]:
    """Mount a small disk; without root, give a plain folder and nothing to make room with."""
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield disk, None
        return
    larger = ["mount", "-o", f"remount,size={_ROOMY_BYTES}", str(disk)]
    try:
        yield disk, lambda: subprocess.run(larger, check=True) and None
    finally:
        subprocess.run(["umount", str(disk)], check=True)


FAULTS = {"two at once": (at_once, 12), "killed": (kill, 10), "moved away": (move, 5), "full disk": (full_disk, 2)}


def main() -> int:
    """Print one row per fault and way of exporting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, help="of each fault; by default 12, 10, 5 and 2")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=list(FAULTS))
    options = parser.parse_args()
    wrong, chance = 0, random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        exports = Exports(Path(folder))
        for way in options.ways:
            exports.measure(way)
            for name in options.faults:
                disturb, usual = FAULTS[name]
                outcomes = [disturb(exports, way, chance) for _ in range(options.tries or usual)]
                counts = {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}
                print(
                    f"{name:12} {way:10} " + "; ".join(f"{count} × {what}" for what, count in counts.items()),
                    flush=True,
                )
                wrong += sum(outcome.startswith("WRONG") for outcome in outcomes)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
