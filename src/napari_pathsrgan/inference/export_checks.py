"""What is refused of an export by its slide, its models' cards and its output's name alone: no network, no torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.inference.consistency_map import refuse_foreign_map
from napari_pathsrgan.inference.execution import network_product
from napari_pathsrgan.inference.finalize import bare_name, output_kind, tiles_place
from napari_pathsrgan.inference.region import find_region, outside
from napari_pathsrgan.inference.suitability import refuse_unsuitable
from napari_pathsrgan.slides.pyramid_store import PyramidStore, refuse_occupied
from napari_pathsrgan.slides.store_layout import StoreIdentity
from napari_pathsrgan.tiles.grid import PyramidGrid

if TYPE_CHECKING:
    from napari_pathsrgan.inference.backend import Precision
    from napari_pathsrgan.inference.region import Region, RegionUm
    from napari_pathsrgan.models.card import ModelCard
    from napari_pathsrgan.slides.slide import Slide


def resolve_region(region: RegionUm | Path | None, slide: Slide, card: ModelCard) -> Region:
    """Find what a user asks for on a slide that is to be seen through a model.

    Parameters
    ----------
    region : (row, col, height, width) in µm, Path of a GeoJSON file, or None
        None for the whole slide.
    slide : Slide
    card : ModelCard
        Of the model, which says on which grid tiles lie.

    Raises
    ------
    SlideTooCoarseError, CardMismatchError, ComputedSlideError
        If the model can't work on this slide.
    OptionError
        If the region lies outside the slide, or its file can't be read.
    """
    refuse_unsuitable(slide, card)
    found = find_region(region, slide)
    if not found.tiles(PyramidGrid.over_slide(slide.grid_shape(card.mpp_in), card.mpp_in), 0):
        raise outside(slide)
    return found


def consistency_path(out: Path) -> Path:
    """Name the map beside an output."""
    return out.with_name(f"{bare_name(out)}.consistency.ome.zarr")


def refuse_output(
    out: Path, slide: Slide, card: ModelCard, precision: Precision, *, blend: bool, sharded: bool, consistency: bool
) -> None:
    """Refuse an output that can't be written, or that belongs to another slide or model.

    Parameters
    ----------
    out : Path
    slide : Slide
    card : ModelCard
        Of the model that computes it.
    precision : str
        Settled with `execution.resume_execution`.
    blend, sharded, consistency : bool
        As asked for.

    Raises
    ------
    OutputError
        If something else is there, or the place can't be written to.
    StoreMismatchError
        If what is there is a store of another slide or model, or a map that is none of ours.
    """
    _refuse_place(out)
    finished = output_kind(out).write_file is not None or sharded
    store = tiles_place(out) if finished else out
    if (store / "zarr.json").is_file():
        product = network_product(card.weights_hash, precision)._replace(merge="blended" if blend else "exact")
        PyramidStore.open(store).require(StoreIdentity(slide.fingerprint, product.text, slide.path.name, card.name))
    else:
        refuse_occupied(store)
    if consistency:
        refuse_foreign_map(consistency_path(out))


def _refuse_place(out: Path) -> None:
    """Raise OutputError unless the folder of an output, or the closest above it that exists, can be written to."""
    there = next(folder for folder in out.absolute().parents if folder.exists())
    if not there.is_dir():
        raise OutputError(f"{out.name} cannot be written: {there} is no folder.", "Choose another output folder.")
    if not os.access(there, os.W_OK):
        raise OutputError(f"{out.name} cannot be written: the place is read-only.", "Choose another output folder.")
