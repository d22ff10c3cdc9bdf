"""The dock *Super-resolution*."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_pathsrgan.errors import OutputError, PathSRGANError
from napari_pathsrgan.inference.cache_folder import CacheFolder, default_folder
from napari_pathsrgan.models.zoo import model_card, split_weight
from napari_pathsrgan.plugin.compare.comparison import Comparison
from napari_pathsrgan.plugin.compare.keys import CompareKeys
from napari_pathsrgan.plugin.compare.panel import ComparePanel
from napari_pathsrgan.plugin.layers.names import slide_of
from napari_pathsrgan.plugin.layers.scan_layer import is_scan
from napari_pathsrgan.plugin.layers.view_kinds import SCAN, ViewKind, view_kinds
from napari_pathsrgan.plugin.viewer.advanced_panel import AdvancedPanel
from napari_pathsrgan.plugin.viewer.browsing_session import BrowsingSession
from napari_pathsrgan.plugin.viewer.compare_actions import CompareActions
from napari_pathsrgan.plugin.viewer.overview_map import OverviewMap, go_to, update_magnification, visible_um
from napari_pathsrgan.plugin.viewer.panes import Panes
from napari_pathsrgan.plugin.viewer.progress_box import ProgressBox
from napari_pathsrgan.plugin.viewer.registered_scans import RegisteredScans
from napari_pathsrgan.plugin.viewer.slide_form import SlideForm
from napari_pathsrgan.plugin.widgets.dock import DockWidget
from napari_pathsrgan.plugin.widgets.message_strip import MessageStrip
from napari_pathsrgan.plugin.widgets.narrow_layout import Scrolled
from napari_pathsrgan.plugin.widgets.plain_text import PlainLabel

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Layer

    from napari_pathsrgan.inference.tile_service import ComputeSettings
    from napari_pathsrgan.plugin.viewer.slide_view_model import SlideViewModel

DEFAULT_MODEL = "lite"
_NOTHING_OPEN = "Drop a slide here, or open the sample:\nFile ▸ Open Sample ▸ Cytology phantom."


class SuperResolutionWidget(DockWidget):
    """Shows computed views beside every open slide, and what is being computed.

    Closing the window, or the dock for good, ends the session; hiding the dock does not.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
    settings : ComputeSettings, optional
    model : str or Path
        That slides are shown with at first.
    """

    def __init__(
        self,
        napari_viewer: napari.viewer.Viewer,
        settings: ComputeSettings | None = None,
        model: str | Path = DEFAULT_MODEL,
    ) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.session = BrowsingSession(napari_viewer, settings)
        self.comparison = Comparison(napari_viewer)
        self.keys = CompareKeys(self.comparison.viewer, self.comparison)
        self.scans = RegisteredScans(self.comparison.viewer)
        self.panes = Panes(napari_viewer, self.comparison, self._beside)
        self._model: str | Path = model
        # What the user last asked for, and a new slide gets.
        self._kinds = tuple(kind for kind in view_kinds() if kind.shown_at_first and not kind.is_source)
        self._offered: WeakSet[Layer] = WeakSet()  # slides that were shown once, or could not be
        self._places: WeakKeyDictionary[Layer, tuple[Any, float]] = WeakKeyDictionary()  # camera's centre and zoom
        self._show_timer = QTimer(self)
        self._show_timer.setSingleShot(True)
        self._show_timer.timeout.connect(self._show_slides)
        self._build()
        self._connect()
        self._show_model()
        self._show_slides()

    def _build(self) -> None:
        self.setMinimumWidth(260)
        self.messages = MessageStrip()
        self.empty = PlainLabel(_NOTHING_OPEN)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self.form = SlideForm()
        self.compare = ComparePanel(self.comparison, self.keys)
        self.progress = ProgressBox()
        self.overview = OverviewMap()
        self.advanced = AdvancedPanel(self.session.compute.settings)
        self.body = QWidget()
        self.room = Scrolled(self.body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.messages)
        layout.addWidget(self.empty, 1)
        layout.addWidget(self.room, 1)
        body = QVBoxLayout(self.body)
        body.setContentsMargins(0, 0, 0, 0)
        for widget in (self.form, self.compare, self.progress):
            body.addWidget(widget)
        body.addWidget(self.overview, 1)
        body.addWidget(self.advanced)

    def _connect(self) -> None:
        compute = self.session.compute
        compute.progressed.connect(self._update_progress)
        compute.problem.connect(self._on_problem)
        compute.notice.connect(self.messages.show_notice)
        self.session.changed.connect(self._update_slide)
        self.session.model_set.connect(self._on_model_set)
        self.form.slide_chosen.connect(self._go_to_slide)
        self.form.model_chosen.connect(self.choose_model)
        self.form.models_changed.connect(self._show_model)
        self.form.kind_toggled.connect(self._on_kind)
        self.comparison.changed.connect(self._lay_out)
        self.compare_actions = CompareActions(
            self.session, self.comparison, self.scans, self.messages, self.current, dock=self
        )
        self.compare.capture_requested.connect(self.compare_actions.choose_capture)
        self.compare.scan_requested.connect(self.compare_actions.choose_pairs)
        self.compare.model_requested.connect(self.compare_actions.add_model)
        self.compare_actions.adding.connect(self.panes.merge)
        self.compare_actions.added.connect(self._lay_out)
        self.progress.pause_requested.connect(compute.set_paused)
        self.overview.jumped.connect(self._jump)
        self.advanced.settings_changed.connect(self._restart)
        self.advanced.memory_changed.connect(compute.set_memory)
        self.advanced.clear_requested.connect(self._clear_disk)
        self.advanced.opened.connect(self._show_disk_use)
        self.advanced.not_remembered.connect(self.messages.show_problem)
        layers, camera, canvas = self.viewer.layers.events, self.viewer.scene.camera.events, self.viewer.canvas.events
        self._connected = (
            (layers.inserted, self._on_layer_inserted),
            (layers.removed, self._update_slide),
            (camera.zoom, self._on_camera),
            (camera.center, self._on_camera),
            (canvas.size, self._on_camera),
        )
        for event, callback in self._connected:
            event.connect(callback)

    # ------------------------------------------------------------------ slides

    def current(self) -> SlideViewModel | None:
        """The slide chosen in the dock; None where there is none, or it is as scanned only."""
        return self.session.slides.get(self.form.current_source)

    def choose_model(self, model: str | Path) -> None:
        """Show every slide with another model; the last one stays where it can't be used."""
        try:
            if model:
                model_card(model)
                if self.session.slides:
                    self.session.set_model(model)
                    return  # `model_set` comes when it has been loaded
                self._model = model
        except PathSRGANError as error:
            self.messages.show_problem(error)
        self._show_model()

    def _on_layer_inserted(self, event: Any) -> None:
        if is_scan(event.value):
            self._show_timer.start(0)  # napari has not finished adding it

    def _show_slides(self) -> None:
        """Show slides that have come; those that were taken off are not brought back."""
        for layer in self.panes.sources():
            if layer not in self._offered and not self._ended:
                self._offered.add(layer)
                self._show_slide(layer, self._kinds)
                if len(self.panes.sources()) > 1:
                    go_to(self.viewer, layer)
        self._update_slide()

    def _show_slide(self, layer: Layer, kinds: tuple[ViewKind, ...]) -> None:
        saw_all = _contains(visible_um(self.viewer), layer)
        self.panes.merge()
        self.form.list_slides(self.panes.sources())
        self.form.choose_slide(layer)
        try:
            shown = self.session.show(layer, self._model, kinds)
        except PathSRGANError as error:
            self.messages.show_problem(error)
        else:
            if shown.super_resolved.resampling_note:
                self.messages.show_notice(shown.super_resolved.resampling_note)
        self._lay_out()
        if saw_all:  # so it is seen whole in its pane as well
            self.viewer.fit_to_view()

    def _go_to_slide(self) -> None:
        """Move the view to the slide chosen: to where it was seen last, or to all of it."""
        source = self.form.current_source
        if source is None:
            return
        camera = self.viewer.scene.camera
        if source in self._places:
            camera.center, camera.zoom = self._places[source]
        else:
            go_to(self.viewer, source)
        self._update_slide()

    def _update_slide(self, _event: Any = None) -> None:
        self.form.list_slides(self.panes.sources())
        source, shown = self.form.current_source, self.current()
        self.empty.setVisible(source is None)
        self.room.setVisible(source is not None)
        self.progress.setVisible(shown is not None)
        if source is None:
            self._lay_out()
            return
        self.comparison.set_slide(slide_of(source))
        self.form.show_facts(None if shown is None else shown.slide)
        visible = set() if shown is None else shown.visible_kinds()
        self.form.tick(visible | {SCAN} if source.visible else visible)
        if shown is None:
            self.overview.set_slide(None)
        else:
            self.overview.set_slide(shown.overview, shown.slide.extent_um)
        self._lay_out()
        self._update_progress()

    # ------------------------------------------------------------------ doing

    def _on_kind(self, kind: ViewKind, wanted: bool) -> None:
        source = self.form.current_source
        if source is None:
            return
        if kind.is_source:
            source.visible = wanted
        else:
            self._kinds = tuple(one for one, box in self.form.boxes.items() if box.isChecked() and not one.is_source)
            if source in self.session.slides:
                self.session.set_kind_shown(source, kind, wanted)
            elif wanted:
                self._show_slide(source, (kind,))
        self._update_slide()

    def _restart(self, settings: ComputeSettings) -> None:
        self._try(lambda: self.session.restart(settings))
        self._show_disk_use()

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except PathSRGANError as error:
            self._on_problem(error)

    def _clear_disk(self) -> None:
        service = self.session.compute.service
        if service is not None and service.disk is not None:
            service.disk.clear()
        else:
            self._cache_folder().clear()
        self.messages.show_notice("The cached tiles were removed from the disk.")
        self._show_disk_use()

    def _show_disk_use(self) -> None:
        self.advanced.show_disk_use(self._cache_folder().size_bytes())

    def _cache_folder(self) -> CacheFolder:
        """Tiles stored on disk, also by earlier sessions while none are stored now."""
        return CacheFolder(self.session.compute.settings.cache_folder or default_folder())

    def _on_problem(self, error: PathSRGANError) -> None:
        if isinstance(error, OutputError):  # the disk cache: the image does not need it
            self.messages.show_problem(error)
        else:
            self.messages.show_problem(error, "Try again", lambda: self._try(self.session.retry))
        self._show_model()  # where another could not be loaded, the box shows it still

    def _on_model_set(self, model: str | Path) -> None:
        self._model = model
        self._show_model()

    def _jump(self, row_um: float, col_um: float) -> None:
        self.viewer.scene.camera.center = (row_um, col_um)

    # ------------------------------------------------------------------ showing

    def _show_model(self) -> None:
        try:
            card = model_card(split_weight(self._model)[0])
        except PathSRGANError:
            card = None
        self.form.show_model(self._model, card)

    def _beside(self, source: Layer) -> list[Layer]:
        shown = self.session.slides.get(source)
        views = [] if shown is None else [shown.views[kind][0] for kind in shown.kinds()]
        return [*views, *self.scans.layers(source)]

    def _lay_out(self) -> None:
        self.form.show_row.setEnabled(self.comparison.mode.in_panes)
        if self.panes.lay_out():
            self._on_camera()

    def _on_camera(self, _event: Any = None) -> None:
        source, camera = self.form.current_source, self.viewer.scene.camera
        if source is not None:
            self._places[source] = camera.center, camera.zoom
        self.overview.set_visible(*visible_um(self.viewer))
        update_magnification(self.viewer)

    def _update_progress(self) -> None:
        compute = self.session.compute
        self.comparison.show_working(self.session.missing_share)
        self.progress.show_progress(*self.session.progress(), compute.paused)
        self.progress.show_status(None if compute.service is None else compute.service.process.status)
        shown = self.current()
        done = None if shown is None else self.session.computed_blocks.get(shown.identity)
        if shown is not None and done:
            self.overview.set_computed(*shown.computed_mask(done))

    # ------------------------------------------------------------------ ending

    def teardown(self, window_stays: bool) -> None:
        """Stop the process and leave the viewer; the computed layers go with the dock, where the window stays."""
        for event, callback in self._connected:
            event.disconnect(callback)
        self.keys.release()
        self.comparison.close()
        self.scans.close(remove=window_stays)
        if window_stays:
            self.panes.leave()
        self.session.close(remove_views=window_stays)


def _contains(region_um: tuple[float, float, float, float], layer: Layer) -> bool:
    row, col, height, width = region_um
    (top, left), (bottom, right) = layer.extent.world
    return bool(row <= top and col <= left and row + height >= bottom and col + width >= right)
