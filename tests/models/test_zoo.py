"""Models by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_pathsrgan.errors import CheckpointError
from napari_pathsrgan.models import zoo
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import load_generator, save_generator
from napari_pathsrgan.models.weights_file import read_weights

TINY = {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A folder of shipped weights and one of the user's, both with a model called "lite"."""
    shipped, user = tmp_path / "shipped", tmp_path / "user"
    monkeypatch.setattr(zoo, "SHIPPED_FOLDER", shipped)
    monkeypatch.setenv("PATHSRGAN_MODELS", str(user))
    network = build_generator("lite", **TINY)
    for folder, name in ((shipped, "lite"), (user, "lite"), (user, "mine")):
        card = ModelCard(name=f"{name} of {folder.name}", preset="lite", preset_options=TINY)
        save_generator(network, card, folder / f"{name}.safetensors")
    return shipped, user


def test_shipped_names_are_not_hidden(folders: tuple[Path, Path]) -> None:
    shipped, user = folders
    assert zoo.available_models() == {"lite": shipped / "lite.safetensors", "mine": user / "mine.safetensors"}
    assert zoo.model_card("lite").name == "lite of shipped"
    assert zoo.model_card("mine").name == "mine of user"


def test_a_file_or_a_run_folder_is_a_model_too(folders: tuple[Path, Path], tmp_path: Path) -> None:
    _, user = folders
    assert zoo.find_model(user / "lite.safetensors") == user / "lite.safetensors"
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(CheckpointError, match="There is no model"):
        zoo.find_model(run)
    (user / "mine.safetensors").rename(run / zoo.RUN_FOLDER_FILE)
    assert zoo.find_model(run) == run / zoo.RUN_FOLDER_FILE


def test_an_unknown_name_is_told_the_known_ones(folders: tuple[Path, Path]) -> None:
    with pytest.raises(CheckpointError, match="lite, mine"):
        zoo.find_model("srgan")


def test_a_copied_model_is_its_owners_alone(folders: tuple[Path, Path], tmp_path: Path) -> None:
    _, user = folders
    user.chmod(0o755)
    source = (user / "mine.safetensors").rename(tmp_path / "run.safetensors")
    source.chmod(0o644)
    added = zoo.add_model(source)
    assert (user.stat().st_mode & 0o777, added.stat().st_mode & 0o777) == (0o700, 0o600)
    assert added.read_bytes() == source.read_bytes()


def test_cards_are_read_without_torch() -> None:
    code = "import sys, napari_pathsrgan.models.zoo as zoo; zoo.available_models(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_models_that_ship_load_and_can_be_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo.platformdirs, "user_cache_path", lambda *_: tmp_path)
    files = {path.stem: path for path in zoo.SHIPPED_FOLDER.glob("*.safetensors")}
    assert set(files) == {"lite", "lite-psnr"}
    psnr_model, gan_model = (read_weights(files[name])[0] for name in ("lite-psnr", "lite"))
    halfway, _ = read_weights(zoo.find_model("lite@0.5"))
    for name, value in gan_model.items():
        np.testing.assert_allclose(halfway[name], (value + psnr_model[name]) / 2, atol=1e-6)
    for path in files.values():
        assert path.stat().st_size < 5e6
        network, card = load_generator(path)
        assert card.name == path.stem
        assert card.halo_lr_px == network.halo_lr_px
        for view in ("10x", "20x"):
            assert card.metrics[f"psnr_{view}_clean"] > card.metrics[f"psnr_{view}_clean_bicubic"]
