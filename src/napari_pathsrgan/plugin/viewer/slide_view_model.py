"""One slide of a viewer: its file, the model it is shown with, and its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
from napari_pathsrgan.plugin.layers.computed_layer import SlideView
from napari_pathsrgan.plugin.layers.names import LABEL_KEY, NAME_KEY, OF_SLIDE_KEY, slide_of
from napari_pathsrgan.plugin.layers.preview_layer import PreviewImage
from napari_pathsrgan.plugin.layers.scan_layer import SLIDE_KEY
from napari_pathsrgan.plugin.layers.view_kinds import SR_20, ViewKind, view_kinds
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.tiles.grid import CORE

if TYPE_CHECKING:
    from collections.abc import Set

    import napari
    import numpy.typing as npt
    from napari.layers import Layer

    from napari_pathsrgan.inference.process import ProcessModel
    from napari_pathsrgan.slides.slide import Slide
    from napari_pathsrgan.tiles.cache import TileCache
    from napari_pathsrgan.tiles.grid import RectangleUm, TileKey
    from napari_pathsrgan.tiles.product import Product
    from napari_pathsrgan.tiles.scheduler import Scheduler
    from napari_pathsrgan.types import Pixels


class SlideViewModel:
    """A slide with its layers.

    Parameters
    ----------
    source : Layer
        The slide's own layer, 4×.
    slide : Slide
        A handle of ours; the reader's layer has its own. Closed here.
    super_resolved : SuperResolvedSlide
        The slide with the model in use.

    Attributes
    ----------
    overview : (rows, cols, 3) uint8
        The coarsest level, whole and read-only.
    views : dict
        Layer and view of each kind that is shown.
    comparison_models : dict
        Of kinds that another model makes than the one in use: the slide with that model.
    """

    def __init__(self, source: Layer, slide: Slide, super_resolved: SuperResolvedSlide) -> None:
        self.source = source
        self.slide = slide
        self.super_resolved = super_resolved
        self.overview = _read_overview(super_resolved)
        self.views: dict[ViewKind, tuple[PreviewImage, SlideView]] = {}
        self.comparison_models: dict[ViewKind, SuperResolvedSlide] = {}

    @classmethod
    def open(cls, source: Layer, runner: ProcessModel) -> SlideViewModel:
        """Open the file of a layer that our reader made.

        Raises
        ------
        PathSRGANError
            If the file can't be read, or the model does not fit it.
        """
        known = source.metadata[SLIDE_KEY]
        slide = open_slide(known["path"], known["given_mpp"], known["fingerprint"])
        try:
            return cls(source, slide, SuperResolvedSlide(slide, runner))
        except PathSRGANError:
            slide.close()
            raise

    @property
    def identity(self) -> tuple[str, Product]:
        """Slide and product, as tiles are known by."""
        return self.slide.cache_id, self.super_resolved.product

    def add_comparison_model(self, super_resolved: SuperResolvedSlide) -> ViewKind:
        """Take in another model's 20× view, for comparison, and return the kind to add."""
        kind = SR_20.for_model(super_resolved.runner.card.name)
        self.comparison_models[kind] = super_resolved
        return kind

    def add_view(self, viewer: napari.Viewer, kind: ViewKind, cache: TileCache, scheduler: Scheduler) -> PreviewImage:
        """Add the layer of a kind to the right of the kinds that come before it."""
        other = self.comparison_models.get(kind)
        if other is None:
            view = SlideView(kind, self.super_resolved, self.overview, cache, scheduler)
        else:
            view = SlideView(kind, other, _read_overview(other), cache, scheduler)
        layer = _make_layer(view)
        layer.metadata[OF_SLIDE_KEY] = slide_of(self.source)
        before = [other for other in self.kinds() if _place(other) <= _place(kind)]
        left = self.views[before[-1]][0] if before else self.source
        self.views[kind] = (layer, view)
        viewer.layers.insert(viewer.layers.index(left) + 1, layer)
        return layer

    def set_model(self, super_resolved: SuperResolvedSlide, scheduler: Scheduler) -> bool:
        """Show another model, or the same one in another process, in the same layers.

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
            if kind not in self.comparison_models:
                _set_model(layer, view, super_resolved, scheduler)
        return True

    def set_comparison_model(self, kind: ViewKind, super_resolved: SuperResolvedSlide, scheduler: Scheduler) -> None:
        """Show the same other model in another process."""
        self.comparison_models[kind] = super_resolved
        _set_model(*self.views[kind], super_resolved, scheduler)

    def kinds(self) -> list[ViewKind]:
        """List what is shown, in the order of the panes."""
        return sorted(self.views, key=_place)

    def visible_kinds(self) -> set[ViewKind]:
        """List the kinds whose layers are visible."""
        return {kind for kind, (layer, _) in self.views.items() if layer.visible}

    def refresh(self, fresh: Set[TileKey]) -> None:
        """Redraw the layers that show any of these tiles."""
        for layer, view in self.views.values():
            if layer.visible and view.shows(fresh):
                layer.refresh(thumbnail=False, extent=False, highlight=False)

    def request_visible(self, region_um: RectangleUm) -> None:
        """Have the views request the tiles of what is in sight."""
        for kind, (layer, view) in self.views.items():
            level = kind.finest_level + layer.data_level
            rows, cols = view.grid.slices_um(level, region_um)
            if layer.visible and rows.start < rows.stop and cols.start < cols.stop:
                view.request_visible(level, rows, cols, at_rest=True)

    def requested(self, only: Layer | None = None) -> set[TileKey]:
        """Tiles in sight of all visible views, or of one layer's."""
        shown = (view for layer, view in self.views.values() if layer.visible and (only is None or layer == only))
        return {key for view in shown for key in view.requested}

    def computed_mask(self, blocks: Set[tuple[int, int]]) -> tuple[npt.NDArray[np.bool_], tuple[float, float]]:
        """Mark blocks, each (row, col), on a (rows, cols) mask of all of the slide's; gives it and its extent, µm."""
        mask = np.zeros(self.super_resolved.grid.n_tiles(1), bool)
        rows, cols = zip(*blocks, strict=True)
        mask[list(rows), list(cols)] = True
        side_um = CORE * self.super_resolved.runner.card.mpp_in
        return mask, (mask.shape[0] * side_um, mask.shape[1] * side_um)

    def cancel_hidden(self, layer: Layer) -> None:
        """Cancel the requests of a layer that was hidden."""
        for own, view in self.views.values():
            if own == layer and not own.visible:
                view.cancel_requests()

    def take_views(self, layer: Layer | None = None) -> list[PreviewImage]:
        """Give up all views, or one layer's, and return their layers."""
        kinds = [kind for kind, (own, _) in self.views.items() if layer is None or own == layer]
        taken = [self.views.pop(kind) for kind in kinds]
        if layer is not None:  # for good, not to be made anew
            for kind in kinds:
                self.comparison_models.pop(kind, None)
        for _, view in taken:
            view.cancel_requests()
        return [own for own, _ in taken]


