"""What a network's stages give, made into pixels over the bicubic enlargement of the window."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from napari_pathsrgan.models.blocks import BicubicEnlargement, centre
from napari_pathsrgan.slides.resample import enlarge, enlarge_unrounded

if TYPE_CHECKING:
    from napari_pathsrgan.types import Pixels

Weights = npt.NDArray[np.float32]
_Level = TypeVar("_Level", np.uint8, np.float32)

_REACH_PX = 2
"""How far the bicubic kernel looks, input pixels."""


class OverBicubic:
    """Makes pixels of what stages give: added to the bicubic enlargement, or mixed with it where cells fade out.

    On a CPU a pixel has the same bits whatever the window, and one whose weight is 0 those of background that no
    network saw. A graphics card enlarges by its own arithmetic: waiting for the CPU would take it longer than the
    network.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._on_card = {factor: BicubicEnlargement(factor).to(device) for factor in (2, 4) if device.type != "cpu"}

    def pixels(
        self, computed: Tensor, window: Pixels, factor: int, halo: int, is_residual: bool, weight: Weights | None
    ) -> Pixels:
        """Make pixels of the window without its halo.

        Parameters
        ----------
        computed : (1, 3, h, w) float
            Of the enlarged window's centre, 0 to 1: residuals, or the picture itself.
        window : (H, W, 3) uint8
        factor : {2, 4}
        halo : int
            Input pixels.
        is_residual : bool
        weight : (H, W) float32, optional
            How much of the difference to the bicubic enlargement to take, 0 to 1; all of it where not given.

        Returns
        -------
        (factor · (H − 2 halo), factor · (W − 2 halo), 3) uint8
        """
        height, width = (factor * (size - 2 * halo) for size in window.shape[:2])
        levels = centre(computed, height, width)[0].permute(1, 2, 0).float().contiguous().mul(255)
        if is_residual or weight is not None:
            bicubic = self._bicubic(window, factor, halo)
            if not is_residual:
                levels.sub_(bicubic)
            if weight is not None:
                small = torch.from_numpy(weight)[None, None].to(self._device)
                large = functional.interpolate(small, scale_factor=factor, mode="bilinear", align_corners=False)
                levels.mul_(centre(large, height, width)[0].permute(1, 2, 0))
            levels.add_(bicubic)
        # Clamped before the cast, since a value above 255 would wrap around to black.
        pixels: Pixels = levels.round_().clamp_(0, 255).to(torch.uint8).cpu().numpy()
        return pixels

    def _bicubic(self, window: Pixels, factor: int, halo: int) -> Tensor:
        seen = _seen(window, halo)
        if not self._on_card:
            return torch.from_numpy(core(enlarge_unrounded(seen, factor), factor * _REACH_PX))
        planes = torch.from_numpy(seen).to(self._device).permute(2, 0, 1)[None].float()
        height, width = (factor * (size - 2 * _REACH_PX) for size in seen.shape[:2])
        return centre(self._on_card[factor](planes), height, width)[0].permute(1, 2, 0)


def only_enlarged(window: Pixels, factor: int, halo: int) -> Pixels:
    """Enlarge a window without its halo by the bicubic kernel; parameters and result as for `OverBicubic.pixels`."""
    return core(enlarge(_seen(window, halo), factor), factor * _REACH_PX)


def core(picture: npt.NDArray[_Level], border: int) -> npt.NDArray[_Level]:
    """Cut a border off, as a view."""
    height, width = picture.shape[:2]
    return picture[border : height - border, border : width - border]


def _seen(window: Pixels, halo: int) -> Pixels:
    """What the bicubic kernel sees of a window without its halo; beyond its border the last pixels go on."""
    known = min(halo, _REACH_PX)
    missing = _REACH_PX - known
    inside = core(window, halo - known)
    return np.asarray(
        cv2.copyMakeBorder(inside, missing, missing, missing, missing, cv2.BORDER_REPLICATE), dtype=np.uint8
    )
