"""The dock *Super-resolution*."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_pathsrgan.errors import OutputError, PathSRGANError
from napari_pathsrgan.inference.cache_folder import CacheFolder, default_folder
from napari_pathsrgan.models.zoo import model_card, split_share
from napari_pathsrgan.plugin.compare.comparison import Comparison
from napari_pathsrgan.plugin.compare.keys import CompareKeys
from napari_pathsrgan.plugin.compare.modes import CompareMode
from napari_pathsrgan.plugin.compare.panel import ComparePanel
from napari_pathsrgan.plugin.layers.computed_layer import PANE_ORDER, SR_10, SR_20, ViewKind
from napari_pathsrgan.plugin.layers.scan_layer import is_scan
from napari_pathsrgan.plugin.viewer.advanced_panel import AdvancedPanel
from napari_pathsrgan.plugin.viewer.browsing_session import BrowsingSession
from napari_pathsrgan.plugin.viewer.compare_requests import CompareRequests
from napari_pathsrgan.plugin.viewer.overview_map import OverviewMap, tell_magnification, visible_um
from napari_pathsrgan.plugin.viewer.panes import Panes
from napari_pathsrgan.plugin.viewer.progress_box import ProgressBox
from napari_pathsrgan.plugin.viewer.registered_scans import RegisteredScans
from napari_pathsrgan.plugin.viewer.slide_form import SlideForm
from napari_pathsrgan.plugin.widgets.dock import Dock
from napari_pathsrgan.plugin.widgets.message_strip import MessageStrip
from napari_pathsrgan.plugin.widgets.narrow_layout import Scrolled
from napari_pathsrgan.plugin.widgets.plain_text import PlainLabel

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Layer

    from napari_pathsrgan.plugin.viewer.computing import SessionSettings
    from napari_pathsrgan.plugin.viewer.slide_view_model import ShownSlide

DEFAULT_MODEL = "lite"
_NOTHING_OPEN = "Drop a slide here, or open the sample:\nFile ▸ Open Sample ▸ Cytology phantom."


class SuperResolutionWidget(Dock):
    """Shows computed 10× and 20× views beside every open slide, and what is being done.

    Closing the window, or the dock for good, ends the session; hiding the dock does not.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
    settings : SessionSettings, optional
    model : str or Path
        What slides are shown with at first.
    """

    def __init__(
        self,
        napari_viewer: napari.viewer.Viewer,
        settings: SessionSettings | None = None,
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
        self._kinds: tuple[ViewKind, ...] = (SR_10, SR_20)  # what the user last asked for, and a new slide gets
        self._offered: WeakSet[Layer] = WeakSet()  # slides that were shown once, or could not be
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
        self.advanced = AdvancedPanel(self.session.settings)
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
        self.session.advanced.connect(self._update_progress)
        self.session.changed.connect(self._update_slide)
        self.session.exchanged.connect(self._on_exchanged)
        self.session.problem.connect(self._on_problem)
        self.session.notice.connect(self.messages.show_notice)
        self.form.slide_chosen.connect(self._update_slide)
        self.form.model_chosen.connect(self.choose_model)
        self.form.models_changed.connect(self._show_model)
        self.form.kind_toggled.connect(self._on_kind)
        self.comparison.changed.connect(self._lay_out)
        self.requests = CompareRequests(self)
        self.requests.answered.connect(self._lay_out)
        self.progress.pause_asked.connect(self.session.set_paused)
        self.overview.jumped.connect(self._jump)
        self.advanced.settings_changed.connect(self._restart)
        self.advanced.memory_changed.connect(self.session.set_memory)
        self.advanced.clear_asked.connect(self._clear_disk)
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

    def current(self) -> ShownSlide | None:
        """The slide chosen in the dock; None where there is none, or it is as scanned only."""
        return self.session.shown.get(self.form.current_source)

    def choose_model(self, model: str | Path) -> None:
        """Show every slide with another model; the last one stays where it can't be used."""
        try:
            if model:
                model_card(model)
                if self.session.shown:
                    self.session.exchange_model(model)
                    return  # `exchanged` comes when it has been loaded
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

    def _update_slide(self, _event: Any = None) -> None:
        self.form.list_slides(self.panes.sources())
        source, shown = self.form.current_source, self.current()
        self.empty.setVisible(source is None)
        self.room.setVisible(source is not None)
        self.progress.setVisible(shown is not None)
        if source is None:
            self._lay_out()
            return
        self.form.show_facts(None if shown is None else shown.slide)
        visible = {kind for kind, (layer, _) in shown.views.items() if layer.visible} if shown is not None else set()
        self.form.tick(visible | {None} if source.visible else visible)
        if shown is None:
            self.overview.set_slide(None)
        else:
            self.overview.set_slide(shown.overview, shown.slide.extent_um)
        self._lay_out()
        self._update_progress()

    # ------------------------------------------------------------------ doing

    def _on_kind(self, kind: ViewKind | None, wanted: bool) -> None:
        source = self.form.current_source
        if source is None:
            return
        if kind is None:
            source.visible = wanted
        else:
            self._kinds = tuple(one for one in PANE_ORDER if self.form.boxes[one].isChecked())
            if source in self.session.shown:
                self.session.set_kind_shown(source, kind, wanted)
            elif wanted:
                self._show_slide(source, (kind,))
        self._update_slide()

    def _restart(self, settings: SessionSettings) -> None:
        self._try(lambda: self.session.restart(settings))
        self._show_disk_use()

    def _try(self, act: Any) -> None:
        try:
            act()
        except PathSRGANError as error:
            self._on_problem(error)

    def _clear_disk(self) -> None:
        computing = self.session.computing
        if computing is not None and computing.disk is not None:
            computing.disk.clear()
        else:
            self._kept().clear()
        self.messages.show_notice("The kept views were removed from the disk.")
        self._show_disk_use()

    def _show_disk_use(self) -> None:
        self.advanced.show_disk_use(self._kept().size_bytes())

    def _kept(self) -> CacheFolder:
        """What is kept on disk, also by earlier sessions while nothing is kept now."""
        return CacheFolder(self.session.settings.cache_folder or default_folder())

    def _on_problem(self, error: PathSRGANError) -> None:
        if isinstance(error, OutputError):  # the disk cache: the picture does not need it
            self.messages.show_problem(error)
        else:
            self.messages.show_problem(error, "Try again", lambda: self._try(self.session.retry))
        self._show_model()  # where another could not be loaded, the box shows it still

    def _on_exchanged(self, model: str | Path) -> None:
        self._model = model
        self._show_model()

    def _jump(self, row_um: float, col_um: float) -> None:
        self.viewer.scene.camera.center = (row_um, col_um)

    # ------------------------------------------------------------------ showing

    def _show_model(self) -> None:
        try:
            card = model_card(split_share(self._model)[0])
        except PathSRGANError:
            card = None
        self.form.show_model(self._model, card)

    def _beside(self, source: Layer) -> list[Layer]:
        shown = self.session.shown.get(source)
        views = [] if shown is None else [shown.views[kind][0] for kind in shown.kinds()]
        return [*views, *self.scans.layers(source)]

    def _lay_out(self) -> None:
        self.form.show_row.setEnabled(self.comparison.mode is CompareMode.SIDE_BY_SIDE)
        if self.panes.lay_out():
            self._on_camera()

    def _on_camera(self, _event: Any = None) -> None:
        self.overview.set_visible(*visible_um(self.viewer))
        tell_magnification(self.viewer)

    def _update_progress(self) -> None:
        computing = self.session.computing
        self.comparison.show_working(self.session.missing_share)
        self.progress.show_progress(*self.session.progress(), self.session.paused)
        self.progress.show_status(None if computing is None else computing.process.status)
        shown = self.current()
        done = None if shown is None else self.session.computed_blocks.get(shown.identity)
        if shown is not None and done:
            self.overview.set_computed(*shown.computed_mask(done))

    # ------------------------------------------------------------------ ending

    def let_go(self, window_stays: bool) -> None:
        """End the process and let go of the viewer; the computed layers go with the dock, where the window stays."""
        for event, callback in self._connected:
            event.disconnect(callback)
        self.keys.release()
        self.comparison.end()
        self.scans.end(remove=window_stays)
        if window_stays:
            self.panes.leave()
        self.session.close(remove_views=window_stays)


def _contains(region_um: tuple[float, float, float, float], layer: Layer) -> bool:
    row, col, height, width = region_um
    (top, left), (bottom, right) = layer.extent.world
    return row <= top and col <= left and row + height >= bottom and col + width >= right
