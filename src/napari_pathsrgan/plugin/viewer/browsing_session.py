"""The slides of one viewer with their computed views, from the first to the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_pathsrgan.errors import OptionError, PathSRGANError
from napari_pathsrgan.inference.process import ProcessModel
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
from napari_pathsrgan.inference.tile_service import ComputeSettings
from napari_pathsrgan.plugin.layers.view_kinds import SR_10, SR_20, ViewKind
from napari_pathsrgan.plugin.viewer.compute_controller import ComputeController
from napari_pathsrgan.plugin.viewer.overview_map import visible_um
from napari_pathsrgan.plugin.viewer.redraw_timer import RedrawTimer
from napari_pathsrgan.plugin.viewer.slide_view_model import SlideViewModel
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL, RectangleUm, TileKey

if TYPE_CHECKING:
    from collections.abc import Set

    import napari
    from napari.layers import Layer

    from napari_pathsrgan.tiles.product import Product


class BrowsingSession(QObject):
    """Computed views of the slides in one viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        Or the proxy of it that napari gives to docks; layers are compared by ``==``, which a proxy does not disturb.
    settings : ComputeSettings, optional

    Attributes
    ----------
    changed : Signal()
        A slide or view was added, removed, shown or hidden, or a model could not be loaded.
    model_set : Signal(str or Path)
        This model has come into use.
    compute : ComputeController
        Makes the tiles.
    slides : dict
        The slides with computed views, by their own layers.
    """

    changed = Signal()
    model_set = Signal(object)

    def __init__(self, viewer: napari.Viewer, settings: ComputeSettings | None = None) -> None:
        super().__init__()
        self.viewer = viewer
        self.compute = ComputeController(settings or ComputeSettings(), self._on_ready)
        self.compute.load_failed.connect(self.changed)
        self.slides: dict[Layer, SlideViewModel] = {}
        self._closed = False
        self.computed_blocks: dict[tuple[str, Product], set[tuple[int, int]]] = {}
        self._redraw = RedrawTimer(self, self._is_awaited)
        self._redraw.due.connect(self._refresh)
        self._redraw.settled.connect(self._request_visible)
        self._removed_event = viewer.layers.events.removed
        self._camera_events = viewer.scene.camera.events
        self._removed_event.connect(self._on_layer_removed)
        self._camera_events.zoom.connect(self._redraw.camera_moved)
        self._camera_events.center.connect(self._redraw.camera_moved)

    # ------------------------------------------------------------------ slides and views

    def show(self, source: Layer, model: str | Path, kinds: tuple[ViewKind, ...] = (SR_10, SR_20)) -> SlideViewModel:
        """Show a slide's computed views beside its own layer.

        Parameters
        ----------
        source : Layer
            A layer made by our reader.
        model : str or Path
            See `models.zoo.find_model`.
        kinds : tuple of ViewKind

        Raises
        ------
        PathSRGANError
            If the slide or the model can't be used; nothing has changed then.
        """
        service = self.compute.start()
        try:
            runner = ProcessModel(service.process, model)
            shown = SlideViewModel.open(source, runner)
        except PathSRGANError:
            if not self.slides:
                self.compute.stop()
            raise
        self.slides[source] = shown
        service.attach(shown.super_resolved)
        self.compute.load(runner.path)
        for kind in kinds:
            self._add_view(shown, kind)
        source.events.visible.connect(self._on_visibility)
        self.changed.emit()
        return shown

    def set_kind_shown(self, source: Layer, kind: ViewKind, wanted: bool) -> None:
        """Add or remove one of a slide's views; without any, the slide is as scanned only and holds nothing."""
        shown = self.slides[source]
        if kind.is_source:
            source.visible = wanted
        elif not wanted and kind in shown.views:
            self.viewer.layers.remove(shown.views[kind][0])
        elif wanted and kind not in shown.views:
            self._add_view(shown, kind)
            self.changed.emit()
        elif wanted:
            shown.views[kind][0].visible = True

    def add_comparison_model(self, source: Layer, model: str | Path) -> None:
        """Show another model's 20× view of a slide as well, to compare the two.

        Raises
        ------
        OptionError
            If that model's view is there already.
        PathSRGANError
            If the model can't be used; nothing has changed then.
        """
        service, shown = self.compute.start(), self.slides[source]
        runner = ProcessModel(service.process, model)
        added = SuperResolvedSlide(shown.slide, runner)
        there = {shown.super_resolved.product, *(one.product for one in shown.comparison_models.values())}
        if added.product in there:
            raise OptionError(f"What {runner.card.name} computes is shown already.", "Choose another model.")
        service.attach(added)
        self.compute.load(runner.path)
        self._add_view(shown, shown.add_comparison_model(added))
        self.changed.emit()

    def set_model(self, model: str | Path) -> None:
        """Show every slide with another model, once that has been loaded; until then, the last one's image stays.

        Emits ``model_set`` when it is in use; ``compute.problem`` and ``changed`` when it can't be loaded.

        Raises
        ------
        PathSRGANError
            If there is no such model, or it does not fit a slide; nothing has changed then.
        """
        if self.compute.service is None or not self.slides:
            return
        runner = ProcessModel(self.compute.service.process, model)
        prepared = {source: SuperResolvedSlide(shown.slide, runner) for source, shown in self.slides.items()}

        def use() -> None:
            for source, super_resolved in prepared.items():
                if source in self.slides:
                    self._set_model(self.slides[source], super_resolved)
            self.model_set.emit(model)
            self.changed.emit()

        self.compute.load(runner.path, use)

    def close(self, remove_views: bool = False) -> None:
        """End the process, its threads and all handles.

        Parameters
        ----------
        remove_views : bool
            Whether the computed layers go as well, in a window that stays: nothing would fill them any more.
        """
        if self._closed:
            return
        self._closed = True
        self._redraw.stop()
        self._removed_event.disconnect(self._on_layer_removed)
        self._camera_events.zoom.disconnect(self._redraw.camera_moved)
        self._camera_events.center.disconnect(self._redraw.camera_moved)
        self.compute.stop()
        for source, shown in self.slides.items():
            source.events.visible.disconnect(self._on_visibility)
            layers = shown.take_views()
            if remove_views:
                self._remove_layers(layers)
            shown.slide.close()
        self.slides.clear()
        self.compute.close()

    # ------------------------------------------------------------------ computing

    def progress(self, layer: Layer | None = None) -> tuple[int, int]:
        """Tiles in sight that are sharp, and all that are in sight, over all visible computed views or one layer's."""
        ready, missing = self._in_sight(layer)
        return len(ready), len(ready) + len(missing)

    def missing_share(self, layer: Layer) -> float:
        """How much of what is in sight of a layer is being worked on: 0 to 1."""
        ready, wanted = self.progress(layer)
        return 0.0 if self.compute.paused or not wanted else 1 - ready / wanted

    def retry(self) -> None:
        """Try again what failed; a process that was given up is started anew.

        Raises
        ------
        PathSRGANError
            As `restart`.
        """
        if self.compute.process_failed:
            self.restart(self.compute.settings)
        else:
            self.compute.retry_failed()

    def restart(self, settings: ComputeSettings) -> None:
        """Use other settings: what computes is started anew; layers and computed tiles stay.

        Raises
        ------
        PathSRGANError
            If a slide or its model can't be used any more; the others stay usable.
        """
        self.compute.set_settings(settings)
        problem: PathSRGANError | None = None
        for shown in list(self.slides.values()):
            try:
                self._restart_slide(shown)
            except PathSRGANError as error:
                problem = problem or error
        self.changed.emit()
        if problem is not None:
            raise problem

    def _restart_slide(self, shown: SlideViewModel) -> None:
        path = _model_path(shown.super_resolved)
        runner = ProcessModel(self.compute.start().process, path)
        self._set_model(shown, SuperResolvedSlide(shown.slide, runner))
        self.compute.load(path)
        for kind, super_resolved in shown.comparison_models.items():
            self._set_comparison_model(shown, kind, _model_path(super_resolved))

    # ------------------------------------------------------------------ layers

    def _add_view(self, shown: SlideViewModel, kind: ViewKind) -> None:
        layer = shown.add_view(self.viewer, kind, self.compute.cache, self.compute.start().scheduler)
        layer.events.visible.connect(self._on_visibility)

    def _remove_layers(self, layers: list[Any]) -> None:
        for layer in layers:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    def _set_model(self, shown: SlideViewModel, super_resolved: SuperResolvedSlide) -> None:
        """Show a slide with another model, or the same one in another process."""
        service, last = self.compute.start(), shown.super_resolved
        service.attach(super_resolved)  # first, or what is on disk would be computed once more
        fits = shown.set_model(super_resolved, service.scheduler)
        service.detach(last)
        if not fits:
            kinds = tuple(shown.views)
            outdated = shown.take_views()
            for kind in kinds:
                self._add_view(shown, kind)
            self._remove_layers(outdated)

    def _set_comparison_model(self, shown: SlideViewModel, kind: ViewKind, path: Path) -> None:
        service, last = self.compute.start(), shown.comparison_models[kind]
        super_resolved = SuperResolvedSlide(shown.slide, ProcessModel(service.process, path))
        service.attach(super_resolved)
        shown.set_comparison_model(kind, super_resolved, service.scheduler)
        service.detach(last)
        self.compute.load(path)

    def _detach(self, *attached: SuperResolvedSlide) -> None:
        """Make no more tiles of slides with their models."""
        if self.compute.service is not None:
            for super_resolved in attached:
                self.compute.service.detach(super_resolved)

    def _take_view(self, shown: SlideViewModel, layer: Layer) -> bool:
        """Give up the view of a layer that was removed, and the model that only it was for."""
        before = dict(shown.comparison_models)
        taken = shown.take_views(layer)
        self._detach(*(model for kind, model in before.items() if kind not in shown.comparison_models))
        return bool(taken)

    def _on_visibility(self, event: Any) -> None:
        for shown in self.slides.values():
            shown.cancel_hidden(event.source)
        self.changed.emit()

    def _on_layer_removed(self, event: Any) -> None:
        for source, shown in list(self.slides.items()):
            if source == event.value:
                self._forget_slide(source, shown)
            elif self._take_view(shown, event.value):
                if not shown.views:
                    self._forget_slide(source, shown)
                self.changed.emit()

    def _forget_slide(self, source: Layer, shown: SlideViewModel) -> None:
        source.events.visible.disconnect(self._on_visibility)
        layers = shown.take_views()
        self._detach(shown.super_resolved, *shown.comparison_models.values())
        slide = shown.slide.cache_id
        if not any(other is not shown and other.slide.cache_id == slide for other in self.slides.values()):
            self.compute.cache.drop(lambda key: key.slide == slide)
        del self.slides[source]
        self._remove_layers(layers)
        shown.slide.close()
        if not self.slides:
            self.compute.stop()
            self.compute.cache.clear()
        self.changed.emit()

    # ------------------------------------------------------------------ redrawing

    def _on_ready(self, keys: frozenset[TileKey]) -> None:
        self._redraw.add(keys)

    def _is_awaited(self, fresh: Set[TileKey]) -> bool:
        """Whether these are all that is sharp of what is in sight, and so the first; or the last that was missing."""
        ready, missing = self._in_sight()
        return not ready.isdisjoint(fresh) and (not missing or ready <= fresh)

    def _in_sight(self, layer: Layer | None = None) -> tuple[set[TileKey], set[TileKey]]:
        """Computed tiles in sight of all visible views or of one layer's: those there, and those missing."""
        wanted = {key for shown in self.slides.values() for key in shown.requested(layer) if key.level < SLIDE_LEVEL}
        missing = set(self.compute.cache.missing(wanted))
        return wanted - missing, missing

    def _refresh(self, fresh: set[TileKey]) -> None:
        self.compute.forget_found()
        for key in fresh:
            if key.level < SLIDE_LEVEL and key.part is None:
                self.computed_blocks.setdefault((key.slide, key.product), set()).add((key.row, key.col))
        for shown in list(self.slides.values()):
            shown.refresh(fresh)
        self.compute.progressed.emit()

    def _request_visible(self) -> None:
        """Request what is in sight now, for napari did not slice again if that is less than before."""
        region_um = RectangleUm(*visible_um(self.viewer))
        for shown in self.slides.values():
            shown.request_visible(region_um)
        self.compute.progressed.emit()


def _model_path(super_resolved: SuperResolvedSlide) -> Path:
    """Find the file that the model of a slide in this viewer came from."""
    runner = super_resolved.runner
    assert isinstance(runner, ProcessModel)
    return runner.path
