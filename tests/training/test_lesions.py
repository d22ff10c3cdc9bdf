"""The perceptual network's schooling."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.models.perceptual import load_perceptual
from napari_pathsrgan.registration.fields import is_held_out
from napari_pathsrgan.training.lesion_config import LesionConfig
from napari_pathsrgan.training.lesions import train_perceptual
from napari_pathsrgan.training.nuclei import SIDE_PX, read_nuclei, view_of


@pytest.fixture
def labelled(tmp_path: Path) -> LesionConfig:
    """Pictures of small pale nuclei that are normal and large dark ones that are not."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "smears"
    folder.mkdir()
    names = [f"smear {number}.png" for number in range(60)]
    chosen = [name for name in names if is_held_out(name)][:2] + [name for name in names if not is_held_out(name)][:6]
    lines = ["image,cell_id,bethesda,x_px,y_px"]
    for name in chosen:
        picture = np.full((400, 400, 3), 235, np.uint8)
        for cell in range(9):
            x, y = 60 + 130 * (cell % 3) + int(rng.integers(-9, 9)), 60 + 130 * (cell // 3)
            ill = bool(cell % 2)
            cv2.circle(picture, (x, y), 26 if ill else 11, (120, 60, 90) if ill else (190, 150, 180), -1)
            lines.append(f"{name},{cell},{'HSIL' if ill else 'NILM'},{x},{y}")
        cv2.imwrite(str(folder / name), picture)
    (tmp_path / "nuclei.csv").write_text("\n".join([*lines, "absent.png,1,LSIL,5,5"]))
    return LesionConfig(
        fields=folder, nuclei=tmp_path / "nuclei.csv", width=4, steps=60, batch_size=16, learning_rate=3e-3
    )  # fmt: skip


def test_nuclei_lie_in_the_middle_of_their_windows(labelled: LesionConfig) -> None:
    nuclei = read_nuclei(labelled)
    assert len(nuclei.windows) == 8 * 9
    assert nuclei.held_out.sum() == 18
    side = nuclei.windows.shape[1]
    middle = nuclei.windows[:, side // 2 - 3 : side // 2 + 3, side // 2 - 3 : side // 2 + 3].mean(axis=(1, 2, 3))
    assert (middle[nuclei.lesion] < 110).all()
    assert (middle[~nuclei.lesion] > 150).all()


@pytest.mark.parametrize(("turn", "mirrored"), [(0, False), (73, False), (200, True)])
def test_views_are_turned_about_the_nucleus_at_their_scale(labelled: LesionConfig, turn: float, mirrored: bool) -> None:
    nuclei = read_nuclei(labelled)
    window = nuclei.windows[int(np.flatnonzero(nuclei.lesion)[0])]
    for shown_mpp in (0.293, 0.586):
        view = view_of(window, 0.27, shown_mpp, turn, mirrored)
        assert view.shape == (SIDE_PX, SIDE_PX, 3)
        rows, cols = np.nonzero(view[..., 1] < 120)
        assert abs(rows.mean() - 31.5) < 1.5
        assert abs(cols.mean() - 31.5) < 1.5
        assert np.ptp(rows) + 1 == pytest.approx(52 * 0.27 / shown_mpp, abs=2.5)


def test_it_learns_to_tell_them_apart_and_says_how_well(labelled: LesionConfig) -> None:
    network, card = train_perceptual(labelled)
    assert card.metrics["area_under_roc"] > 0.95
    assert card.training_data.startswith("54 nuclei in the pictures of “smears”")
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert (network.scale != 1).all()


def test_the_verb_writes_a_network_that_loads(labelled: LesionConfig, tmp_path: Path) -> None:
    out = tmp_path / "v.safetensors"
    options = ("--fields", labelled.fields, "--nuclei", labelled.nuclei, "--width", 4, "--steps", 3, "--batch-size", 4)
    assert main(["models", "perceptual", *map(str, options), "--out", str(out), "--licence", "CC0"]) == 0
    _, card = load_perceptual(out)
    assert card.licence == "CC0"
    assert (
        card.command
        == "pathsrgan models perceptual --fields smears --nuclei nuclei.csv --width 4 --steps 3 --batch-size 4"
    )
    assert main(["models", "perceptual", *map(str, options), "--out", str(out)]) == 2  # it is there already


def test_synthetic_cells_are_added_with_their_classes(labelled: LesionConfig) -> None:
    nuclei = read_nuclei(labelled.model_copy(update={"phantoms": 1, "seed": 9}))  # a field with cells of both kinds
    added = slice(8 * 9, None)
    assert nuclei.lesion[added].sum() == 3
    assert (~nuclei.lesion[added]).sum() == 15
    assert not nuclei.held_out[added].any()  # figures are those of real pictures where there are some
    side = nuclei.windows.shape[1]
    rings = [nuclei.windows[added, side // 2 - r : side // 2 + r, side // 2 - r : side // 2 + r] for r in (4, 40)]
    nucleus, around = (ring.astype(float).mean(axis=(1, 2, 3)) for ring in rings)
    assert (nucleus < around).mean() > 0.9  # a nucleus, darker than what surrounds it, lies in the middle


def test_synthetic_cells_alone_are_enough() -> None:
    nuclei = read_nuclei(LesionConfig(phantoms=6, seed=9))
    assert 50 < nuclei.held_out.sum() < len(nuclei.held_out) - 50  # the last of six fields is left out


def test_what_cannot_be_learnt_from_is_refused(labelled: LesionConfig, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="width 64, not 4"):
        train_perceptual(labelled.model_copy(update={"start": "imagenet"}))
    with pytest.raises(OptionError, match="go together"):
        read_nuclei(labelled.model_copy(update={"nuclei": None}))
    with pytest.raises(OptionError, match="no nuclei to learn from"):
        read_nuclei(LesionConfig())
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for nuclei in ("other.csv", "absent.csv"):
        with pytest.raises(OptionError, match="table of nuclei"):
            read_nuclei(labelled.model_copy(update={"nuclei": tmp_path / nuclei}))
    normal_alone = labelled.nuclei.read_text().replace("HSIL", "NILM")
    (tmp_path / "normal.csv").write_text(normal_alone)
    with pytest.raises(OptionError, match="both classes"):
        read_nuclei(labelled.model_copy(update={"nuclei": tmp_path / "normal.csv"}))
