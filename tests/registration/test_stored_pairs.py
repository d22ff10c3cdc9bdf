"""Pairs files from strangers: checked before anything is decoded."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest

from napari_pathsrgan.errors import StoreMismatchError
from napari_pathsrgan.registration.fine import HR_PX, LR_PX, MR_PX, PATCH_FIELDS
from napari_pathsrgan.registration.pairs import PairsFile, Planned, append, is_pairs_file

ROWS = 3


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.zarr"
    images = tuple(np.full((side, side, 3), side % 251, np.uint8) for side in (LR_PX, MR_PX, HR_PX))
    plan = Planned(np.ones(ROWS, PATCH_FIELDS), np.array(["NILM"] * ROWS), {})
    append(path, "one", {"fingerprints": ["f"]}, "train", lambda: plan, lambda _: images)  # type: ignore[arg-type, return-value]
    return path


@pytest.fixture
def pairs(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "pairs.zarr"))


def edit(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_a_sound_file_is_read(pairs: Path) -> None:
    file = PairsFile(pairs)
    assert [int(image.mean()) for image in file[2]] == [LR_PX, MR_PX % 251, HR_PX % 251]
    assert file.table["label"].tolist() == ["NILM"] * ROWS
    assert file.table["scanner"].tolist() == [1] * ROWS


@pytest.mark.parametrize(
    "change",
    [
        {"rows": -1},
        {"rows": 4},
        {"rows": 10**30},
        {"rows": 1.5},
        {"rows": None},
        {"rows": True},
        {"labels": None},
        {"labels": [1]},
        {"slides": {}},
        {"slides": [[]]},
        {"slides": [{"name": "one"}]},
        {"version": None},
        {"version": [[]]},
    ],
    ids=str,
)
def test_odd_attributes_are_refused(change: dict[str, Any], pairs: Path) -> None:
    edit(pairs / "zarr.json", lambda content: content["attributes"].update(change))
    with pytest.raises(StoreMismatchError):
        PairsFile(pairs)


@pytest.mark.parametrize(
    "change",
    [
        {"first": -1},
        {"first": 1},
        {"count": 10**12},
        {"split": "both"},
        {"name": None},
        {"simulated": "no"},
        {"made": 3},
        {"found": {"turned": 3}},
        {"found": {"turned": {"4x": None}}},
        {"found": {"turned": {"4x": {"angle_deg": 1e9, "scale": 1.0, "mirrored": False, "shift_um": [0.0, 0.0]}}}},
        {"found": {"turned": {"10x": None, "4x": {"angle_deg": 1.0, "scale": 0.0, "mirrored": 0, "shift_um": []}}}},
    ],
    ids=str,
)
def test_odd_slides_are_refused(change: dict[str, Any], pairs: Path) -> None:
    edit(pairs / "zarr.json", lambda content: content["attributes"]["slides"][0].update(change))
    with pytest.raises(StoreMismatchError):
        PairsFile(pairs)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 200_000, b"\x00" * 99, b"[]", b"null"], ids=len)
def test_what_is_no_description_is_no_pairs_file(content: bytes, pairs: Path) -> None:
    (pairs / "zarr.json").write_bytes(content)
    assert not is_pairs_file(pairs)
    with pytest.raises(StoreMismatchError, match="no pairs file"):
        PairsFile(pairs)


@pytest.mark.parametrize("name", ["zarr.json", "hr/zarr.json", "table/label/zarr.json"])
def test_a_pipe_is_not_waited_for(name: str, pairs: Path) -> None:
    (pairs / name).unlink()
    os.mkfifo(pairs / name)
    with pytest.raises(StoreMismatchError):
        _ = PairsFile(pairs).table


@pytest.mark.parametrize("name", ["hr/c/0/0/0/0", "table/row_um/c/0"])
@pytest.mark.parametrize("kind", ["pipe", "damaged", "huge"])
def test_odd_content_is_refused(name: str, kind: str, pairs: Path) -> None:
    file = pairs / name
    assert file.is_file()
    if kind == "pipe":
        file.unlink()
        os.mkfifo(file)
    elif kind == "damaged":
        file.write_bytes(bytes(range(256)))
    else:
        file.write_bytes(imagecodecs.zstd_encode(bytes(64 * 2**20)))
    opened = PairsFile(pairs)
    with pytest.raises(StoreMismatchError, match="damaged"):
        _ = opened[0], opened.table


def test_metadata_that_names_other_codecs_is_not_followed(pairs: Path) -> None:
    for array in ("hr", "table/label"):
        edit(pairs / array / "zarr.json", lambda content: content.update(codecs=[{"name": "numcodecs.pickle"}]))
    file = PairsFile(pairs)
    assert int(file[0][2].mean()) == HR_PX % 251
    assert file.table["label"][0] == "NILM"


def test_classes_and_slides_that_are_not_listed_are_refused(pairs: Path) -> None:
    edit(pairs / "zarr.json", lambda content: content["attributes"].update(labels=[]))
    with pytest.raises(StoreMismatchError, match="damaged"):
        _ = PairsFile(pairs).table
