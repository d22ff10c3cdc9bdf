"""One slide of a viewer: its file, the model it is seen through, and its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
from napari_pathsrgan.plugin.layers.computed_layer import BICUBIC, PANE_ORDER, SR_20, TRUST, SlideView, ViewKind
from napari_pathsrgan.plugin.layers.names import pixel_size, safe_name
from napari_pathsrgan.plugin.layers.preview_layer import LiveImage
from napari_pathsrgan.plugin.layers.scan_layer import NAME_KEY, SLIDE_KEY
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.tiles.grid import CORE

if TYPE_CHECKING:
    from collections.abc import Set

    import napari
    import numpy.typing as npt
    from napari.layers import Image, Layer

    from napari_pathsrgan.inference.process import ProcessModel
    from napari_pathsrgan.slides.slide import Slide
    from napari_pathsrgan.tiles.cache import TileCache
    from napari_pathsrgan.tiles.grid import RectangleUm, TileKey
    from napari_pathsrgan.tiles.product import Product
    from napari_pathsrgan.tiles.scheduler import Scheduler
    from napari_pathsrgan.types import Pixels


class ShownSlide:
    """A slide with its layers.

    Parameters
    ----------
    source : Layer
        The slide's own layer, 4×.
    slide : Slide
        A handle of ours; the reader's layer has its own. Closed here.
    super_resolved : SuperResolvedSlide
        The slide seen through the model in use.

    Attributes
    ----------
    overview : (rows, cols, 3) uint8
        The coarsest level, whole and read-only.
    views : dict
        Layer and view of each kind that is shown.
    guests : dict
        Of kinds made by another model than the one in use: the slide seen through that.
    """

    def __init__(self, source: Layer, slide: Slide, super_resolved: SuperResolvedSlide) -> None:
        self.source = source
        self.slide = slide
        self.super_resolved = super_resolved
        self.overview = _read_overview(super_resolved)
        self.views: dict[ViewKind, tuple[Image, SlideView]] = {}
        self.guests: dict[ViewKind, SuperResolvedSlide] = {}

    @classmethod
    def open(cls, source: Layer, runner: ProcessModel) -> ShownSlide:
        """Open the file of a layer that our reader made.

        Raises
        ------
        PathSRGANError
            If the file can't be read, or the model does not fit it.
        """
        told = source.metadata[SLIDE_KEY]
        slide = open_slide(told["path"], told["mpp"], told["fingerprint"])
        try:
            return cls(source, slide, SuperResolvedSlide(slide, runner))
        except PathSRGANError:
            slide.close()
            raise

    @property
    def identity(self) -> tuple[str, Product]:
        """Slide and product, as tiles are known by."""
        return self.slide.cache_id, self.super_resolved.product

    def admit(self, super_resolved: SuperResolvedSlide) -> ViewKind:
        """Take in another model's 20× view, for comparison: gives the kind to add."""
        name = safe_name(super_resolved.runner.card.name)
        kind = ViewKind(f"{SR_20.name.removesuffix(' computed')} by {name} computed", SR_20.finest_level, computed=True)
        self.guests[kind] = super_resolved
        return kind

    def add_view(self, viewer: napari.Viewer, kind: ViewKind, cache: TileCache, scheduler: Scheduler) -> Image:
        """Add the layer of a kind to the right of what comes before it in `PANE_ORDER`."""
        guest = self.guests.get(kind)
        if guest is None:
            view = SlideView(kind, self.super_resolved, self.overview, cache, scheduler)
        else:
            view = SlideView(kind, guest, _read_overview(guest), cache, scheduler)
        mpp = view.grid.level_mpps[kind.finest_level]
        label = _label(kind, view)
        layer = LiveImage(
            view.levels(),
            rgb=True,
            name=label,
            scale=(mpp, mpp),
            translate=(mpp / 2, mpp / 2),
            units=("um", "um"),
            interpolation2d="linear",
            metadata={NAME_KEY: label, "progressive_loader": False},
        )
        kinds = self.kinds()
        before = kinds if guest is not None else [other for other in kinds if _place(other) < _place(kind)]
        left = self.views[before[-1]][0] if before else self.source
        self.views[kind] = (layer, view)
        viewer.layers.insert(viewer.layers.index(left) + 1, layer)
        return layer

    def bind(self, super_resolved: SuperResolvedSlide, scheduler: Scheduler) -> bool:
        """Go on with another model, or the same one in another process, in the same layers.

        Returns
        -------
        bool
            False if the model has another grid: then the layers have to be made anew.
        """
        fits = super_resolved.grid == self.super_resolved.grid
        self.super_resolved = super_resolved
        if not fits:
            self.overview = _read_overview(super_resolved)
            return False
        for kind, (layer, view) in self.views.items():
            if kind not in self.guests:
                _exchange(layer, kind, view, super_resolved, scheduler)
        return True

    def bind_guest(self, kind: ViewKind, super_resolved: SuperResolvedSlide, scheduler: Scheduler) -> None:
        """Go on with the same other model in another process."""
        self.guests[kind] = super_resolved
        layer, view = self.views[kind]
        _exchange(layer, kind, view, super_resolved, scheduler)

    def kinds(self) -> list[ViewKind]:
        """What is shown, in the order of the panes."""
        return sorted(self.views, key=_place)

    def refresh(self, fresh: Set[TileKey]) -> None:
        """Redraw the layers that show any of these tiles."""
        for layer, view in self.views.values():
            if layer.visible and view.shows(fresh):
                layer.refresh(thumbnail=False, extent=False, highlight=False)

    def look(self, in_sight: RectangleUm) -> None:
        """Have the views ask for what is in sight, µm."""
        for kind, (layer, view) in self.views.items():
            level = kind.finest_level + layer.data_level
            rows, cols = view.grid.slices_um(level, in_sight)
            if layer.visible and rows.start < rows.stop and cols.start < cols.stop:
                view.look(level, rows, cols, at_rest=True)

    def wanted(self, only: Layer | None = None) -> set[TileKey]:
        """Tiles in sight of all visible views, or of one layer's."""
        shown = (view for layer, view in self.views.values() if layer.visible and (only is None or layer == only))
        return {key for view in shown for key in view.wanted}

    def computed_mask(self, blocks: Set[tuple[int, int]]) -> tuple[npt.NDArray[np.bool_], tuple[float, float]]:
        """Mark blocks, each (row, col), on a (rows, cols) mask of all of the slide's; gives it and its extent, µm."""
        mask = np.zeros(self.super_resolved.grid.n_tiles(1), bool)
        rows, cols = zip(*blocks, strict=True)
        mask[list(rows), list(cols)] = True
        side_um = CORE * self.super_resolved.runner.card.mpp_in
        return mask, (mask.shape[0] * side_um, mask.shape[1] * side_um)

    def forget_hidden(self, layer: Layer) -> None:
        """Want nothing more for a layer that was hidden."""
        for own, view in self.views.values():
            if own == layer and not own.visible:
                view.forget()

    def take_views(self, layer: Layer | None = None) -> list[Image]:
        """Let go of all views, or of one layer's, and return their layers."""
        kinds = [kind for kind, (own, _) in self.views.items() if layer is None or own == layer]
        taken = [self.views.pop(kind) for kind in kinds]
        if layer is not None:  # for good, not to be made anew
            for kind in kinds:
                self.guests.pop(kind, None)
        for _, view in taken:
            view.forget()
        return [own for own, _ in taken]


