"""The recipes: what is published, what is ours, and that settings which are not given come from the one named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from napari_pathsrgan.models.discriminator import PatchDiscriminator
from napari_pathsrgan.training.config import TrainingConfig
from napari_pathsrgan.training.recipes import LAPTOP, PUBLISHED, RECIPES, Recipe

PAIRS = (Path("pairs.zarr"),)


@pytest.mark.parametrize("given", [{}, {"recipe": "published"}], ids=["by default", "by name"])
def test_all_published_settings_are_the_defaults(given: dict[str, str]) -> None:
    config = TrainingConfig(pairs=PAIRS, **given)  # type: ignore[arg-type]
    assert (config.preset, config.preset_options, config.patch_lr_px) == ("paper", {}, 128)
    assert (config.alpha, config.beta, config.pixel_loss) == (6e-3, 1e-3, "mse")
    assert (config.perceptual, config.perceptual_cuts) == ("vgg16", ("relu5_3",))
    assert (config.learning_rates, config.schedule, config.epochs) == ((1e-4, 1e-4, 1e-5), "halved", (6, 6, 2))
    assert config.discriminator() == {"width": 64, "down": "max", "norm": "batch"}
    ours = ("grad_clip_norm", "ema", "critic_crop_jitter_px", "critic_blur_sigma_px", "stain_jitter", "scanner_jitter")
    assert not any(getattr(config, name) for name in (*ours, "artifact_weight", "wavelet_weight"))


def test_the_published_discriminator_answers_for_8_by_8_places_at_10x() -> None:
    config = TrainingConfig(pairs=PAIRS)
    with torch.device("meta"):
        discriminator = PatchDiscriminator(**config.discriminator()).eval()
        image = torch.empty(1, 3, 2 * config.patch_lr_px, 2 * config.patch_lr_px)
    assert discriminator(image).shape == (1, 1, 8, 8)


def test_a_recipe_gives_what_is_not_given() -> None:
    config = TrainingConfig(pairs=PAIRS, recipe="laptop", batch_size=3)
    for name in Recipe.model_fields:
        assert getattr(config, name) == (3 if name == "batch_size" else getattr(LAPTOP, name)), name
    again = TrainingConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert TrainingConfig(pairs=PAIRS, recipe="laptop", ema=0.0).ema == 0  # given, if as the other recipe has it


def test_recipes_are_found_by_their_names_and_frozen() -> None:
    assert dict(RECIPES) == {"published": PUBLISHED, "laptop": LAPTOP}
    with pytest.raises(ValidationError, match="frozen"):
        PUBLISHED.batch_size = 2  # type: ignore[misc]


def test_an_artifact_loss_needs_an_average_to_compare_with() -> None:
    with pytest.raises(ValidationError, match="must be above 0"):
        TrainingConfig(pairs=PAIRS, artifact_weight=0.1)
    assert TrainingConfig(pairs=PAIRS, artifact_weight=0.1, ema=0.9).artifact_weight == 0.1
