"""A synthetic cervical cytology specimen of any size, made window by window from a seed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_pathsrgan.phantom.epithelium import KINDS, draw_cell
from napari_pathsrgan.phantom.leucocytes import NUCLEUS_RADIUS_UM, draw_debris, draw_leucocyte
from napari_pathsrgan.phantom.mucus import Mucus
from napari_pathsrgan.phantom.population import ATLAS_SIZE, BLOCK_UM, DEPTHS_UM, REACH_UM, Placement, Population
from napari_pathsrgan.phantom.stains import draw_palette
from napari_pathsrgan.phantom.texture import drawing_pitch

if TYPE_CHECKING:
    from napari_pathsrgan.phantom.canvas import Sprite

Floats = npt.NDArray[np.float32]

CLASSES = (*KINDS, "leucocyte")
"""Classes of cells with a nucleus; a nucleus mask holds 1 + the position in this list."""


@dataclass(frozen=True, slots=True)
class CellRecord:
    """The truth about one cell.

    Attributes
    ----------
    centre_um : (row, col)
        Centre of the cell in the specimen, µm.
    kind : str
        One of `CLASSES`.
    nucleus_um : (row, col)
        Centre of the nucleus in the specimen, µm.
    nucleus_radius_um : float
        Radius of a circle about as large as the nucleus, µm.
    depth_um : float
        Height above the middle of the specimen, µm.
    """

    centre_um: tuple[float, float]
    kind: str
    nucleus_um: tuple[float, float]
    nucleus_radius_um: float
    depth_um: float


class Specimen:
    """Stained cells on a glass slide.

    Windows are made in any order and agree where they overlap; what a window costs does not depend on the specimen's
    size. Cells reach over the specimen's edge as far as they lie.

    Parameters
    ----------
    seed : int
        Everything follows from it, at least 0.
    size_um : (height, width)
        Area within which cells have their centres, µm.
    background_share : float
        Share of the area without cells, 0 to 1.
    abnormal_share : float
        Share of clusters made of abnormal cells, 0 to 1.
    memory_bytes : int
        Bound of what is kept of cells already drawn.
    """

    def __init__(
        self,
        seed: int,
        size_um: tuple[float, float],
        background_share: float = 0.4,
        abnormal_share: float = 0.25,
        memory_bytes: int = 160_000_000,
    ) -> None:
        self.seed = seed
        self.size_um = size_um
        self.background_share = background_share
        self.palette = draw_palette(np.random.default_rng([seed, 0]))
        self._population = Population(seed, background_share, self.palette.warm_share, abnormal_share)
        self._mucus = Mucus(seed, size_um, self._population, self.palette)
        self._debris = _draw_debris_counts(np.random.default_rng([seed, 5]))
        self._blocks: OrderedDict[tuple[int, int], list[Placement]] = OrderedDict()
        self._sprites: OrderedDict[tuple[object, ...], Sprite] = OrderedDict()
        self._memory_bytes = memory_bytes
        self._held_bytes = 0

    def render_layers(
        self, row_um: float, col_um: float, height_px: int, width_px: int, pitch_um: float
    ) -> list[tuple[float, Floats]]:
        """Optical density of a window, by depth.

        Parameters
        ----------
        row_um, col_um : float
            Upper-left corner of the window, µm; any number.
        height_px, width_px : int
            Size of the window.
        pitch_um : float
            Pixel size, µm.

        Returns
        -------
        list of (depth_um, (height_px, width_px, 3) float32)
            Optical density in R, G, B of each plane that holds anything, lowest first; at least one plane.
        """
        layers: dict[int, Floats] = {}
        for placement in self._placements(row_um, col_um, height_px * pitch_um, width_px * pitch_um):
            if placement.depth not in layers:
                layers[placement.depth] = np.zeros((3, height_px, width_px), np.float32)
            sprite = self._sprite(placement, drawing_pitch(pitch_um))
            sprite.add_to(layers[placement.depth], (row_um, col_um), pitch_um, placement.centre_um)
        middle = DEPTHS_UM.index(0.0)
        plane = self._mucus.add_to(layers.get(middle), (row_um, col_um, height_px, width_px), pitch_um)
        if plane is not None:
            layers[middle] = plane
        if not layers:
            return [(0.0, np.zeros((height_px, width_px, 3), np.float32))]
        # The optics take one colour at a time: each stays contiguous in memory.
        return [(DEPTHS_UM[depth], np.moveaxis(layers[depth], 0, -1)) for depth in sorted(layers)]

    def nucleus_mask(
        self, row_um: float, col_um: float, height_px: int, width_px: int, pitch_um: float
    ) -> npt.NDArray[np.uint8]:
        """Which pixels lie in a nucleus of which class.

        Parameters
        ----------
        row_um, col_um, height_px, width_px, pitch_um
            The window, as for `render_layers`.

        Returns
        -------
        (height_px, width_px) uint8
            0 outside nuclei, else 1 + the position of the class in `CLASSES`; where nuclei overlap, the later drawn.
        """
        mask = np.zeros((height_px, width_px), np.uint8)
        for placement in self._placements(row_um, col_um, height_px * pitch_um, width_px * pitch_um):
            if placement.atlas == "debris":
                continue
            sprite = self._sprite(placement, drawing_pitch(pitch_um))
            found = sprite.nucleus_in(mask.shape, (row_um, col_um), pitch_um, placement.centre_um)
            if found is not None:
                rows, cols, inside = found
                mask[rows, cols][inside] = 1 + CLASSES.index(_record(placement).kind)
        return mask

    def cells_in(self, row_um: float, col_um: float, height_um: float, width_um: float) -> list[CellRecord]:
        """Cells whose centre lies in a window.

        Parameters
        ----------
        row_um, col_um, height_um, width_um : float
            The window, µm; its upper and left edges belong to it.

        Returns
        -------
        list of CellRecord
            In a fixed order.
        """
        return [
            _record(placement)
            for placement in self._placements(row_um, col_um, height_um, width_um)
            if placement.atlas != "debris"
            and row_um <= placement.centre_um[0] < row_um + height_um
            and col_um <= placement.centre_um[1] < col_um + width_um
        ]

    def _placements(self, row_um: float, col_um: float, height_um: float, width_um: float) -> Iterator[Placement]:
        """Everything that may show in a window, in an order that does not depend on the window."""
        first_row, last_row = _blocks_touching(row_um, height_um)
        first_col, last_col = _blocks_touching(col_um, width_um)
        for block_row in range(first_row, last_row + 1):
            for block_col in range(first_col, last_col + 1):
                for placement in self._block(block_row, block_col):
                    row, col = placement.centre_um
                    reach = placement.reach_um
                    if row_um - reach < row < row_um + height_um + reach and (
                        col_um - reach < col < col_um + width_um + reach
                    ):
                        yield placement

    def _block(self, block_row: int, block_col: int) -> list[Placement]:
        key = (block_row, block_col)
        if key not in self._blocks:
            height, width = self.size_um
            self._blocks[key] = [
                placement
                for placement in self._population.block(block_row, block_col)
                if 0 <= placement.centre_um[0] < height and 0 <= placement.centre_um[1] < width
            ]
            if len(self._blocks) > 1024:
                self._blocks.popitem(last=False)
        return self._blocks[key]

    def _sprite(self, placement: Placement, pitch_um: float) -> Sprite:
        key = (placement.anatomy or (placement.atlas, placement.number), pitch_um)
        sprite = self._sprites.get(key)
        if sprite is not None:
            self._sprites.move_to_end(key)
            return sprite
        if placement.anatomy is not None:
            sprite = draw_cell(placement.anatomy, self.palette, pitch_um)
        elif placement.atlas == "leucocyte":
            sprite = draw_leucocyte(self._atlas_seed(placement), self.palette, pitch_um)
        else:
            bacteria, erythrocytes = self._debris[placement.number]
            sprite = draw_debris(self._atlas_seed(placement), self.palette, pitch_um, bacteria, erythrocytes)
        self._sprites[key] = sprite
        self._held_bytes += sprite.nbytes
        while self._held_bytes > self._memory_bytes and len(self._sprites) > 1:
            self._held_bytes -= self._sprites.popitem(last=False)[1].nbytes
        return sprite

    def _atlas_seed(self, placement: Placement) -> int:
        rng = np.random.default_rng([self.seed, 3, placement.number, placement.atlas == "debris"])
        return int(rng.integers(2**62))


def _draw_debris_counts(rng: np.random.Generator) -> list[tuple[float, float]]:
    """Draw the expected bacteria and red blood cells of every patch in a specimen's atlas."""
    rods = rng.uniform(0, 40) if rng.random() < 0.5 else 2.0
    bloody = rng.uniform(0.5, 4) if rng.random() < 0.4 else 0.0
    return [(rods * float(rng.random() ** 2), bloody * float(rng.random() < 0.4)) for _ in range(ATLAS_SIZE)]


def _blocks_touching(start_um: float, size_um: float) -> tuple[int, int]:
    first = int(np.floor((start_um - REACH_UM) / BLOCK_UM))
    return first, int(np.floor((start_um + size_um + REACH_UM) / BLOCK_UM))


def _record(placement: Placement) -> CellRecord:
    centre, depth = placement.centre_um, DEPTHS_UM[placement.depth]
    if placement.anatomy is None:
        return CellRecord(centre, "leucocyte", centre, NUCLEUS_RADIUS_UM, depth)
    offset = placement.anatomy.nucleus_um
    nucleus = (centre[0] + offset[0], centre[1] + offset[1])
    return CellRecord(centre, placement.anatomy.kind, nucleus, placement.anatomy.nucleus_radius_um, depth)
