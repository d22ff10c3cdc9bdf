"""What a machine with a CUDA device makes of this package, in one command and within some minutes.

``python benchmarks/gpu.py --out RESULTS DATA --minutes 10`` runs the tests marked ``cuda``; compares tiles and
precisions with the CPU; times `lite` and `paper` in every precision and memory layout at several batch sizes, and the
export of a whole slide; and trains with the time that is left, on DATA: a pairs file, or a folder of sharp fields.
RESULTS gets ``results.json`` after every part, and from the training weights, metrics, settings and, where it is small,
the checkpoint to go on from. A part that fails says so in ``results.json``, and the exit code is then 1.

``--dry-run`` does all of it at a tiny size on the CPU.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
import torch
from exactness import apart, fast_precisions, random_generator
from measure import load, machine, say

from napari_pathsrgan.inference.engine import Engine, choose_device
from napari_pathsrgan.inference.super_resolved import super_resolve
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import load_generator, save_generator
from napari_pathsrgan.models.zoo import RUN_FOLDER_FILE, find_model
from napari_pathsrgan.phantom.field_image import phantom_field
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.tiles.grid import CORE
from napari_pathsrgan.training.config import RunOptions, TrainingConfig
from napari_pathsrgan.training.run_folder import CONFIG_FILE, METRICS_FILE, SAMPLES_FOLDER, STATE_FILE
from napari_pathsrgan.training.session import train

RESULTS_FILE = "results.json"
MOST_FILE_BYTES = 16_000_000
NO_CUDA = "There is no CUDA device here: nothing was measured. Use --dry-run to try the parts on the CPU."
_TESTS = ("tests/inference/test_devices.py", "tests/training/test_devices.py")
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_SCAN_MPP = 1.465
_SURROUND_PX = 64


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Attributes
    ----------
    seconds : dict of str to float
        Most that a part before the training may take.
    reserve_s : float
        Kept for writing results after the training.
    timing_s : float
        For how long a network is timed in one setting.
    side_px : int
        Of the windows that networks are timed on: a block and its halo.
    blocks : int
        Blocks along a side of the image that tiles are compared on.
    batches : tuple of int
    slide_px : int
        Of the slide that is exported, 4× pixels.
    trial_steps : int
        Of the training that is timed before the training.
    preset_options : dict of str to dict
        Of the networks with random weights, by preset.
    """

    seconds: dict[str, float] = field(
        default_factory=lambda: {"tests": 150.0, "exactness": 60.0, "throughput": 75.0, "export": 60.0}
    )
    reserve_s: float = 20.0
    timing_s: float = 0.4
    side_px: int = CORE + 32
    blocks: int = 3
    batches: tuple[int, ...] = (1, 4, 16, 64)
    slide_px: int = 4096
    trial_steps: int = 200
    preset_options: dict[str, dict[str, int]] = field(default_factory=lambda: {"paper": {}})


TINY = Size(
    seconds={},
    reserve_s=1.0, timing_s=0.0, side_px=32, blocks=1, batches=(1, 2), slide_px=200, trial_steps=4,
    preset_options={"paper": {"width": 4}},
)  # fmt: skip


@dataclass
class Run:
    """One run of the command.

    Attributes
    ----------
    device : str
        "cuda" or "cpu".
    size : Size
    out : Path
    ends_at : float
        By `time.monotonic`.
    """

    device: str
    size: Size
    out: Path
    ends_at: float
    results: dict[str, Any] = field(default_factory=dict)
    failed: bool = False

    @property
    def left_s(self) -> float:
        """Seconds until everything must be done."""
        return self.ends_at - time.monotonic() - self.size.reserve_s

    def do(self, name: str, part: Callable[[Run, float], Any]) -> None:
        """Run a part and write what it gives, or how it failed; the others do not depend on it."""
        most_s = min(self.left_s, self.size.seconds.get(name, self.left_s))
        say(f"{name}: at most {most_s:.0f} s …")
        began = time.monotonic()
        try:
            found: dict[str, Any] = {"found": part(self, began + most_s)}
        except Exception as error:
            self.failed = True
            found = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
            say(f"{name} failed: {error}")
        self.results[name] = {"seconds": round(time.monotonic() - began, 2), **found}
        (self.out / RESULTS_FILE).write_text(json.dumps(self.results, indent=2, ensure_ascii=False), encoding="utf-8")


# --- tests ------------------------------------------------------------------------------------------------------


