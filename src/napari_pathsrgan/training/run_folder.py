"""A training's folder: what it was told to do, where it is, what it measured, what its pictures look like.

It holds ``config.json``, ``state.pt`` (networks, averages, optimisers, step; tensors and plain values alone),
``metrics.jsonl`` (a JSON object per line: losses, and PSNR with each sample), ``samples/`` and, once there is one,
``generator.safetensors``.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from napari_pathsrgan.atomic_write import atomic_replace, remove_partial
from napari_pathsrgan.bounded_json import read_regular_file
from napari_pathsrgan.errors import CheckpointError, OutputError
from napari_pathsrgan.private_files import open_private, private_folder
from napari_pathsrgan.training.saved_state import read_state

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_pathsrgan.training.config import TrainingConfig

_MOST_CONFIG_BYTES = 2**20
CONFIG_FILE, STATE_FILE, METRICS_FILE, SAMPLES_FOLDER = "config.json", "state.pt", "metrics.jsonl", "samples"


class RunFolder:
    """A folder that one training owns, once it has claimed it.

    Parameters
    ----------
    path : Path
        May be absent.
    config : TrainingConfig

    Raises
    ------
    OutputError
        If the folder holds a training with other settings, or can't be read.
    """

    def __init__(self, path: Path, config: TrainingConfig) -> None:
        self.path = path
        self._text = config.model_dump_json(indent=2)
        saved = path / CONFIG_FILE
        try:
            if saved.exists() and not self._is_same(saved):
                raise OutputError(
                    f"{path} holds a training with other settings.", "Choose another folder, or the same settings."
                )
        except OSError as error:
            raise self._unusable(error) from error

    def _is_same(self, saved: Path) -> bool:
        try:
            return read_regular_file(saved, _MOST_CONFIG_BYTES).decode() == self._text
        except ValueError:
            return False  # neither of ours nor text

    def claim(self) -> None:
        """Make the folder and save the settings in it; to be done when all that they name was found.

        Raises
        ------
        OutputError
            If it can't be written.
        """
        try:
            private_folder(self.path)
            self._write(CONFIG_FILE, self._text)
        except OSError as error:
            raise self._unusable(error) from error

    def _write(self, name: str, text: str) -> None:
        """Write a file, whole or not at all."""
        with atomic_replace(self.path / name) as partial, open_private(partial, "x") as file:
            file.write(text)

    def _unusable(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path} can't be written: {error}.", "Choose another folder.")

    def log(self, row: dict[str, Any]) -> None:
        """Append a line to the metrics; a line that finds no room is left out, the training goes on."""
        with contextlib.suppress(OSError), open_private(self.path / METRICS_FILE, "a") as file:
            file.write(json.dumps(row) + "\n")

    def forget_after(self, step: int) -> None:
        """Drop metrics of steps that will be taken again, and a line that a kill cut off."""
        path = self.path / METRICS_FILE
        if not path.exists():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except (ValueError, KeyError, TypeError):
                continue
        with contextlib.suppress(OSError):
            self._write(METRICS_FILE, "".join(kept))

    def save_state(self, state: dict[str, Any]) -> None:
        """Write a checkpoint, whole or not at all.

        Raises
        ------
        OutputError
            If it can't be written; the last one is still there.
        """
        remove_partial(self.path / STATE_FILE)  # of a training that was killed
        try:
            with atomic_replace(self.path / STATE_FILE) as partial:
                open_private(partial, "xb").close()  # torch keeps its rights
                torch.save(state, partial)
        except (OSError, RuntimeError) as error:
            raise OutputError(
                f"The checkpoint in {self.path} can't be written: {error}. The last one is kept.",
                "Free some space and give the same command again.",
            ) from error

    def load_state(self) -> dict[str, Any] | None:
        """Read the checkpoint, as weights and plain values alone; None without one.

        Raises
        ------
        CheckpointError
            If it is damaged.
        """
        path = self.path / STATE_FILE
        if not path.exists():
            return None
        try:
            state = read_state(path)
        except Exception as error:  # damaged bytes fail in any way: struct.error, AssertionError, IndexError …
            raise self.damaged() from error
        return state

    def damaged(self) -> CheckpointError:
        """Make the error for a checkpoint that can't be used."""
        return CheckpointError(
            f"{self.path / STATE_FILE} is damaged.", "Remove it to start the training anew, or choose another folder."
        )

    def save_sample(self, step: int, sheet: npt.NDArray[np.uint8]) -> None:
        """Write a picture of test patches; one that finds no room is left out."""
        with contextlib.suppress(OSError):
            folder = private_folder(self.path / SAMPLES_FOLDER)
            with open_private(folder / f"step-{step:08d}.png", "wb") as file:
                Image.fromarray(sheet).save(file, "png")
