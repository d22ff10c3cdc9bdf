"""What a slide shows of its scanner: compression, background, noise, aperture and sharpening.

A few dozen small places are read, whatever the slide's size: some with cells, some empty, at the scan's own pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.imaging.estimate import Background, estimate_background
from napari_pathsrgan.imaging.jpeg_grid import JpegGrid, find_jpeg_grid
from napari_pathsrgan.imaging.measured import NotMeasurable
from napari_pathsrgan.imaging.sharpness import Optics, estimate_optics
from napari_pathsrgan.imaging.spectrum import WINDOW_PX, cut_windows
from napari_pathsrgan.slides.compression import JPEG, Compression, read_compression
from napari_pathsrgan.slides.foreground import SlideBackground, estimate_slide_background, foreground_weight

if TYPE_CHECKING:
    from napari_pathsrgan.slides.slide import Slide
    from napari_pathsrgan.types import Pixels

_OVERVIEW_PX = 768
_PLACE_PX, _BLOCK_PX = 160, 8
_CELL_PLACES, _EMPTY_PLACES, _GRID_PLACES = 32, 24, 8
_CELL_ABSORPTION = 0.06
_EMPTY_SHARE = 0.98
_UNCALIBRATED = NotMeasurable("no pixel size")


@dataclass(frozen=True, slots=True)
class ScannerFacts:
    """What is known of a scanner.

    Attributes
    ----------
    compression : Compression, optional
        As the file says; None for formats that are neither TIFF nor DICOM.
    earlier_jpeg : JpegGrid, optional
        A JPEG compression that the pixels show, where the file has none itself.
    background : Background or NotMeasurable
    optics : Optics or NotMeasurable
        Aperture and sharpening.
    """

    compression: Compression | None
    earlier_jpeg: JpegGrid | None
    background: Background | NotMeasurable
    optics: Optics | NotMeasurable


def scanner_facts(slide: Slide) -> ScannerFacts:
    """Find out what a slide says of its scanner.

    Raises
    ------
    SlideUnreadableError
        If pixels that are looked at are damaged.
    """
    compression = read_compression(slide)
    if not slide.is_calibrated:
        return ScannerFacts(compression, None, _UNCALIBRATED, _UNCALIBRATED)
    background = estimate_slide_background(slide, slide.mpp)
    if background.white is None:
        nothing = NotMeasurable("no background")
        return ScannerFacts(compression, None, nothing, nothing)
    cells, empty = _places(slide, background)
    own = compression is not None and compression.method == JPEG
    earlier = None if own else find_jpeg_grid(cells[:_GRID_PLACES])
    return ScannerFacts(
        compression,
        earlier,
        _background(empty, background, compression),
        _optics(cells, empty, background, slide, compression),
    )


def _places(slide: Slide, background: SlideBackground) -> tuple[list[Pixels], list[Pixels]]:
    """Read places with cells and places without, drawn at random from an overview."""
    overview = cv2.blur(slide.thumbnail(_OVERVIEW_PX).astype(np.float32), (5, 5))  # noise is no cell
    absorbed = 1 - overview[..., 1] / np.float32(np.asarray(background.white)[1])
    tinted = np.abs(overview - np.asarray(background.white, np.float32)).max(axis=-1)
    reach = max(1, round(_PLACE_PX / 2 * overview.shape[0] / slide.level_shapes[0][0]))
    widest = cv2.dilate(tinted, np.ones((2 * reach + 1,) * 2, np.uint8))
    rng = np.random.default_rng(0)
    chosen = (
        _draw(rng, cv2.blur(absorbed, (2 * reach + 1,) * 2) > _CELL_ABSORPTION, _CELL_PLACES),
        _draw(rng, widest < background.tint_tolerance, _EMPTY_PLACES),
    )
    cells, empty = ([_read(slide, place) for place in places] for places in chosen)
    return cells, empty


def _draw(rng: np.random.Generator, mask: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.float64]:
    """Draw places from a mask: (N, 2) centres as shares of its height and width."""
    places = np.argwhere(mask)
    return np.asarray((rng.permutation(places)[:count] + 0.5) / mask.shape)


def _read(slide: Slide, place: npt.NDArray[np.float64]) -> Pixels:
    """Read a place from a multiple of 8 pixels, so that all places meet the same blocks."""
    corners = []
    for share, size in zip(place, slide.level_shapes[0], strict=True):
        start = np.clip(share * size - _PLACE_PX / 2, 0, max(size - _PLACE_PX, 0))
        corners.append(int(start) // _BLOCK_PX * _BLOCK_PX)
    rows, cols = (min(_PLACE_PX, size - at) for size, at in zip(slide.level_shapes[0], corners, strict=True))
    return slide.read_level(0, corners[0], corners[1], rows, cols)


def _background(
    places: list[Pixels], background: SlideBackground, compression: Compression | None
) -> Background | NotMeasurable:
    empty = [foreground_weight(place, background) == 0 for place in places]
    jpeg = None if compression is None else compression.jpeg
    phase = None if compression is None else compression.block_phase_px
    return estimate_background(places, empty, jpeg, phase or (0, 0))


def _optics(
    cells: list[Pixels], empty: list[Pixels], background: SlideBackground, slide: Slide, compression: Compression | None
) -> Optics | NotMeasurable:
    jpeg = None if compression is None else compression.jpeg
    with_cells = cut_windows([place[..., 1] / 255 for place in cells])
    without = cut_windows([place[..., 1] / 255 for place in empty])
    share = cut_windows([(foreground_weight(place, background) == 0).astype(np.float64) for place in empty])
    without = without[share.reshape(-1, WINDOW_PX**2).mean(axis=1) > _EMPTY_SHARE]
    return estimate_optics(with_cells, without, slide.mpp, None if jpeg is None else jpeg.luminance)
