"""The discriminators: shapes and costs as METHOD § 3 has them."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from napari_pathsrgan.models.discriminator import REDUCTION, PatchDiscriminator, judge


@pytest.mark.parametrize("down", ["max", "stride"])
@pytest.mark.parametrize("norm", ["batch", "spectral"])
@pytest.mark.parametrize(("side", "answers"), [(256, 8), (512, 16), (192, 6)])
def test_one_answer_for_each_place(down: str, norm: str, side: int, answers: int) -> None:
    network = PatchDiscriminator(4, down, norm).eval()  # type: ignore[arg-type]
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, side, side)).shape == (1, 1, answers, answers)
    assert side // REDUCTION == answers


@pytest.mark.parametrize(("down", "gmac"), [("max", 14.6), ("stride", 6.5)])
def test_parameters_and_cost(down: str, gmac: float) -> None:
    with torch.device("meta"):
        network = PatchDiscriminator(64, down).eval()  # type: ignore[arg-type]
        picture = torch.zeros(1, 3, 256, 256)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(picture)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(9.42e6, rel=0.01)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmac, rel=0.01)


def test_leaving_the_range_does_not_give_a_picture_away() -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator(4, norm="spectral").eval()
    picture = torch.rand(1, 3, 64, 64).round()
    assert torch.equal(judge(network, picture * 1.2 - 0.1), judge(network, picture))
