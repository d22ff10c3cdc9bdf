"""Stages of residual blocks, made for photographs: EDSR (Lim et al. 2017) and SRResNet (Ledig et al. 2017)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from napari_pathsrgan.models.blocks import ShuffleUp, conv


class EdsrBlock(nn.Module):
    """Two 3×3 convolutions around a ReLU, scaled and added to the input; no normalisation (Lim et al. 2017, Fig. 2c).

    Parameters
    ----------
    width : int
        Channels.
    scale : float
        Of what is added: 1 in the baseline, 0.1 in the full network.
    """

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width), nn.ReLU(inplace=True), conv(width, width))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) float → the same shape."""
        out: Tensor = x + self.scale * self.body(x)
        return out


class EdsrStage1(nn.Module):
    """EDSR up to its first PixelShuffle, and a convolution to the 10× image that the published network lacks.

    Parameters
    ----------
    width, blocks : int
        Channels and residual blocks.
    scale : float
        See `EdsrBlock`.
    """

    def __init__(self, width: int, blocks: int, scale: float) -> None:
        super().__init__()
        self.head = conv(3, width)
        self.blocks = nn.Sequential(*(EdsrBlock(width, scale) for _ in range(blocks)), conv(width, width))
        self.upsample = ShuffleUp(width, width, nn.Identity())
        self.picture = conv(width, 3)

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) → features (N, width, 2H, 2W) and image (N, 3, 2H, 2W)."""
        x = self.head(lr)
        features: Tensor = self.upsample(x + self.blocks(x))
        return features, self.picture(features)


class ShuffleTail(nn.Module):
    """What follows the first PixelShuffle of EDSR and of SRResNet: the second one and the last convolution.

    Parameters
    ----------
    width : int
        Channels.
    activation : nn.Module
        After the shuffle: none in EDSR, a PReLU in SRResNet.
    kernel : int
        Of the last convolution: 3 in EDSR, 9 in SRResNet.
    """

    def __init__(self, width: int, activation: nn.Module, kernel: int) -> None:
        super().__init__()
        self.upsample = ShuffleUp(width, width, activation)
        self.picture = conv(width, 3, kernel)

    def forward(self, features: Tensor) -> Tensor:
        """(N, width, H, W) → image (N, 3, 2H, 2W)."""
        out: Tensor = self.picture(self.upsample(features))
        return out


class _Norm(nn.BatchNorm2d):
    """A batch normalisation without its count of batches: a whole number, which nothing reads."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.num_batches_tracked = None

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *more: Any
    ) -> None:
        """Add no count where weights come without one: torch does so for weights older than the count."""
        known = {**local_metadata, "version": 2}
        super()._load_from_state_dict(state_dict, prefix, known, *more)


class SrresnetBlock(nn.Module):
    """Convolution, batch normalisation, PReLU, convolution and batch normalisation, added to the input.

    Parameters
    ----------
    width : int
        Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(width, width, bias=False), _Norm(width), nn.PReLU(),
            conv(width, width, bias=False), _Norm(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) float → the same shape."""
        out: Tensor = x + self.body(x)
        return out


class SrresnetFeatures(nn.Module):
    """SRResNet up to and with a PixelShuffle by 2 (Ledig et al. 2017, Fig. 4).

    Parameters
    ----------
    inputs, width, blocks : int
        Channels of the input and inside, and residual blocks.
    """

    def __init__(self, inputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Sequential(conv(inputs, width, 9), nn.PReLU())
        self.blocks = nn.Sequential(
            *(SrresnetBlock(width) for _ in range(blocks)), conv(width, width, bias=False), _Norm(width)
        )
        self.upsample = ShuffleUp(width, width, nn.PReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) → features (N, width, 2H, 2W)."""
        x = self.head(x)
        out: Tensor = self.upsample(x + self.blocks(x))
        return out


class SrresnetStage1(nn.Module):
    """An SRResNet × 2 that hands its features on.

    Parameters
    ----------
    width, blocks : int
        Channels and residual blocks.
    picture_kernel : int
        Of the convolution to the 10× image: 9 as SRResNet's last one, or less where it is ours.
    """

    def __init__(self, width: int, blocks: int, picture_kernel: int) -> None:
        super().__init__()
        self.features = SrresnetFeatures(3, width, blocks)
        self.picture = conv(width, 3, picture_kernel)

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) → features (N, width, 2H, 2W) and image (N, 3, 2H, 2W)."""
        features = self.features(lr)
        return features, self.picture(features)


class SrresnetStage2(nn.Module):
    """A whole SRResNet × 2 on features (Ma et al. 2020, Table IV, experiments 1 and 3).

    Parameters
    ----------
    inputs, width, blocks : int
        Channels of the features and inside, and residual blocks.
    """

    def __init__(self, inputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.features = SrresnetFeatures(inputs, width, blocks)
        self.picture = conv(width, 3, 9)

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) → image (N, 3, 2H, 2W)."""
        out: Tensor = self.picture(self.features(features))
        return out
