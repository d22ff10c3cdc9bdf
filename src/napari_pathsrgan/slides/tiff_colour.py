"""From the samples of a TIFF's page to RGB, as TIFF 6.0 says: § 4 to 6 (gray, palette, RGB), 18 (alpha), 21 (YCbCr)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.errors import SlideUnreadableError
from napari_pathsrgan.slides.colour import on_white
from napari_pathsrgan.slides.tiff_header import (
    COLORMAP,
    COMPRESSION,
    EXTRA_SAMPLES,
    PHOTOMETRIC,
    REFERENCE_BLACK_WHITE,
    SAMPLE_FORMAT,
    YCBCR_COEFFICIENTS,
    Page,
)

Samples = npt.NDArray[np.uint8]

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
_COLOURS = {MIN_IS_WHITE: 1, MIN_IS_BLACK: 1, RGB: 3, PALETTE: 1, YCBCR: 3}
_OTHER = {4: "a mask", 5: "CMYK", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "a sensor's mosaic", 34892: "raw"}
_ASSOCIATED, _UNASSOCIATED = 1, 2
_UNSIGNED = (1, 4)
_JPEG, _GIVING_RGB = 7, frozenset({22610, 34933, 34934, 50001, 50002, 52546})
"""Codecs, the latter of whole images that know their colours: JPEG XR, PNG, WebP, JPEG XL."""
_REMEDY = "Export it from its own software as an 8-bit RGB TIFF."


@dataclass(frozen=True)
class YCbCr:
    """How YCbCr was made from RGB; without arguments as JPEG does it.

    Attributes
    ----------
    luma : tuple of 3 float
        Shares of red, green and blue in Y.
    reference : tuple of 6 float
        Codes of black and white of Y, Cb and Cr.
    """

    luma: tuple[float, ...] = (0.299, 0.587, 0.114)
    reference: tuple[float, ...] = (0, 255, 128, 255, 128, 255)

    @classmethod
    def of(cls, page: Page) -> Self:
        """Read the tags YCbCrCoefficients and ReferenceBlackWhite.

        Raises
        ------
        OSError
            If they make no sense.
        """
        luma = page.numbers(YCBCR_COEFFICIENTS) or cls.luma
        reference = page.numbers(REFERENCE_BLACK_WHITE) or cls.reference
        if len(luma) != 3 or len(reference) != 6 or not np.isfinite((*luma, *reference)).all() or luma[1] == 0:
            raise OSError("Coefficients of YCbCr that make no sense.")
        if any(black == white for black, white in zip(reference[::2], reference[1::2], strict=True)):
            raise OSError("Reference black that is white.")
        near = np.allclose(luma, cls.luma, atol=1e-4) and np.allclose(reference, cls.reference, atol=1e-4)
        return cls() if near else cls(luma, reference)

    def to_rgb(self, samples: Samples) -> Samples:
        """Convert (..., 3) uint8."""
        black, white = np.reshape(np.array(self.reference, np.float32), (3, 2)).T
        full = (samples - black) * (np.array((255, 127, 127), np.float32) / (white - black))
        (red_share, green_share, blue_share), (y, cb, cr) = self.luma, np.moveaxis(full, -1, 0)
        red = y + (2 - 2 * red_share) * cr
        blue = y + (2 - 2 * blue_share) * cb
        green = (y - blue_share * blue - red_share * red) / green_share
        rgb: Samples = np.clip(np.rint(np.stack([red, green, blue], -1)), 0, 255).astype(np.uint8)
        return rgb


@dataclass(frozen=True)
class PageColour:
    """What the samples of a page mean.

    Attributes
    ----------
    photometric : int
    bits : int
    palette : (N, 3) uint8 or None
    ycbcr : YCbCr or None
        None where the codec gives RGB.
    alpha : int
        The tag ExtraSamples, 0 without alpha.
    jpeg_is_ycbcr : bool
        Whether the codec for JPEG converts YCbCr, as most are made, to RGB.
    """

    photometric: int
    bits: int
    palette: Samples | None
    ycbcr: YCbCr | None
    alpha: int

    jpeg_is_ycbcr: bool

    @classmethod
    def of(cls, page: Page, name: str) -> Self:
        """Read what a page's samples mean.

        Raises
        ------
        SlideUnreadableError
            If they aren't gray, a palette's or colours of up to 8 bits.
        OSError
            If the page is damaged.
        """
        photometric, alpha = _refuse_unless_colours(page, name)
        compression, jpeg_is_ycbcr = page.integer(COMPRESSION, 1), False
        ycbcr = YCbCr.of(page) if photometric == YCBCR and compression not in _GIVING_RGB else None
        if compression == _JPEG and ycbcr == YCbCr() and page.samples == 3 and not page.planar:
            ycbcr, jpeg_is_ycbcr = None, True
        palette = _palette(page) if photometric == PALETTE else None
        return cls(photometric, max(page.bits), palette, ycbcr, alpha, jpeg_is_ycbcr)

    def to_rgb(self, samples: Samples) -> Samples:
        """Convert (rows, cols, samples) uint8 to (rows, cols, 3) uint8 on white."""
        colours = samples[..., : _COLOURS[self.photometric]]
        if self.photometric in (MIN_IS_WHITE, MIN_IS_BLACK):
            colours = np.repeat(self._gray(colours), 3, axis=2)
        elif self.palette is not None:
            colours = self.palette[colours[..., 0]]
        elif self.ycbcr is not None:
            colours = self.ycbcr.to_rgb(colours)
        if self.alpha == _UNASSOCIATED:
            return on_white(np.concatenate([colours, samples[..., -1:]], axis=2))
        if self.alpha == _ASSOCIATED:
            behind = np.uint16(255) - samples[..., -1:]
            return np.minimum(colours + behind, 255).astype(np.uint8)
        return np.ascontiguousarray(colours)

    def _gray(self, values: Samples) -> Samples:
        scaled = values * np.uint8(255 // ((1 << self.bits) - 1))
        return ~scaled if self.photometric == MIN_IS_WHITE else scaled


def refuse_deep_pixels(name: str, page: Page) -> None:
    """Raise SlideUnreadableError if a page has more than 8 bits per sample: OpenSlide would cut them off."""
    if max(page.bits) > 8:
        raise SlideUnreadableError(f"{name} has pixels that are {max(page.bits)}-bit, not 8-bit.", _REMEDY)


def _refuse_unless_colours(page: Page, name: str) -> tuple[int, int]:
    """Return the photometric interpretation and the kind of alpha, or raise and say what is in the way."""
    photometric, bits = page.integer(PHOTOMETRIC, MIN_IS_BLACK), set(page.bits)
    formats = page.integers(SAMPLE_FORMAT)
    if photometric not in _COLOURS:
        what = _OTHER.get(photometric, f"kind {photometric}")
        raise SlideUnreadableError(f"{name} stores its colours as {what}, not as gray or RGB.", _REMEDY)
    gray = _COLOURS[photometric] == 1
    if formats is not None and not set(formats.tolist()) <= set(_UNSIGNED):
        raise SlideUnreadableError(f"{name} has pixels that are not whole numbers from 0 to 255.", _REMEDY)
    if len(bits) != 1 or not bits <= ({1, 2, 4, 8} if gray else {8}):
        kind = "- and ".join(map(str, sorted(bits)))
        raise SlideUnreadableError(f"{name} has pixels that are {kind}-bit, not 8-bit.", _REMEDY)
    return photometric, _alpha(page, name, page.samples - _COLOURS[photometric], gray)


def _alpha(page: Page, name: str, extra: int, gray: bool) -> int:
    if extra < 0:
        raise OSError("Fewer samples than colours.")
    if extra == 0:
        return 0
    kind = page.integer(EXTRA_SAMPLES, 0)
    if extra == 1 and kind in (_ASSOCIATED, _UNASSOCIATED):
        return kind
    if gray:
        raise SlideUnreadableError(
            f"{name} holds {page.samples} channels, such as those of fluorescence, not one colour image.", _REMEDY
        )
    raise SlideUnreadableError(f"{name} has {extra} more samples per pixel than colours, of unknown meaning.", _REMEDY)


def _palette(page: Page) -> Samples:
    size = 1 << max(page.bits)
    values = page.integers(COLORMAP)
    if values is None or len(values) != 3 * size:
        raise OSError("A palette of another length than it should be.")
    shift = 8 if values.max() > 255 else 0  # some old writers scale to 255, not to 65535
    return (values.reshape(3, size).T >> shift).astype(np.uint8)
