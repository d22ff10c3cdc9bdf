"""Building blocks of the generators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

RESIDUAL_SCALE_ADDITION = 0.5
"""β of the dense block by addition (Ma et al. 2020, § III-C)."""
RESIDUAL_SCALE_STACKING = 0.2
"""Residual scale of the dense block by concatenation (ESRGAN's choice; the paper names none)."""
_HAS_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


class SteadyConv2d(nn.Conv2d):
    """A convolution whose pixels are the same to the bit in windows of any size, in float32 on a CPU.

    For few pixels torch leaves oneDNN for another way, which adds up in another order. In inference mode this one does
    not.
    """

    def forward(self, x: Tensor) -> Tensor:
        """See `nn.Conv2d`."""
        if torch.is_inference_mode_enabled() and x.device.type == "cpu" and x.dtype == torch.float32 and _HAS_ONEDNN:
            assert not isinstance(self.padding, str)
            out: Tensor = torch.mkldnn_convolution(
                x, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
            )
            return out
        return super().forward(x)


def conv(inputs: int, outputs: int, kernel: int = 3, bias: bool = True) -> SteadyConv2d:
    """Build a convolution that keeps height and width; one that a batch normalisation follows needs no bias."""
    return SteadyConv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)


def centre(x: Tensor, height: int, width: int) -> Tensor:
    """Cut a (…, H, W) tensor to a height and width around its centre, as a view; both differ by an even number."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


def pad_nothing(stage: nn.Module) -> None:
    """Have a stage's convolutions compute only what has its context: features get smaller from layer to layer."""
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            module.padding = (0, 0)


class DenseAdditionBlock(nn.Module):
    """Dense block of constant width whose layers are joined by addition (Ma et al. 2020, Fig. 5).

    Four 3×3 convolutions with LeakyReLU and a linear one; the block's input is added to β times the result.

    Parameters
    ----------
    width : int
        Channels in, inside and out.
    negative_slope : float
        Of the LeakyReLU.
    dense_sum : {"running", "literal"}
        "running": sₖ = sₖ₋₁ + fₖ(sₖ₋₁). "literal": each layer adds every earlier partial sum once more, as the
        authors' released network does (and the network ``authors`` here); x then enters the last sum four times.
    """

    def __init__(self, width: int, negative_slope: float, dense_sum: Literal["running", "literal"]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv(width, width) for _ in range(4))
        self.last = conv(width, width)
        self.negative_slope = negative_slope
        self.dense_sum = dense_sum

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) float → the same shape."""
        if self.dense_sum == "running":
            total = x
            for layer in self.layers:
                total = total + self._activate(layer(total))
        else:
            first, second, third, fourth = self.layers
            s1 = x + self._activate(first(x))
            s2 = x + s1 + self._activate(second(s1))
            s3 = x + s1 + s2 + self._activate(third(s2))
            total = x + s1 + s2 + self._activate(fourth(s3))
        out: Tensor = x + RESIDUAL_SCALE_ADDITION * self.last(total)
        return out

    def _activate(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(x, self.negative_slope)


class DenseStackingBlock(nn.Module):
    """Dense block whose layers are joined by concatenation (Ma et al. 2020, § III-C: "stacking").

    Parameters
    ----------
    width : int
        Channels in and out.
    growth : int
        Channels that each of the four inner layers adds.
    """

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv(width + index * growth, growth) for index in range(4))
        self.last = conv(width + 4 * growth, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) float → the same shape."""
        stack = [x]
        for layer in self.layers:
            stack.append(functional.leaky_relu(layer(torch.cat(stack, dim=1)), 0.1))
        out: Tensor = x + RESIDUAL_SCALE_STACKING * self.last(torch.cat(stack, dim=1))
        return out


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a ReLU, added to the input: the cheapest block on a CPU (network ``lite``)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(width, width)
        self.second = conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) float → the same shape, or two pixels less on each side where nothing is padded."""
        out: Tensor = self.second(functional.relu(self.first(x), inplace=True))
        return out.add_(centre(x, *out.shape[2:]))  # in place, or a CPU spends a fifth of its time on moving sums about


class BicubicEnlargement(nn.Module):
    """Fixed bicubic enlargement by 2 or 4 (Keys' kernel, a = −0.5, pixel areas aligned at the corners).

    The same kernel as `slides.resample.enlarge`, written as a convolution and a pixel shuffle.

    Parameters
    ----------
    factor : {2, 4}
        Output pixels per input pixel.
    """

    kernel: Tensor

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        offsets = (torch.arange(factor, dtype=torch.float64) + 0.5) / factor - 0.5
        distance = (torch.arange(-2, 3, dtype=torch.float64)[None, :] - offsets[:, None]).abs()
        near = 1.5 * distance**3 - 2.5 * distance**2 + 1
        far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
        taps = torch.where(distance <= 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))
        kernel = torch.einsum("ay,bx->abyx", taps, taps).reshape(factor**2, 1, 5, 5)
        self.register_buffer("kernel", kernel.float(), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Follow a network to its device, but stay in float32 when the network is cast to fewer bits."""
        exact = self.kernel
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.kernel = exact.to(self.kernel.device)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) float → (N, C, factor·H, factor·W) in the kernel's dtype, float32."""
        batch, channels, height, width = x.shape
        planes = x.to(self.kernel.dtype).reshape(batch * channels, 1, height, width)
        padded = functional.pad(planes, (2, 2, 2, 2), mode="replicate")
        phases = functional.conv2d(padded, self.kernel)
        enlarged = functional.pixel_shuffle(phases, self.factor)
        return enlarged.reshape(batch, channels, height * self.factor, width * self.factor)


class ShuffleUp(nn.Module):
    """A 3×3 convolution, PixelShuffle by 2 and an activation.

    Parameters
    ----------
    inputs, outputs : int
        Channels before and after.
    activation : nn.Module
        Applied after the shuffle.
    """

    def __init__(self, inputs: int, outputs: int, activation: nn.Module) -> None:
        super().__init__()
        self.conv = conv(inputs, 4 * outputs)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) float → (N, outputs, 2H, 2W)."""
        out: Tensor = self.activation(functional.pixel_shuffle(self.conv(x), 2))
        return out


class ImageHandOver(nn.Module):
    """A stage 1 that hands its 10× image on instead of its features (Ma et al. 2020, Table IV).

    Parameters
    ----------
    stage : nn.Module
        Its last layer is ``picture``.
    """

    def __init__(self, stage: nn.Module) -> None:
        super().__init__()
        self.stage = stage

    @property
    def picture(self) -> nn.Module:
        """The convolution to the 10× image."""
        assert isinstance(self.stage.picture, nn.Module)
        return self.stage.picture

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) → the image (N, 3, 2H, 2W), twice."""
        _, image = self.stage(lr)
        return image, image


class FromImage(nn.Module):
    """A stage 2 that begins with a 9×9 convolution from an image to features.

    Parameters
    ----------
    stage : nn.Module
        Its last layer is ``picture``.
    width : int
        Channels of the features.
    """

    def __init__(self, stage: nn.Module, width: int) -> None:
        super().__init__()
        self.head = conv(3, width, 9)
        self.stage = stage

    @property
    def picture(self) -> nn.Module:
        """The convolution to the 20× image."""
        assert isinstance(self.stage.picture, nn.Module)
        return self.stage.picture

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) → image (N, 3, 2H, 2W)."""
        out: Tensor = self.stage(self.head(image))
        return out
