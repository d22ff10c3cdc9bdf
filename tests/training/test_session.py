"""From a folder of pictures to weights with a card, in seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from napari_pathsrgan.errors import OptionError, OutputError
from napari_pathsrgan.models.zoo import model_card
from napari_pathsrgan.training.config import FieldsConfig, TrainingConfig
from napari_pathsrgan.training.fields import Field, is_held_out
from napari_pathsrgan.training.session import CardWords, train_from_fields
from napari_pathsrgan.training.sources import PHANTOM_UM, gather_fields, phantom_picture

ONE_IN = 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures of 65 µm, at least one of them left out of training and one not."""
    made = tmp_path / "ward-3"
    made.mkdir()
    names = [f"smear {number}.png" for number in range(40)]
    left_out = [name for name in names if is_held_out(name, ONE_IN)]
    learnt = [name for name in names if not is_held_out(name, ONE_IN)]
    rng = np.random.default_rng(0)
    for name in (*learnt[:3], left_out[0]):
        picture = cv2.GaussianBlur(rng.integers(0, 256, (240, 240, 3)).astype(np.uint8), (0, 0), 3)
        cv2.imwrite(str(made / name), cv2.normalize(picture, None, 60, 240, cv2.NORM_MINMAX))
    return made


def a_config(folder: Path, **changed: object) -> TrainingConfig:
    source = FieldsConfig(folder=folder, scans_per_field=2, hold_out_every=ONE_IN)
    options = {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}
    settings = {"preset_options": options, "steps": (2, 2, 2), "batch": 1, "patch_lr_px": 24, **changed}
    return TrainingConfig(fields=source, **settings)


def test_a_training_ends_with_weights_that_say_what_they_are(folder: Path, tmp_path: Path) -> None:
    made: list[tuple[int, int]] = []
    words = CardWords(name="ours", credit="Pictures: ward 3.", licence="CC0", command="pathsrgan train …")
    card = train_from_fields(
        a_config(folder), tmp_path / "run", None, lambda done, total: made.append((done, total)), words
    )
    assert card is not None
    assert made == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert card == model_card(tmp_path / "run")
    assert (card.name, card.licence, card.command) == ("ours", "CC0", "pathsrgan train …")
    assert card.training_data == (
        "3 pictures of 0.27 µm/px from “ward-3”, each through 2 simulated 4× scanners. "
        "Left out and measured on: 1 picture, one in 3 by name. "
        "Split by picture: slides and patients are not known. Pictures: ward 3."
    )
    assert set(card.metrics) >= {"psnr_20x_clean", "ssim_10x_drawn_bicubic"}
    # Six steps from bicubic can't be far from it.
    assert abs(card.metrics["psnr_20x_clean"] - card.metrics["psnr_20x_clean_bicubic"]) < 10


def test_a_folder_of_another_training_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "run"
    other.mkdir()
    (other / "config.json").write_text("{}")
    with pytest.raises(OutputError, match="other settings"):
        train_from_fields(a_config(folder), other)
    assert [path.name for path in other.iterdir()] == ["config.json"]


def _same(one: Field, other: Field) -> bool:
    pictures = zip(
        (one.mr, one.hr, *(s.lr for s in one.scans)), (other.mr, other.hr, *(s.lr for s in other.scans)), strict=True
    )
    return one.name == other.name and all(np.array_equal(a, b) for a, b in pictures)


def test_fields_do_not_depend_on_how_many_processes_make_them(folder: Path) -> None:
    config = a_config(folder).fields
    alone, together = gather_fields(config, seed=1, workers=1), gather_fields(config, seed=1, workers=2)
    assert [field.name for field in alone.held_out] == [
        path.name for path in sorted(folder.iterdir()) if is_held_out(path.name, ONE_IN)
    ]
    assert len(alone.training) == 3
    for one, other in zip(alone.training + alone.held_out, together.training + together.held_out, strict=True):
        assert _same(one, other)


def test_a_picture_that_cannot_be_read_is_named_from_another_process_too(folder: Path) -> None:
    (folder / "broken.jpg").write_text("no picture")
    with pytest.raises(OptionError, match=r"broken\.jpg can't be read as a picture\."):
        gather_fields(a_config(folder).fields, seed=0, workers=2)


def test_pictures_that_are_all_left_out_are_too_few(folder: Path) -> None:
    for path in folder.iterdir():
        if not is_held_out(path.name, ONE_IN):
            path.unlink()
    with pytest.raises(OptionError, match="are left out of training"):
        gather_fields(a_config(folder).fields, seed=0, workers=1)


def test_phantoms_are_learnt_from_and_never_held_out(folder: Path) -> None:
    config = a_config(folder).fields.model_copy(update={"phantoms": 1, "scans_per_field": 1})
    fields = gather_fields(config, seed=5, workers=1)
    assert [field.name for field in fields.training if field.name.startswith("phantom")] == ["phantom 0"]
    assert len(fields.held_out) == 1


def test_a_phantom_picture_shows_cells_on_white_glass() -> None:
    picture = phantom_picture(3)
    assert picture.shape == (int(PHANTOM_UM[0] / 0.293), int(PHANTOM_UM[1] / 0.293), 3)
    assert picture.dtype == np.uint8
    assert np.mean(picture.min(axis=2) > 250) > 0.05  # glass
    assert np.mean(picture.min(axis=2) < 110) > 0.002  # nuclei
    np.testing.assert_array_equal(picture, phantom_picture(3))
