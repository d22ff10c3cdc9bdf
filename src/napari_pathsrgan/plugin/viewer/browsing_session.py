"""The slides of one viewer with their computed views, from the first to the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal

from napari_pathsrgan.errors import OptionError, PathSRGANError
from napari_pathsrgan.inference.process import ProcessModel
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
from napari_pathsrgan.plugin.layers.computed_layer import SR_10, SR_20, ViewKind
from napari_pathsrgan.plugin.viewer.computing import SessionSettings
from napari_pathsrgan.plugin.viewer.computing_session import ComputingSession
from napari_pathsrgan.plugin.viewer.overview_map import visible_um
from napari_pathsrgan.plugin.viewer.redraw_timer import Redraw
from napari_pathsrgan.plugin.viewer.slide_view_model import ShownSlide
from napari_pathsrgan.tiles.grid import SLIDE_LEVEL, RectangleUm, TileKey

if TYPE_CHECKING:
    from collections.abc import Set

    import napari
    from napari.layers import Layer

    from napari_pathsrgan.tiles.product import Product


class BrowsingSession(ComputingSession):
    """Computed views of the slides in one viewer.

    ``changed`` comes when a slide or view was added, removed, shown or hidden, ``exchanged`` with the model that has
    come into use.

    Parameters
    ----------
    viewer : napari.Viewer
        Or the proxy of it that napari gives to docks; layers are compared by ``==``, which a proxy does not disturb.
    settings : SessionSettings, optional
    """

    exchanged = Signal(object)

    def __init__(self, viewer: napari.Viewer, settings: SessionSettings | None = None) -> None:
        super().__init__(settings or SessionSettings())
        self.viewer = viewer
        self.shown: dict[Layer, ShownSlide] = {}
        self.computed_blocks: dict[tuple[str, Product], set[tuple[int, int]]] = {}
        self._redraw = Redraw(self, self._is_awaited)
        self._redraw.due.connect(self._refresh)
        self._redraw.settled.connect(self._look)
        self._removed_event = viewer.layers.events.removed
        self._camera_events = viewer.scene.camera.events
        self._removed_event.connect(self._on_layer_removed)
        self._camera_events.zoom.connect(self._redraw.camera_moved)
        self._camera_events.center.connect(self._redraw.camera_moved)

    # ------------------------------------------------------------------ slides and views

    def show(self, source: Layer, model: str | Path, kinds: tuple[ViewKind, ...] = (SR_10, SR_20)) -> ShownSlide:
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
        computing = self._start()
        try:
            shown = ShownSlide.open(source, ProcessModel(computing.process, model))
        except PathSRGANError:
            if not self.shown:
                self._stop()
            raise
        self.shown[source] = shown
        computing.attach(shown.super_resolved)
        self._load(shown.super_resolved.runner.path)
        for kind in kinds:
            self._add_view(shown, kind)
        source.events.visible.connect(self._on_visibility)
        self.changed.emit()
        return shown

    def set_kind_shown(self, source: Layer, kind: ViewKind, wanted: bool) -> None:
        """Add or remove one of a slide's views; without any, the slide is as scanned only and holds nothing."""
        shown = self.shown[source]
        if not wanted and kind in shown.views:
            self.viewer.layers.remove(shown.views[kind][0])
        elif wanted and kind not in shown.views:
            self._add_view(shown, kind)
            self.changed.emit()
        elif wanted:
            shown.views[kind][0].visible = True

    def show_beside(self, source: Layer, model: str | Path) -> None:
        """Show another model's 20× view of a slide as well, to compare the two.

        Raises
        ------
        OptionError
            If that model's view is there already.
        PathSRGANError
            If the model can't be used; nothing has changed then.
        """
        computing, shown = self._start(), self.shown[source]
        guest = SuperResolvedSlide(shown.slide, ProcessModel(computing.process, model))
        there = {shown.super_resolved.product, *(one.product for one in shown.guests.values())}
        if guest.product in there:
            raise OptionError(f"What {guest.runner.card.name} computes is shown already.", "Choose another model.")
        computing.attach(guest)
        self._load(guest.runner.path)
        self._add_view(shown, shown.admit(guest))
        self.changed.emit()

    def exchange_model(self, model: str | Path) -> None:
        """Show every slide with another model, once that has been loaded; until then, the last one's picture stays.

        Emits ``exchanged`` when it is in use; ``problem`` and ``changed`` when it can't be loaded.

        Raises
        ------
        PathSRGANError
            If there is no such model, or it does not fit a slide; nothing has changed then.
        """
        if self.computing is None:
            return
        process = self.computing.process
        prepared = {
            source: SuperResolvedSlide(shown.slide, ProcessModel(process, model))
            for source, shown in self.shown.items()
        }

        def use() -> None:
            for source, super_resolved in prepared.items():
                if source in self.shown:
                    self._bind(self.shown[source], super_resolved)
            self.exchanged.emit(model)
            self.changed.emit()

        for super_resolved in list(prepared.values())[:1]:
            self._load(super_resolved.runner.path, use)

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
        self._stop()
        for source, shown in self.shown.items():
            source.events.visible.disconnect(self._on_visibility)
            layers = shown.take_views()
            if remove_views:
                self._remove_layers(layers)
            shown.slide.close()
        self.shown.clear()
        self.cache.clear()

    # ------------------------------------------------------------------ computing

    def progress(self, layer: Layer | None = None) -> tuple[int, int]:
        """Tiles in sight that are sharp, and all that are in sight, over all visible computed views or one layer's."""
        ready, missing = self._in_sight(layer)
        return len(ready), len(ready) + len(missing)

    def missing_share(self, layer: Layer) -> float:
        """How much of what is in sight of a layer is being worked on: 0 to 1."""
        ready, wanted = self.progress(layer)
        return 0.0 if self._paused or not wanted else 1 - ready / wanted

    def restart(self, settings: SessionSettings) -> None:
        """Use other settings: what computes is started anew; layers and computed tiles stay.

        Raises
        ------
        PathSRGANError
            If a slide or its model can't be used any more; the others go on.
        """
        super().restart(settings)
        problem: PathSRGANError | None = None
        for shown in list(self.shown.values()):
            path = shown.super_resolved.runner.path
            try:
                self._bind(shown, SuperResolvedSlide(shown.slide, ProcessModel(self._start().process, path)))
                self._load(path)
                for kind, guest in shown.guests.items():
                    self._bind_guest(shown, kind, guest.runner.path)
            except PathSRGANError as error:
                problem = problem or error
        self.changed.emit()
        if problem is not None:
            raise problem

    # ------------------------------------------------------------------ layers

    def _add_view(self, shown: ShownSlide, kind: ViewKind) -> None:
        layer = shown.add_view(self.viewer, kind, self.cache, self._start().scheduler)
        layer.events.visible.connect(self._on_visibility)

    def _remove_layers(self, layers: list[Any]) -> None:
        for layer in layers:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    def _bind(self, shown: ShownSlide, super_resolved: SuperResolvedSlide) -> None:
        """Show a slide through another model, or the same one in another process."""
        computing, last = self._start(), shown.super_resolved
        computing.attach(super_resolved)  # first, or what is on disk would be computed once more
        fits = shown.bind(super_resolved, computing.scheduler)
        computing.detach(last)
        if not fits:
            kinds = tuple(shown.views)
            outdated = shown.take_views()
            for kind in kinds:
                self._add_view(shown, kind)
            self._remove_layers(outdated)

    def _bind_guest(self, shown: ShownSlide, kind: ViewKind, path: Path) -> None:
        computing, last = self._start(), shown.guests[kind]
        guest = SuperResolvedSlide(shown.slide, ProcessModel(computing.process, path))
        computing.attach(guest)
        shown.bind_guest(kind, guest, computing.scheduler)
        computing.detach(last)
        self._load(path)

    def _detach(self, *seen: SuperResolvedSlide) -> None:
        """Make no more tiles of slides through models."""
        if self.computing is not None:
            for super_resolved in seen:
                self.computing.detach(super_resolved)

    def _take_view(self, shown: ShownSlide, layer: Layer) -> bool:
        """Let go of the view of a layer that was removed, and of the model that only it was for."""
        guests = dict(shown.guests)
        taken = shown.take_views(layer)
        self._detach(*(guest for kind, guest in guests.items() if kind not in shown.guests))
        return bool(taken)

    def _on_visibility(self, event: Any) -> None:
        for shown in self.shown.values():
            shown.forget_hidden(event.source)
        self.changed.emit()

    def _on_layer_removed(self, event: Any) -> None:
        for source, shown in list(self.shown.items()):
            if source == event.value:
                self._forget_slide(source, shown)
            elif self._take_view(shown, event.value):
                if not shown.views:
                    self._forget_slide(source, shown)
                self.changed.emit()

    def _forget_slide(self, source: Layer, shown: ShownSlide) -> None:
        source.events.visible.disconnect(self._on_visibility)
        layers = shown.take_views()
        self._detach(shown.super_resolved, *shown.guests.values())
        slide = shown.slide.cache_id
        if not any(other is not shown and other.slide.cache_id == slide for other in self.shown.values()):
            self.cache.drop(lambda key: key.slide == slide)
        del self.shown[source]
        self._remove_layers(layers)
        shown.slide.close()
        if not self.shown:
            self._stop()
            self.cache.clear()
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
        wanted = {key for shown in self.shown.values() for key in shown.wanted(layer) if key.level < SLIDE_LEVEL}
        missing = set(self.cache.missing(wanted))
        return wanted - missing, missing

    def _refresh(self, fresh: set[TileKey]) -> None:
        self._look_for_gone()
        for key in fresh:
            if key.level < SLIDE_LEVEL and key.part is None:
                self.computed_blocks.setdefault((key.slide, key.product), set()).add((key.row, key.col))
        for shown in list(self.shown.values()):
            shown.refresh(fresh)
        self.advanced.emit()

    def _look(self) -> None:
        """Ask for what is in sight now, for napari did not slice again if that is less than before."""
        in_sight = RectangleUm(*visible_um(self.viewer))
        for shown in self.shown.values():
            shown.look(in_sight)
        self.advanced.emit()