def _make_layer(view: SlideView) -> PreviewImage:
    mpp = view.grid.level_mpps[view.kind.finest_level]
    name, label = _texts(view)
    return PreviewImage(
        view.levels(),
        rgb=True,
        name=name,
        scale=(mpp, mpp),
        translate=(mpp / 2, mpp / 2),
        units=("um", "um"),
        interpolation2d="linear",
        metadata={NAME_KEY: name, LABEL_KEY: label, "progressive_loader": False},
    )


def _texts(view: SlideView) -> tuple[str, str]:
    """Write a view's layer name and label."""
    kind, model = view.kind, view.super_resolved.runner.card.name
    preview = kind.uses_model and view.super_resolved.product.is_preview
    mpp = view.grid.level_mpps[kind.finest_level]
    return kind.layer_name(mpp, preview), kind.label(mpp, model, preview)


def _set_model(layer: PreviewImage, view: SlideView, super_resolved: SuperResolvedSlide, scheduler: Scheduler) -> None:
    """Show another model or process in the same layer, under a label that says so."""
    view.set_model(super_resolved, scheduler)
    last = layer.metadata[NAME_KEY]
    layer.metadata[NAME_KEY], layer.metadata[LABEL_KEY] = _texts(view)
    if last in layer.name:  # else the user renamed it
        layer.name = layer.name.replace(last, layer.metadata[NAME_KEY])
    layer.refresh(thumbnail=False, extent=False, highlight=False)


def _place(kind: ViewKind) -> int:
    """Place among the panes; other models' come last, as they came."""
    kinds = view_kinds()
    return kinds.index(kind) if kind in kinds else len(kinds)


def _read_overview(super_resolved: SuperResolvedSlide) -> Pixels:
    coarsest = super_resolved.grid.n_levels - 1
    overview = super_resolved.read(coarsest, 0, 0, *super_resolved.grid.level_shapes[coarsest])
    overview.flags.writeable = False
    return overview
