"""Pairs from single sharp images and phantoms."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.registration.config import FieldsConfig
from napari_pathsrgan.registration.fields import is_held_out, make_field
from napari_pathsrgan.registration.from_fields import append_field, append_fields
from napari_pathsrgan.registration.pairs import PairsFile


def image(seed: int = 0, rows: int = 780, cols: int = 1220) -> np.ndarray:
    """Dark discs on white; 330 × 210 µm at 0.27 µm/px, of which the right third is background."""
    image = np.full((rows, cols, 3), 245, np.uint8)
    rng = np.random.default_rng(seed)
    for _ in range(120):
        centre = (int(rng.integers(0, 800)), int(rng.integers(0, rows)))
        cv2.circle(image, centre, int(rng.integers(8, 40)), (150, int(rng.integers(80, 200)), 170), -1)
    return image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One image to learn from and one to test on."""
    made = tmp_path / "ward-3"
    made.mkdir()
    names = [f"smear {number}.png" for number in range(40)]
    for seed, left_out in enumerate((False, True)):
        name = next(name for name in names if is_held_out(name) is left_out)
        cv2.imwrite(str(made / name), image(seed, 600, 700))
    return made


def test_a_field_becomes_pairs_for_each_scanner(tmp_path: Path) -> None:
    field = make_field("discs", image(), 0.27, 2, 0)
    count = append_field(tmp_path / "p", "discs", {"fingerprints": {}}, field, 0.05, "train")
    file = PairsFile(tmp_path / "p")
    assert len(file) == count >= 4
    assert file.table["simulated"].all()
    assert (file.table["foreground"] >= 0.05).all()
    assert file.table["scanner"].tolist() == [0] * (count // 2) + [1] * (count // 2)
    for row in range(count):
        lr, mr, hr = file[row]
        for finer, ratio in ((mr, 2), (hr, 4)):
            shrunk = finer.reshape(128, ratio, 128, ratio, 3).mean(axis=(1, 3))
            assert np.corrcoef(shrunk[..., 1].ravel(), lr[..., 1].ravel())[0, 1] > 0.9
    drawn = file[count // 2]
    first = file.table[count // 2]
    row, col = int(first["hr_row_px"]), int(first["hr_col_px"])
    wanted = field.hr_of(field.scans[1])[row : row + 512, col : col + 512]
    np.testing.assert_array_equal(drawn[2], wanted)


def test_a_small_field_gives_none(tmp_path: Path) -> None:
    field = make_field("small", image()[:400, :400], 0.27, 1, 0)
    assert append_field(tmp_path / "p", "small", {"fingerprints": {}}, field, 0.05, "train") == 0
    assert len(PairsFile(tmp_path / "p")) == 0


def test_a_folder_and_phantoms(tmp_path: Path, folder: Path) -> None:
    told: list[tuple[float, float]] = []
    config = FieldsConfig(folder=folder, scanners=2, phantoms=1, seed=5)
    append_fields(tmp_path / "p", config, workers=1, progress=lambda done, total: told.append((done, total)))
    file = PairsFile(tmp_path / "p")
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [slide["split"] for slide in file.slides] == [
        "test" if is_held_out(slide["name"]) else "train" for slide in file.slides[:2]
    ] + ["train"]
    assert file.slides[2]["name"] == "phantom 0"
    assert len(file.rows("test")) > 0


def test_what_is_there_is_not_made_again_and_processes_change_nothing(tmp_path: Path, folder: Path) -> None:
    config = FieldsConfig(folder=folder, scanners=2)
    append_fields(tmp_path / "one", config, workers=1)
    append_fields(tmp_path / "two", config, workers=2)
    one, two = PairsFile(tmp_path / "one"), PairsFile(tmp_path / "two")
    assert one.slides == two.slides
    for first, second in zip(one.read(0, len(one)), two.read(0, len(two)), strict=True):
        np.testing.assert_array_equal(first, second)
    told: list[float] = []
    append_fields(tmp_path / "one", config, workers=1, progress=lambda done, total: told.append(done))
    assert not told
    assert len(PairsFile(tmp_path / "one")) == len(two)


def test_a_picture_that_cannot_be_read_is_named_from_another_process_too(tmp_path: Path, folder: Path) -> None:
    (folder / "broken.jpg").write_text("no image")
    with pytest.raises(OptionError, match=r"broken\.jpg cannot be read as an image\."):
        append_fields(tmp_path / "p", FieldsConfig(folder=folder), workers=2)


def test_nothing_to_scan(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nothing to scan"):
        append_fields(tmp_path / "p", FieldsConfig())