def tests(run: Run, ends_at: float) -> str:
    """Run the tests of the device in a process of their own, and return what pytest says last.

    Raises
    ------
    RuntimeError
        If one fails.
    """
    root = Path(__file__).parents[1]
    # The project's own settings name plugins that need not be on such a machine.
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, f"--rootdir={root}", "--import-mode=importlib", "-q"]
    path = os.pathsep.join(filter(None, (str(root), str(root / "src"), os.environ.get("PYTHONPATH", ""))))
    answer = subprocess.run(
        [*command, "-k", run.device, *_TESTS], check=False, cwd=root, capture_output=True, text=True,
        timeout=max(1.0, ends_at - time.monotonic()), env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    if answer.returncode:
        raise RuntimeError(f"Tests failed.\n{answer.stdout[-6000:]}{answer.stderr[-2000:]}")
    return answer.stdout.strip().splitlines()[-1]


# --- exactness --------------------------------------------------------------------------------------------------


def cells_image(side_px: int) -> np.ndarray:
    """Show synthetic cells at the input's pixel size, mirrored until they fill (side_px, side_px, 3) uint8."""
    sharp = phantom_field(1)
    small = cv2.resize(sharp, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    more = [(0, max(0, side_px - size)) for size in small.shape[:2]]
    filled = np.pad(small, (*more, (0, 0)), mode="symmetric")
    return np.ascontiguousarray(filled[:side_px, :side_px])


def exactness(run: Run, ends_at: float) -> list[dict[str, Any]]:
    """Compare each precision with the CPU's fp32, and tiles computed alone with one big pass."""
    image = cells_image(run.size.blocks * CORE + 2 * _SURROUND_PX)
    rows = []
    for preset, tf32 in product(("lite", "paper"), (False, True) if run.device == "cuda" else (False,)):
        network, card = _network(preset, run.size, image)
        expected = Engine(copy.deepcopy(network), card, "cpu", "fp32", "torch").apply(image)[1]
        for precision in _precisions(run.device) if not tf32 else ("fp32",):
            if time.monotonic() > ends_at:
                return [*rows, {"left out": f"{preset}, {precision}, for want of time"}]
            with _tensor_float(tf32):
                engine = Engine(copy.deepcopy(network), card, run.device, precision, "torch")
                difference = np.abs(engine.apply(image)[1].astype(np.int16) - expected)
                differing, far, largest = apart(engine, image, card.halo_lr_px)
            rows.append({
                "preset": preset, "precision": precision, "tf32": tf32,
                "cpu_share_above_1": float((difference > 1).mean()), "cpu_largest": int(difference.max()),
                "tile_share_differing": differing, "tile_share_above_1": far, "tile_largest": largest,
            })  # fmt: skip
    return rows


@contextmanager
def _tensor_float(allowed: bool) -> Iterator[None]:
    """Let convolutions in fp32 round their factors to TF32 within the block, or not."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _network(preset: str, size: Size, image: np.ndarray) -> tuple[torch.nn.Module, ModelCard]:
    if preset == "lite":
        return load_generator(find_model("lite"))
    return random_generator(preset, image, **size.preset_options[preset])


def _precisions(device: str) -> tuple[str, ...]:
    return fast_precisions() if device == "cpu" else ("fp32", "bf16", "fp16")


# --- throughput -------------------------------------------------------------------------------------------------


def throughput(run: Run, ends_at: float) -> list[dict[str, Any]]:
    """Time both networks alone, without reading or writing; Mpx/s of 20×, in every setting that fits into memory."""
    device = torch.device(run.device)
    image = cells_image(128)
    rows: list[dict[str, Any]] = []
    for preset, precision, channels_last in product(("lite", "paper"), _precisions(run.device), (False, True)):
        network = _network(preset, run.size, image)[0].to(device)
        network.cast_stages(_DTYPES[precision])
        layout = torch.channels_last if channels_last else torch.contiguous_format
        network.to(memory_format=layout)
        for batch in run.size.batches:
            setting = {"preset": preset, "precision": precision, "channels_last": channels_last, "batch_size": batch}
            if time.monotonic() > ends_at:
                return [*rows, {"left out": f"{setting} and what follows, for want of time"}]
            lr = torch.rand(batch, 3, run.size.side_px, run.size.side_px, device=device).to(memory_format=layout)
            rows.append(setting | _speed(network, lr, run.size.timing_s))
    return rows


def _speed(network: torch.nn.Module, lr: torch.Tensor, seconds: float) -> dict[str, Any]:
    """Time a network: Mpx of 20× per second and peak memory, or that it takes too much."""
    if lr.is_cuda:
        torch.cuda.reset_peak_memory_stats()
    try:
        with torch.inference_mode():
            _timed(network, lr, 2)
            once = _timed(network, lr, 1)
            runs = max(1, min(1000, round(seconds / once)))
            each = _timed(network, lr, runs) / runs
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return {"out_of_memory": True}
    mpx = 16 * lr.shape[0] * lr.shape[2] * lr.shape[3] / 1e6
    peak = torch.cuda.max_memory_allocated() / 2**30 if lr.is_cuda else None
    return {"mpx_per_s": round(mpx / each, 2), "ms": round(1e3 * each, 3), "peak_gib": peak}


def _timed(network: torch.nn.Module, lr: torch.Tensor, runs: int) -> float:
    _wait_for(lr.device)
    began = time.perf_counter()
    for _ in range(runs):
        network(lr)
    _wait_for(lr.device)
    return time.perf_counter() - began


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


# --- export -----------------------------------------------------------------------------------------------------


def export(run: Run, ends_at: float) -> dict[str, Any]:
    """Time the export of a slide full of cells with `lite`, from file to OME-Zarr; a part of it where time is short."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "slide.tiff"
        tifffile.imwrite(path, cells_image(run.size.slide_px), tile=(256, 256), photometric="rgb", compression="jpeg")
        engine = Engine(*load_generator(find_model("lite")), run.device)
        with open_slide(path, _SCAN_MPP) as slide:
            computed = super_resolve(slide, engine)
            sides_um = [run.size.slide_px * _SCAN_MPP] * 2
            began = time.monotonic()
            eighth = (0.0, 0.0, sides_um[0] / 8, sides_um[1] / 8)
            done = write_whole_slide(computed, Path(scratch) / "eighth.ome.zarr", eighth)
            seconds = time.monotonic() - began
            if 64 * seconds < ends_at - time.monotonic():
                began = time.monotonic()
                done = write_whole_slide(computed, Path(scratch) / "whole.ome.zarr")
                seconds = time.monotonic() - began
    return {
        "kept_mpx": done.kept_px / 1e6, "seconds": round(seconds, 2), "execution": str(engine.execution),
        "mpx_per_s": round(done.kept_px / 1e6 / seconds, 2), "computed_per_kept": done.redundancy,
    }  # fmt: skip


# --- training ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """What is trained.

    Attributes
    ----------
    data : Path
        A pairs file, or a folder of fields.
    settings : dict
        Of `TrainingConfig`, but for pairs and steps.
    scanners : int
        That each field is seen through.
    num_workers : int
        Processes that read patches.
    """

    data: Path
    settings: dict[str, Any]
    scanners: int = 6
    num_workers: int = 2


def trainer_of(lesson: Lesson) -> Callable[[Run, float], dict[str, Any]]:
    """Make the part that trains: a short trial says how many steps fit into the time, then the training takes them."""

    def training(run: Run, ends_at: float) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as scratch:
            pairs = pairs_file(lesson, Path(scratch))
            began = time.monotonic()
            trial = _train(run, lesson, pairs, Path(scratch) / "trial", run.size.trial_steps, ends_at)
            spent = time.monotonic() - began
            step_s = trial["rows"][-1]["s_per_step"]
            overhead_s = spent - step_s * run.size.trial_steps  # loaders, checkpoints, figures of the card
            fitting = (0.9 * (ends_at - time.monotonic()) - overhead_s) / max(step_s, 1e-6)
            steps = int(fitting) if run.device == "cuda" else run.size.trial_steps
            if steps < run.size.trial_steps:
                raise RuntimeError(f"{steps} steps of {step_s:.3g} s fit into the time that is left: too few.")
            folder = Path(scratch) / "run"
            made = _train(run, lesson, pairs, folder, steps, ends_at)
            kept = _keep(folder, run.out)
        last = made["rows"][-1]
        return {"steps": last["step"], "of": steps, "s_per_step": step_s, "overhead_s": round(overhead_s, 1),
                "waiting": last["waiting"], "card": made["card"], "files": kept}  # fmt: skip

    return training


def pairs_file(lesson: Lesson, scratch: Path) -> Path:
    """Give the pairs file, made of the fields where those were given."""
    if (lesson.data / "zarr.json").exists():
        return lesson.data
    from napari_pathsrgan.commands.app import main as pathsrgan

    pairs = scratch / "fields.zarr"
    scanners = ("--scanners", str(lesson.scanners))
    code = pathsrgan(["register", str(pairs), "--from-fields", str(lesson.data), *scanners])
    if code:
        raise RuntimeError(f"The fields in {lesson.data} can't be registered.")
    return pairs


def _train(run: Run, lesson: Lesson, pairs: Path, folder: Path, steps: int, ends_at: float) -> dict[str, Any]:
    """Train for a number of steps, or until the time is over; then the weights are written as they are."""
    config = TrainingConfig.model_validate({**lesson.settings, "pairs": (pairs,), "epoch_steps": 1})
    shares = sum(config.epochs)
    config = config.model_copy(update={"epochs": tuple(steps * one / shares for one in config.epochs)})
    options = RunOptions(
        accelerator=run.device, num_workers=lesson.num_workers, checkpoint_every_s=60, samples_every_s=1e6
    )
    rows: list[dict[str, Any]] = []
    bell = threading.Timer(max(1.0, ends_at - time.monotonic()), os.kill, (os.getpid(), signal.SIGTERM))

    def report(row: dict[str, Any]) -> None:
        if "s_per_step" in row:
            rows.append(row)
        elif "measured" in row:
            bell.cancel()  # learning is over, and nothing would answer the signal

    bell.start()
    try:
        card = train(config, folder, options, report)
    finally:
        bell.cancel()
    if card is None:
        card = _save_as_it_is(config, folder)
    return {"rows": rows, "card": card.model_dump()}


def _save_as_it_is(config: TrainingConfig, folder: Path) -> ModelCard:
    """Write the averaged weights of a training that was stopped."""
    state = torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True)
    network = build_generator(config.preset, **config.preset_options)
    network.load_state_dict(state["average"])
    card = ModelCard(
        name=folder.name, preset=config.preset, preset_options=config.preset_options, halo_lr_px=32,
        training_data=f"Stopped after {state['step']} steps and not measured.",
    )  # fmt: skip
    return save_generator(network, card, folder / RUN_FOLDER_FILE)


def _keep(folder: Path, out: Path) -> list[str]:
    """Copy what a run leaves, but for files that are too large to be sent about."""
    wanted = [folder / name for name in (RUN_FOLDER_FILE, STATE_FILE, METRICS_FILE, CONFIG_FILE)]
    wanted += sorted((folder / SAMPLES_FOLDER).glob("*.png"))[-1:]
    small = [path for path in wanted if path.exists() and path.stat().st_size <= MOST_FILE_BYTES]
    for path in small:
        shutil.copyfile(path, out / path.name)
    return [path.name for path in small]


# --- the command ------------------------------------------------------------------------------------------------


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="a pairs file or a folder of fields to train on")
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--minutes", type=float, default=10.0, help="for everything (%(default)s)")
    parser.add_argument("--settings", type=Path, help="JSON of training settings, such as a run's config.json")
    parser.add_argument("--init-from", dest="init_from", help="a model to begin the training with")
    parser.add_argument("--batch-size", type=int, help="patches per step of the training")
    parser.add_argument("--scanners", type=int, default=6, help="that fields are seen through (%(default)s)")
    parser.add_argument("--num-workers", type=int, default=max(1, (os.cpu_count() or 2) - 2), help="(%(default)s)")
    parser.add_argument("--skip", nargs="+", default=[], choices=("tests", *PARTS), help="parts to leave out")
    parser.add_argument("--dry-run", action="store_true", help="everything at a tiny size on the CPU")
    return parser.parse_args(arguments)


PARTS: dict[str, Callable[[Run, float], Any]] = {"exactness": exactness, "throughput": throughput, "export": export}


def lesson_of(options: argparse.Namespace) -> Lesson | None:
    """Gather what the training is told; None without data."""
    if options.data is None:
        return None
    saved = json.loads(options.settings.read_text(encoding="utf-8")) if options.settings else {"recipe": "laptop"}
    given = {"init_from": options.init_from, "batch_size": options.batch_size}
    settings = saved | {name: value for name, value in given.items() if value is not None}
    for name in ("pairs", "epoch_steps"):
        settings.pop(name, None)
    return Lesson(options.data, settings, options.scanners, options.num_workers)


def main(arguments: list[str] | None = None) -> int:
    """Do it; 0 where all went well, 1 where a part failed, 2 where nothing can be done."""
    options = _options(arguments)
    if not (options.dry_run or torch.cuda.is_available()):
        say(NO_CUDA)
        return 2
    try:
        lesson = lesson_of(options)
        options.out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        say(f"{error} Give another file or folder.")
        return 2
    device = "cpu" if options.dry_run else "cuda"
    run = Run(device, TINY if options.dry_run else Size(), options.out, time.monotonic() + 60 * options.minutes)
    about = torch.cuda.get_device_name() if device == "cuda" else str(choose_device(device))
    run.results["machine"] = {**machine(load()), "device": about, "cuda": torch.version.cuda}
    parts = {"tests": tests, **PARTS, **({"training": trainer_of(lesson)} if lesson else {})}
    for name, part in parts.items():
        if name not in options.skip:
            run.do(name, part)
    print(json.dumps({name: one for name, one in run.results.items() if name != "machine"}, ensure_ascii=False))
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
