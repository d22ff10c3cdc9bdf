"""Between two models: the ends are the ends, and what is no mixture is refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_pathsrgan.commands.app import main
from napari_pathsrgan.errors import CardMismatchError, CheckpointError, OptionError, OutputError
from napari_pathsrgan.models.blending import blend_models
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import load_generator, save_generator
from napari_pathsrgan.models.weights_file import read_weights
from napari_pathsrgan.models.zoo import find_model

TINY = {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "soft.safetensors", tmp_path / "sharp.safetensors"
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        card = ModelCard(name=path.stem, preset="lite", preset_options=TINY, metrics={"psnr_20x": 27.0})
        save_generator(build_generator("lite", **TINY), card, path)
    return paths


def test_the_ends_are_the_models_themselves(two: tuple[Path, Path]) -> None:
    for weight, path in zip((0.0, 1.0), two, strict=True):
        mixed, _ = blend_models(*two, weight)
        whole, _ = read_weights(path)
        assert all(np.array_equal(value, whole[name]) for name, value in mixed.items())


def test_between_them_lie_the_weights_and_the_card_says_so(two: tuple[Path, Path]) -> None:
    mixed, card = blend_models(*two, 0.25)
    soft, sharp = (read_weights(path)[0] for path in two)
    for name, value in mixed.items():
        np.testing.assert_allclose(value, 0.75 * soft[name] + 0.25 * sharp[name], rtol=1e-6, atol=1e-7)
    assert card.name == "sharp 25 %"
    assert card.command == "pathsrgan models blend soft sharp --weight 0.25"
    assert not card.metrics


def test_what_cannot_be_mixed(two: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"1\.5"):
        blend_models(*two, 1.5)
    other = tmp_path / "other.safetensors"
    options = TINY | {"width": 16}
    save_generator(
        build_generator("lite", **options), ModelCard(name="other", preset="lite", preset_options=options), other
    )
    with pytest.raises(CardMismatchError, match="different networks"):
        blend_models(two[0], other, 0.5)


def test_the_verb_writes_the_mixture_once(two: tuple[Path, Path], tmp_path: Path) -> None:
    words = ["models", "blend", *map(str, two), "--weight", "0.5", "--out", str(tmp_path / "half.safetensors")]
    assert main(words) == 0
    assert load_generator(tmp_path / "half.safetensors")[1].name == "sharp 50 %"
    assert main(words) == 2


# --- by name and weight -------------------------------------------------------------------------------------------


@pytest.fixture
def related(two: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, Path]:
    """The two as a user's own models, of which the sharp one names the soft one as its PSNR model."""
    soft, sharp = two
    network, card = load_generator(sharp)
    save_generator(network, card.model_copy(update={"psnr_model": "soft"}), sharp)
    monkeypatch.setenv("PATHSRGAN_MODELS", str(tmp_path))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_: tmp_path / "cache")
    return soft, sharp


def test_a_weight_behind_a_name_mixes_the_model_with_its_psnr_model(related: tuple[Path, Path]) -> None:
    found = find_model("sharp@0.25")
    mixed, card = read_weights(found)
    assert card.name == "sharp 25 %"
    wanted, _ = blend_models(*related, 0.25)
    assert all(np.array_equal(value, wanted[name]) for name, value in mixed.items())


@pytest.mark.skipif(os.name != "posix", reason="needs modes of files")
def test_mixtures_are_their_owner_s_alone_at_any_umask(related: tuple[Path, Path]) -> None:
    before = os.umask(0)
    try:
        found = find_model("sharp@0.25")
        found.chmod(0o644)  # as an earlier version left it
        found.parent.chmod(0o755)
        assert find_model("sharp@0.25") == found
    finally:
        os.umask(before)
    assert stat.S_IMODE(found.stat().st_mode) == 0o600
    assert stat.S_IMODE(found.parent.stat().st_mode) == 0o700


def test_a_mixture_is_made_once_and_anew_when_a_model_changes(related: tuple[Path, Path]) -> None:
    found = find_model("sharp@0.25")
    made = found.stat().st_mtime_ns
    assert find_model("sharp@0.250") == found
    assert found.stat().st_mtime_ns == made
    torch.manual_seed(2)
    save_generator(build_generator("lite", **TINY), load_generator(related[0])[1], related[0])
    assert find_model("sharp@0.25") != found


def test_the_ends_by_name_are_the_files_themselves(related: tuple[Path, Path]) -> None:
    assert find_model("sharp@0") == related[0]
    assert find_model("sharp@1") == related[1]


@pytest.mark.parametrize(
    ("reference", "error", "words"),
    [
        ("soft@0.5", OptionError, "no PSNR model"),
        ("sharp@1.5", OptionError, r"weight of 1\.5"),
        ("sharp@nan", OptionError, "weight of nan"),
        ("sharp@half", CheckpointError, "no model “sharp@half”"),
        ("blunt@0.5", CheckpointError, "no model “blunt”"),
    ],
)
def test_what_is_no_share(related: tuple[Path, Path], reference: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        find_model(reference)


def test_a_mixture_that_finds_no_room_is_told(related: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        find_model("sharp@0.5")
