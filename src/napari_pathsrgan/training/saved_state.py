"""Reading the checkpoint of a training from a stranger: bounded in memory, tensors and plain values alone."""

from __future__ import annotations

import math
import stat
import zipfile
from pathlib import Path
from typing import Any

import torch

_MOST_BYTES = 8 * 2**30
_MOST_PICKLE_BYTES = 16 * 2**20
"""Of names and shapes; the tensors lie beside."""
_MOST_DEPTH, _MOST_STEPS = 8, 10**12
_COUNTS = ("step", "rollbacks", "phase")
_PARTS = ("network", "average", "discriminators", "optimisers")


def read_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path
        As `torch.save` writes it.

    Returns
    -------
    dict
        ``step``, ``rollbacks`` and ``phase`` are whole numbers; the other parts hold tensors and plain values.

    Raises
    ------
    Exception
        Of any type, if it is none: damaged bytes fail in any way within torch.
    """
    _check_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not state.keys() >= {*_COUNTS, *_PARTS}:
        raise ValueError("it is no training's state")
    for name in _COUNTS:
        if type(state[name]) is not int or not 0 <= state[name] <= _MOST_STEPS:
            raise ValueError(f"{name} is no number of steps")
    if not isinstance(state.get("perceptual", ""), str):
        raise ValueError("the perceptual network has no name")
    _check_values(state, 0)
    return state


def check_optimiser(optimiser: torch.optim.Optimizer) -> None:
    """Raise ValueError where what an optimiser has kept of a parameter has another shape: it would fail at a step."""
    for parameter, kept in optimiser.state.items():
        for value in kept.values():
            if isinstance(value, torch.Tensor) and value.ndim and value.shape != parameter.shape:
                raise ValueError("the optimiser's state is of another network")


def _check_file(path: Path) -> None:
    """Refuse what is no plain file, and archives whose parts grow when they are read."""
    about = path.stat()
    if not stat.S_ISREG(about.st_mode) or about.st_size > _MOST_BYTES:
        raise ValueError("it is no file of a checkpoint's size")
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    if sum(part.file_size for part in parts) > about.st_size:
        raise ValueError("its parts are larger than the file")
    if any(part.file_size > _MOST_PICKLE_BYTES for part in parts if part.filename.endswith(".pkl")):
        raise ValueError("its list of tensors is too long")


def _check_values(value: Any, depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    if isinstance(value, torch.Tensor):
        _check_tensor(value)
    elif isinstance(value, dict):
        for part in value.values():
            _check_values(part, depth + 1)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _check_values(part, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds a number that is not finite")
    elif not isinstance(value, (int, float, str, type(None))):
        raise ValueError("it holds something else than tensors and plain values")


def _check_tensor(tensor: torch.Tensor) -> None:
    """Refuse tensors that say they are larger than what is stored of them."""
    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise ValueError("it holds a tensor of an unusual kind")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise ValueError("it holds a tensor larger than its content")
