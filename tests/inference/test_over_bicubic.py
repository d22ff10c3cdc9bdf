"""What stages give, over the bicubic enlargement."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_pathsrgan.inference.over_bicubic import OverBicubic, only_enlarged
from napari_pathsrgan.models.blocks import BicubicEnlargement

from .specimens import texture

WINDOW = texture(56, 64)
WEIGHT = np.random.default_rng(1).random((56, 64)).astype(np.float32)
_CPU = torch.device("cpu")


def residuals(factor: int, halo: int, scale: float = 0.05) -> torch.Tensor:
    """(1, 3, h, w) float32, a little larger than the window without its halo."""
    height, width = (factor * (size - 2 * halo) + 2 * factor for size in WINDOW.shape[:2])
    return scale * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("halo", [0, 2, 9])
def test_nothing_taken_of_a_network_is_what_background_is(factor: int, halo: int) -> None:
    none = np.zeros_like(WEIGHT)
    for is_residual in (True, False):
        computed = residuals(factor, halo)
        pixels = OverBicubic(_CPU).pixels(computed, WINDOW, factor, halo, is_residual, none)
        assert np.array_equal(pixels, only_enlarged(WINDOW, factor, halo))


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["all", "mixed"])
@pytest.mark.parametrize("is_residual", [True, False])
@pytest.mark.parametrize("factor", [2, 4])
def test_a_graphics_cards_way_gives_the_same_within_a_grey_level(
    factor: int, is_residual: bool, weight: np.ndarray | None
) -> None:
    ours, cards = OverBicubic(_CPU), OverBicubic(_CPU)
    cards._on_card = {factor: BicubicEnlargement(factor)}
    for halo in (0, 2, 9):
        computed = residuals(factor, halo) + (0.0 if is_residual else 0.5)
        one, other = (way.pixels(computed, WINDOW, factor, halo, is_residual, weight) for way in (ours, cards))
        assert one.shape == (factor * (56 - 2 * halo), factor * (64 - 2 * halo), 3)
        apart = np.abs(one.astype(int) - other.astype(int))
        assert apart.max() <= 1
        assert np.mean(apart > 0) < 1e-3


def test_what_is_brighter_than_white_is_white() -> None:
    pixels = OverBicubic(_CPU).pixels(residuals(2, 2) + 2, WINDOW, 2, 2, True, None)
    assert np.all(pixels == 255)
    assert np.all(OverBicubic(_CPU).pixels(residuals(2, 2) - 2, WINDOW, 2, 2, True, None) == 0)


def test_what_a_stage_gave_is_left_as_it_was() -> None:
    """OpenVINO's tensors belong to its request."""
    computed = residuals(2, 2)
    before = computed.clone()
    OverBicubic(_CPU).pixels(computed, WINDOW, 2, 2, False, WEIGHT)
    assert torch.equal(computed, before)
