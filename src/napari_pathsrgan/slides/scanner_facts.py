"""What a slide says of its scanner: the compression, from the file, and the background, from the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_pathsrgan.errors import SlideUnreadableError
from napari_pathsrgan.imaging.estimate import Background, estimate_background
from napari_pathsrgan.imaging.jpeg import JpegFacts, read_jpeg
from napari_pathsrgan.slides.foreground import Glass, estimate_glass, foreground_weight
from napari_pathsrgan.slides.tiff_header import COMPRESSION, JPEG_TABLES, read_pages

if TYPE_CHECKING:
    import numpy.typing as npt

    from napari_pathsrgan.slides.slide import Slide

_JPEG = 7
_HEADER_BYTES = 1 << 14
_PLACES, _PLACE_PX = 24, 128


@dataclass(frozen=True, slots=True)
class ScannerFacts:
    """What is known of a scanner.

    Attributes
    ----------
    jpeg : JpegFacts, optional
        Of the slide's finest level; None for other compressions and for files that are no TIFF.
    background : Background, optional
        None where a slide shows too little of it, or has no pixel size yet.
    """

    jpeg: JpegFacts | None
    background: Background | None


def scanner_facts(slide: Slide) -> ScannerFacts:
    """Find out what a slide says of its scanner.

    Raises
    ------
    SlideUnreadableError
        If pixels that are looked at are damaged.
    """
    return ScannerFacts(_compression(slide), _background(slide) if slide.is_calibrated else None)


def _compression(slide: Slide) -> JpegFacts | None:
    if not slide.path.is_file():
        return None
    try:
        pages = read_pages(slide.path)
    except SlideUnreadableError:  # another format, which its own reader has opened
        return None
    for page in pages:
        if page.shape == slide.level_shapes[0] and page.integer(COMPRESSION, 1) == _JPEG:
            offsets, sizes = page.segments()
            filled = np.flatnonzero(sizes)
            if not len(filled):
                return None
            with slide.path.open("rb") as file:
                file.seek(int(offsets[filled[0]]))
                data = file.read(min(int(sizes[filled[0]]), _HEADER_BYTES))
            return read_jpeg(data, page.content(JPEG_TABLES))
    return None


def _background(slide: Slide) -> Background | None:
    """Measure on the emptiest of some places, spread over the slide, at the scan's own pixels."""
    glass = estimate_glass(slide, slide.mpp)
    if glass.white is None:
        return None
    places = [_read(slide, row, col, glass) for row, col in _corners(slide)]
    image = np.concatenate([pixels for pixels, _ in places])
    return estimate_background(image, np.concatenate([empty for _, empty in places]))


def _corners(slide: Slide) -> list[tuple[int, int]]:
    rows, cols = (max(size - _PLACE_PX, 0) for size in slide.level_shapes[0])
    drawn = np.random.default_rng(0).random((_PLACES, 2))
    return [(int(row * rows), int(col * cols)) for row, col in drawn]


def _read(slide: Slide, row: int, col: int, glass: Glass) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    pixels = slide.read_level(0, row, col, _PLACE_PX, _PLACE_PX)
    empty = foreground_weight(pixels, glass) == 0
    empty[[0, -1]] = False  # places lie one below the other: no difference across their edges counts
    return pixels, empty