def _label(kind: ViewKind, view: SlideView) -> str:
    """What a view's pane is called."""
    preview = kind.computed and kind not in (BICUBIC, TRUST) and view.super_resolved.product.is_preview
    mpp = view.grid.level_mpps[kind.finest_level]
    return f"{kind.name} · {pixel_size(mpp)}{' · int8 preview' if preview else ''}"


def _exchange(
    layer: Image, kind: ViewKind, view: SlideView, super_resolved: SuperResolvedSlide, scheduler: Scheduler
) -> None:
    """Go on with another model or process in the same layer, under a name that says so."""
    view.exchange(super_resolved, scheduler)
    last, now = layer.metadata[NAME_KEY], _label(kind, view)
    layer.metadata[NAME_KEY] = now
    if last in layer.name:  # else the user renamed it
        layer.name = layer.name.replace(last, now)
    layer.refresh(thumbnail=False, extent=False, highlight=False)


def _place(kind: ViewKind) -> int:
    """Place among the panes; other models' come last, as they came."""
    return PANE_ORDER.index(kind) if kind in PANE_ORDER else len(PANE_ORDER)


def _read_overview(super_resolved: SuperResolvedSlide) -> Pixels:
    coarsest = super_resolved.grid.n_levels - 1
    overview = super_resolved.read(coarsest, 0, 0, *super_resolved.grid.level_shapes[coarsest])
    overview.flags.writeable = False
    return overview
