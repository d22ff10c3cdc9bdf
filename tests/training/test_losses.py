"""Every term by hand on pictures of a few pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_pathsrgan.models.perceptual import PerceptualNetwork
from napari_pathsrgan.training.losses import (
    adversarial,
    artifact_map,
    artifacts,
    charbonnier,
    discrimination,
    mse,
    perceptual,
    wavelet,
)


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


def test_the_artifact_map_by_hand() -> None:
    """One pixel of 7 × 7 is wrong by 0.7 in all; around the middle the window is the image itself."""
    real = torch.zeros(1, 3, 7, 7)
    computed = real.clone()
    computed[0, :, 3, 3] = torch.tensor([0.4, -0.2, 0.1])
    variance = (0.7**2 - 0.7**2 / 49) / 48
    averaged = real + 0.5  # farther from the truth nowhere but at the wrong pixel: 1.5 against 0.7
    assert float(artifact_map(computed, averaged, real).max()) == 0
    averaged = computed / 2  # closer at the wrong pixel, the same elsewhere
    found = artifact_map(computed, averaged, real)
    assert found.shape == (1, 1, 7, 7)
    assert float(found[0, 0, 3, 3]) == pytest.approx(variance**0.2 * variance, rel=1e-4)
    difference = found[0, 0, 3, 3] * 0.7 / (3 * 49)
    assert float(artifacts(computed, averaged, real)) == pytest.approx(float(difference), rel=1e-4)


def test_the_artifact_map_is_the_variance_in_mirrored_windows_times_that_of_the_image() -> None:
    torch.manual_seed(0)
    computed, averaged, real = torch.rand(3, 2, 3, 11, 9)
    found = artifact_map(computed, averaged, real)
    own, other = (np.abs((real - image).numpy()).sum(1) for image in (computed, averaged))
    for index in range(2):
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(own[index], 3, mode="reflect"), (7, 7))
        wanted = windows.var(axis=(2, 3), ddof=1) * own[index].var(ddof=1) ** 0.2
        wanted[own[index] < other[index]] = 0
        np.testing.assert_allclose(found[index, 0].numpy(), wanted, rtol=1e-3, atol=1e-6)


def test_the_artifact_loss_learns_from_the_image_and_not_from_its_map() -> None:
    torch.manual_seed(0)
    computed, averaged, real = torch.rand(3, 1, 3, 9, 9)
    computed.requires_grad_(True)
    artifacts(computed, averaged, real).backward()  # type: ignore[no-untyped-call]
    weights = artifact_map(computed, averaged, real)
    wanted = weights * torch.sign(computed.detach() - real) / computed.numel()
    torch.testing.assert_close(computed.grad, wanted)
    assert float(artifacts(real, averaged, real)) == 0


def test_the_wavelet_loss_by_hand() -> None:
    """Of one lit pixel each of four places sees a quarter of it in every high band."""
    real, computed = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    computed[0, 0, 1, 1] = 0.8
    first = 4 * 0.2 / 9  # in a band of 3 × 3 places
    assert float(wavelet(computed, real, levels=1)) == pytest.approx(first)
    second = 0.2 / 4  # the low band is 0.2 at 2 × 2 of 3 × 3 places; two apart, one place sees one of them
    assert float(wavelet(computed, real, levels=2)) == pytest.approx((first + second) / 2)


def test_the_wavelet_loss_is_blind_to_a_shift_of_level_and_the_same_wherever_a_detail_lies() -> None:
    torch.manual_seed(0)
    real = torch.rand(2, 3, 16, 16)
    assert float(wavelet(real + 0.3, real)) == pytest.approx(0, abs=1e-6)
    losses = []
    for row, column in ((5, 5), (5, 6), (6, 5), (8, 7)):
        changed = real.clone()
        changed[..., row, column] += 0.5
        losses.append(float(wavelet(changed, real)))
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-4)
