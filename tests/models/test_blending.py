"""Between two models: the ends are the ends, and what is no mixture is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_pathsrgan.cli import main
from napari_pathsrgan.errors import CardMismatchError, OptionError
from napari_pathsrgan.models.blending import blend_models
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.checkpoint import load_generator, save_generator
from napari_pathsrgan.models.presets import build_generator

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
    for share, path in zip((0.0, 1.0), two, strict=True):
        mixed, _ = blend_models(*two, share)
        whole = load_generator(path)[0].state_dict()
        assert all(torch.equal(value, whole[name]) for name, value in mixed.state_dict().items())


def test_between_them_lie_the_weights_and_the_card_says_so(two: tuple[Path, Path]) -> None:
    mixed, card = blend_models(*two, 0.25)
    soft, sharp = (load_generator(path)[0].state_dict() for path in two)
    for name, value in mixed.state_dict().items():
        torch.testing.assert_close(value, 0.75 * soft[name] + 0.25 * sharp[name])
    assert card.name == "sharp 25 %"
    assert card.command == "pathsrgan models blend soft sharp --share 0.25"
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
    words = ["models", "blend", *map(str, two), "--share", "0.5", "--out", str(tmp_path / "half.safetensors")]
    assert main(words) == 0
    assert load_generator(tmp_path / "half.safetensors")[1].name == "sharp 50 %"
    assert main(words) == 2
