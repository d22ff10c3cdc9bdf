"""Every term by hand on pictures of a few pixels."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from napari_pathsrgan.models.perceptual import PerceptualNetwork
from napari_pathsrgan.training.losses import adversarial, charbonnier, discrimination, mse, perceptual


def test_pixel_losses() -> None:
    computed, real = torch.tensor([[[[0.5, 0.2]]]]), torch.tensor([[[[0.1, 0.2]]]])
    assert float(mse(computed, real)) == pytest.approx(0.16 / 2)
    assert float(charbonnier(computed, real, 0.3)) == pytest.approx((0.5 + 0.3) / 2)


def test_adversarial_losses() -> None:
    for_computed, for_real = torch.tensor([[[[0.0, -2.0]]]]), torch.tensor([[[[1.0, 3.0]]]])

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    assert float(adversarial(for_computed)) == pytest.approx(-(math.log(0.5) + math.log(sigmoid(-2))) / 2)
    real = -(math.log(sigmoid(1)) + math.log(sigmoid(3))) / 2
    computed = -(math.log(1 - 0.5) + math.log(1 - sigmoid(-2))) / 2
    assert float(discrimination(for_real, for_computed)) == pytest.approx((real + computed) / 2)


def test_sure_judges_give_finite_losses() -> None:
    sure = torch.full((1, 1, 1, 1), 500.0)
    assert float(adversarial(-sure)) == pytest.approx(500)
    assert float(discrimination(-sure, sure)) == pytest.approx(500)
    assert float(discrimination(sure, -sure)) == 0


@pytest.mark.parametrize("cut", ["relu1_2", "relu5_3"])
def test_perceptual_loss_compares_scaled_feature_maps(cut: str) -> None:
    torch.manual_seed(0)
    network = PerceptualNetwork(2).frozen()
    network.scale.fill_(2.0)
    computed, real = torch.rand(2, 3, 32, 32, requires_grad=True), torch.rand(2, 3, 32, 32)
    loss = perceptual(network, (cut,), computed, real)
    maps = [network.at(picture, (cut,))[0] for picture in (computed, real)]
    assert float(loss.detach()) == pytest.approx(float(functional.mse_loss(*maps).detach()) / 4, rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert computed.grad is not None
    assert computed.grad.abs().sum() > 0
    assert float(perceptual(network, (cut,), real, real)) == 0


def test_perceptual_loss_of_several_cuts_is_their_mean() -> None:
    torch.manual_seed(0)
    network = PerceptualNetwork(2).frozen()
    network.scale.copy_(torch.arange(1.0, 6.0))
    computed, real = torch.rand(2, 2, 3, 32, 32)
    cuts = ("relu3_3", "relu1_2")
    single = [float(perceptual(network, (cut,), computed, real)) for cut in cuts]
    assert float(perceptual(network, cuts, computed, real)) == pytest.approx(sum(single) / 2)
    assert single[0] != pytest.approx(single[1])
