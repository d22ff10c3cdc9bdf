"""A scan as it would lie had the slide been put in as for another scan: turned, mirrored, scaled.

Pixels are interpolated once, from the scan's own. With them the scans differ by a displacement alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from napari_pathsrgan.slides.foreground import estimate_slide_background
from napari_pathsrgan.slides.resample import grid_length, keys_cubic

if TYPE_CHECKING:
    from napari_pathsrgan.slides.slide import Slide
    from napari_pathsrgan.types import Pixels

Points = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

_WHITE = (255.0, 255.0, 255.0)
_TAPS = np.arange(-1, 3)
_MARGIN_PX = 3


class Scan(Protocol):
    """What registration asks of a scan: a `Slide`, or a `TurnedSlide`."""

    path: Path

    @property
    def mpp(self) -> float:
        """Pixel size, µm."""

    @property
    def extent_um(self) -> tuple[float, float]:
        """Height and width, µm."""

    def grid_shape(self, mpp: float) -> tuple[int, int]:
        """Rows and columns of the grid of a pixel size."""

    def read_grid(self, mpp: float, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a window of the grid of a pixel size."""

    def read_level(self, level: int, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a window at the scan's own pixel size, for level 0."""


@dataclass(frozen=True)
class Similarity:
    """How positions change from one scan to another: p ↦ ``matrix @ p + shift_um``, of (row, col).

    Attributes
    ----------
    matrix : (2, 2) float64
        A rotation, mirrored or not, times a scale.
    shift_um : (2,) float64
    """

    matrix: Matrix
    shift_um: Points

    @classmethod
    def of(cls, angle_deg: float = 0.0, scale: float = 1.0, mirrored: bool = False) -> Similarity:
        """Turn counter-clockwise as displayed, after mirroring left and right; about (0, 0)."""
        cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
        turned = scale * np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([1.0, -1.0 if mirrored else 1.0])
        return cls(turned, np.zeros(2))

    @property
    def mirrored(self) -> bool:
        """Whether left and right are exchanged."""
        return bool(np.linalg.det(self.matrix) < 0)

    @property
    def scale(self) -> float:
        """Lengths there over lengths here."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    @property
    def angle_deg(self) -> float:
        """Angle, counter-clockwise as displayed, after mirroring; −180 to 180."""
        return math.degrees(math.atan2(self.matrix[1, 0], self.matrix[0, 0]))

    def apply(self, places_um: Points) -> Points:
        """Map (N, 2) places."""
        return np.asarray(places_um @ self.matrix.T + self.shift_um)

    def undo(self, places_um: Points) -> Points:
        """Map (N, 2) places back."""
        return np.asarray((places_um - self.shift_um) @ np.linalg.inv(self.matrix).T)

    def record(self) -> dict[str, Any]:
        """Describe it in plain values."""
        return {
            "angle_deg": self.angle_deg,
            "scale": self.scale,
            "mirrored": self.mirrored,
            "shift_um": self.shift_um.tolist(),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Similarity:
        """Read what `record` described."""
        turn = cls.of(float(record["angle_deg"]), float(record["scale"]), bool(record["mirrored"]))
        row, col = record["shift_um"]
        return cls(turn.matrix, np.array([row, col], np.float64))

    def __str__(self) -> str:
        """Say it in words."""
        mirrored = "mirrored and " if self.mirrored else ""
        return f"{mirrored}turned by {self.angle_deg:.2f}°, scale {self.scale:.4f}"


class TurnedSlide:
    """A slide, turned.

    Parameters
    ----------
    source : Slide
    matrix : (2, 2) float64
        From positions of the slide to those of the turned one, but for a displacement: (0, 0) is the corner of what the
        slide covers once it is turned.

    Attributes
    ----------
    source : Slide
    path : Path
    similarity : Similarity
        From positions in the source to positions here.
    extent_um : (float, float)
        Height and width of what the slide covers, µm; its corners are empty.
    mpp : float
        Pixel size of level 0, the only one; that of the source.
    """

    def __init__(self, source: Slide, matrix: Matrix) -> None:
        self.source = source
        self.path = source.path
        height, width = source.extent_um
        corners = np.array([[0.0, 0.0], [0.0, width], [height, 0.0], [height, width]]) @ matrix.T
        self.similarity = Similarity(matrix, -corners.min(axis=0))
        rows, cols = np.ptp(corners, axis=0)
        self.extent_um = (float(rows), float(cols))
        self.mpp = source.mpp
        self._white = estimate_slide_background(source, source.mpp).white or _WHITE

    def grid_shape(self, mpp: float) -> tuple[int, int]:
        """Rows and columns of the grid of a pixel size that covers the slide."""
        return grid_length(self.extent_um[0], mpp), grid_length(self.extent_um[1], mpp)

    def contains(self, corners_um: Points, side_um: float, margin_um: float) -> npt.NDArray[np.bool_]:
        """Whether squares lie within the slide: (N, 2) upper-left corners to (N,)."""
        inside = np.ones(len(corners_um), bool)
        for step in np.ndindex(2, 2):
            place = self.similarity.undo(corners_um + side_um * np.array(step))
            inside &= ((place >= margin_um) & (place <= np.array(self.source.extent_um) - margin_um)).all(axis=1)
        return inside

    def read_grid(self, mpp: float, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a window of the grid of any pixel size, interpolated twice; beyond the slide there is background."""
        first, last = self._touched(np.array([row, col]) * mpp, mpp, (height, width), (mpp, mpp))
        first, last = np.maximum(first, 0), np.minimum(last, self.source.grid_shape(mpp))
        if (last <= first).any():
            return np.full((height, width, 3), self._white, np.uint8)
        pixels = self.source.read_grid(mpp, *map(int, first), *map(int, last - first))
        transform = self._transform(first, (mpp, mpp), np.array([row, col]) * mpp, mpp)
        warped = cv2.warpAffine(
            pixels, transform, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT, borderValue=self._white,
        )  # fmt: skip
        return np.asarray(warped, np.uint8)

    def read_level(self, level: int, row: int, col: int, height: int, width: int) -> Pixels:
        """Read a window at the source's own pixel size, interpolated once; level 0 is the only one."""
        if level != 0:
            raise ValueError("A turned slide has one level.")
        return self.sample(np.array([row, col]) * self.mpp, self.mpp, (height, width))

    def sample(self, corner_um: Points, mpp: float, shape: tuple[int, int]) -> Pixels:
        """Interpolate the slide's own pixels once, by the kernel that puts slides on the network's grid.

        Parameters
        ----------
        corner_um : (2,) float64
            Upper-left corner of the window.
        mpp : float
            Its pixel size, µm: about the slide's own, or less.
        shape : (rows, cols)

        Returns
        -------
        (rows, cols, 3) uint8
        """
        pixels, first = self._read_around(corner_um, mpp, shape)
        axes = ((np.arange(count) + 0.5) * mpp + start for count, start in zip(shape, corner_um, strict=True))
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        at = self.similarity.undo(places) / np.asarray(self.source.pixel_size_um) - 0.5 - first
        values = np.clip(np.rint(_interpolate(pixels.astype(np.float32), at)), 0, 255)
        return values.astype(np.uint8).reshape(*shape, 3)

    def sample_green(self, corner_um: Points, mpp: float, side_px: int) -> npt.NDArray[np.float32]:
        """Interpolate green alone, faster, to 1/32 px of the slide: what registration compares.

        Parameters
        ----------
        corner_um : (2,) float64
            Upper-left corner of the square.
        mpp : float
            Its pixel size, µm.
        side_px : int

        Returns
        -------
        (side_px, side_px) float32
            Grey levels.
        """
        pixels, first = self._read_around(corner_um, mpp, (side_px, side_px))
        transform = self._transform(first, self.source.pixel_size_um, corner_um, mpp)
        green = np.ascontiguousarray(pixels[..., 1], np.float32)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(green, transform, (side_px, side_px), flags=flags), np.float32)

    def _read_around(self, corner_um: Points, mpp: float, shape: tuple[int, int]) -> tuple[Pixels, Points]:
        first, last = self._touched(corner_um, mpp, shape, self.source.pixel_size_um)
        return self.source.read_level(0, *map(int, first), *map(int, last - first)), first

    def _touched(
        self, corner_um: Points, mpp: float, shape: tuple[int, int], pixel_um: tuple[float, float]
    ) -> tuple[Points, Points]:
        """Return the first and beyond the last pixel of the source that a window is interpolated from."""
        size = np.array(shape) * mpp
        corners = self.similarity.undo(np.array([corner_um + size * np.array(step) for step in np.ndindex(2, 2)]))
        pixels = corners / np.asarray(pixel_um)
        return np.floor(pixels.min(axis=0)) - _MARGIN_PX, np.ceil(pixels.max(axis=0)) + _MARGIN_PX

    def _transform(self, first: Points, pixel_um: tuple[float, float], corner_um: Points, mpp: float) -> Matrix:
        """Return OpenCV's matrix from a window's pixels to the source's from `first` on; it counts columns first."""
        linear = np.linalg.inv(self.similarity.matrix) / np.asarray(pixel_um)[:, None]
        start = (corner_um + 0.5 * mpp - self.similarity.shift_um) @ linear.T - 0.5 - first
        return np.column_stack([mpp * linear[::-1, ::-1], start[::-1]])


def _interpolate(pixels: npt.NDArray[np.float32], at: Points) -> npt.NDArray[np.float64]:
    """Interpolate at (N, 2) positions, in pixels, all of whose neighbours are there: (N, channels)."""
    whole = np.floor(at).astype(np.intp)
    index = whole[..., None] + _TAPS
    rows, cols = keys_cubic(at[..., None] - index).transpose(1, 0, 2)
    total = np.zeros((len(at), pixels.shape[2]))
    for tap_row, tap_col in np.ndindex(4, 4):
        weight = rows[:, tap_row] * cols[:, tap_col]
        total += weight[:, None] * pixels[index[:, 0, tap_row], index[:, 1, tap_col]]
    return total


def slide_of(scan: Scan) -> Slide:
    """Return the slide that a scan is read from."""
    from napari_pathsrgan.slides.slide import Slide

    if isinstance(scan, TurnedSlide):
        return scan.source
    if not isinstance(scan, Slide):
        raise TypeError(f"{type(scan).__name__} is no scan.")
    return scan
