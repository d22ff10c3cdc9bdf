"""Model files from strangers: odd weights, cards that would garble a terminal, and sizes that no network has."""

from __future__ import annotations

import io
import json
import os
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.errors import CheckpointError, OptionError
from napari_pathsrgan.models import checkpoint
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import CARD_KEY, ModelCard, read_card
from napari_pathsrgan.models.checkpoint import import_checkpoint, load_generator, save_generator
from napari_pathsrgan.models.weights_file import hash_arrays, read_weights
from napari_pathsrgan.text import is_printable

TINY = {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_generator(build_generator("lite", **TINY), ModelCard(name="tiny", preset="lite", preset_options=TINY), path)
    return path


def rewrite(path: Path, arrays: dict[str, np.ndarray] | None = None, **changes: Any) -> None:
    """Change weights and card, whose hash is right again."""
    arrays = load_file(path) if arrays is None else arrays
    card = json.loads(read_card(path).model_dump_json()) | {"weights_hash": hash_arrays(arrays)} | changes
    save_file(arrays, path, metadata={CARD_KEY: json.dumps(card)})


def _one(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array.flat[-1] = value
        return array

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_one(np.nan), "not finite: stage1.head.0.weight"),
        (_one(np.inf), "not finite"),
        (_one(-np.inf), "not finite"),
        (lambda array: array.astype(np.int8), "of type int8"),
        (lambda array: array.astype(np.int64), "of type int64"),
        (lambda array: array > 0, "of type bool"),
        (lambda array: array.astype(np.complex64), r"of type complex64|is damaged"),
    ],
)
def test_weights_that_are_no_finite_floats_are_refused(
    saved: Path, change: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    arrays = load_file(saved)
    name = next(iter(sorted(arrays)))
    arrays[name] = change(arrays[name])
    rewrite(saved, arrays)
    for read in (read_weights, load_generator):
        with pytest.raises(CheckpointError, match=words.replace("stage1.head.0.weight", name)):
            read(saved)


HOSTILE = ["\x1b[2J\x1b]0;owned\x07", "a\u202egnp", "\x9b31m", "two\nlines", "\u2066x", "\ud800", "x" * 20_000]
TEXTS = ("name", "preset", "training_data", "licence", "command", "limits", "psnr_model", "date", "weights_hash")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("field", TEXTS)
def test_text_that_would_garble_a_terminal_is_refused_and_never_printed(
    saved: Path, field: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(saved, **{field: text})
    assert main(["models", "show", str(saved)]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert is_printable(shown.err.removesuffix("\n"))
    assert len(shown.err) < 5000


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"\x1b[31m": 1.0}},
        {"metrics": {"psnr": float("nan")}},
        {"metrics": {str(number): 1.0 for number in range(101)}},
        {"preset_options": {"\x1b[31m": 1}},
        {"preset_options": {"width": [8]}},
        {"preset_options": {str(number): 1 for number in range(17)}},
        {"\x1b[31m" * 1000: 1},
        {"halo_lr_px": 10**9},
        {"mpp_in": 1e300, "mpp_mr": 5e299, "mpp_hr": 2.5e299},
        {"mpp_in": 1e-320, "mpp_mr": 5e-321, "mpp_hr": 2.5e-321},
        {"limits": 7},
        {"name": None},
    ],
    ids=range(12),
)
def test_odd_cards_are_refused_in_a_sentence(
    saved: Path, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(saved, **changes)
    assert main(["models", "show", str(saved)]) == 2
    assert is_printable(capsys.readouterr().err.removesuffix("\n"))


def _header(path: Path, header: bytes) -> None:
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def _huge_card(path: Path) -> None:
    _header(path, json.dumps({"__metadata__": {CARD_KEY: "[" * 1_000_000}}).encode())


def _deep_card(path: Path) -> None:
    _header(path, json.dumps({"__metadata__": {CARD_KEY: '{"name":' + "[" * 100_000}}).encode())


def _deep_header(path: Path) -> None:
    _header(path, b'{"__metadata__":' + b"[" * 1_000_000)


def _many_tensors(path: Path) -> None:
    _header(path, b"[" + b"0," * 1_900_000 + b"0]")


def _large_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 40_000_000) + b" " * 100)


def _card_is_a_list(path: Path) -> None:
    _header(path, json.dumps({"__metadata__": {CARD_KEY: [1]}}).encode())


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _sparse(path: Path) -> None:
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize(
    "damage",
    [_huge_card, _deep_card, _deep_header, _many_tensors, _large_header, _card_is_a_list, _fifo, _device, _sparse],
)
def test_files_made_to_fill_memory_or_to_wait_for_ever_are_refused_at_once(
    saved: Path, damage: Callable[[Path], None]
) -> None:
    damage(saved)
    began = time.monotonic()
    with pytest.raises(CheckpointError):
        read_weights(saved)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("lite", {"width": 257}),
        ("lite", {"width": 10**9}),
        ("lite", {"blocks1": 10**9}),
        ("lite", {"features": 4096}),
        ("lite", {"blocks2": 10**9}),
        ("lite", {"width": -1}),
        ("lite", {"width": 8.0}),
        ("lite", {"width": True}),
        ("paper", {"width": 129}),
        ("paper", {"width": 2**31}),
    ],
)
def test_no_card_can_ask_for_a_network_that_fills_memory(preset: str, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="does not take these options"):
        build_generator(preset, **options)


def test_names_of_files_are_listed_without_what_steers_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATHSRGAN_MODELS", str(tmp_path))
    (tmp_path / "a\x1b[2J\u202eb.safetensors").write_bytes(b"")
    for arguments in (["models", "list"], ["models", "list", "--json"]):
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert is_printable(out.replace("\n", ""))
    assert "a\x1b[2J\u202eb" in {record["name"] for record in json.loads(out)}


# ---- .pth ------------------------------------------------------------------------------------------------------------


def _expanded(path: Path) -> None:
    torch.save({"stage1_out.weight": torch.zeros(1).expand(1 << 40)}, path)


def _sparse_tensor(path: Path) -> None:
    torch.save({"stage1_out.weight": torch.eye(3).to_sparse()}, path)


def _meta(path: Path) -> None:
    torch.save({"stage1_out.weight": torch.zeros(1 << 40, device="meta")}, path)


def _integers(path: Path) -> None:
    torch.save({"stage1_out.weight": torch.zeros(3, dtype=torch.int64)}, path)


def _zip_bomb(path: Path) -> None:
    content = io.BytesIO()
    torch.save({"stage1_out.weight": torch.zeros(3)}, content)
    with zipfile.ZipFile(content) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in source.namelist():
            bomb.writestr(name, source.read(name))
        with bomb.open("archive/data/1", "w", force_zip64=True) as part:
            part.write(bytes(2 << 20))


def _sparse_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [_expanded, _sparse_tensor, _meta, _integers, _zip_bomb, _sparse_file, _pipe])
def test_checkpoints_made_to_fill_memory_are_refused(
    tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_LARGEST_FILE", 1 << 20)
    source, destination = tmp_path / "evil.pth", tmp_path / "out.safetensors"
    make(source)
    with pytest.raises(CheckpointError):
        import_checkpoint(source, destination, "authors")
    assert not destination.exists()


def test_weights_of_the_authors_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    from .authors_network import lively

    state = lively().state_dict()
    next(iter(state.values())).view(-1)[0] = float("nan")
    torch.save(state, tmp_path / "G.pth")
    with pytest.raises(CheckpointError, match="not finite"):
        import_checkpoint(tmp_path / "G.pth", tmp_path / "out.safetensors", "authors")
