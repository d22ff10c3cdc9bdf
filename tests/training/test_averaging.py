"""The moving average of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_pathsrgan.training.averaging import update_ema


def two_networks() -> tuple[nn.Module, nn.Module]:
    return tuple(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)) for _ in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize("decay", [0.0, 0.25, 1.0])
def test_weights_keep_their_share_and_statistics_are_copied(decay: float) -> None:
    average, network = two_networks()
    before = {name: value.clone() for name, value in average.state_dict().items()}
    network(torch.rand(3, 1, 4, 4))  # moves the statistics
    update_ema(average, network, decay)
    after, current = average.state_dict(), network.state_dict()
    for name, _ in network.named_parameters():
        torch.testing.assert_close(after[name], decay * before[name] + (1 - decay) * current[name])
    for name, _ in network.named_buffers():
        assert torch.equal(after[name], current[name]), name
    assert int(after["1.num_batches_tracked"]) == 1
    assert not torch.equal(after["1.running_mean"], before["1.running_mean"])
