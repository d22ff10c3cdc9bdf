"""Actions of the compare panel: a capture, a registered scan, another model's view."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.plugin.compare.capture import write_capture
from napari_pathsrgan.plugin.layers.scan_layer import SLIDE_KEY

if TYPE_CHECKING:
    from napari_pathsrgan.plugin.compare.comparison import Comparison
    from napari_pathsrgan.plugin.viewer.browsing_session import BrowsingSession
    from napari_pathsrgan.plugin.viewer.registered_scans import RegisteredScans
    from napari_pathsrgan.plugin.viewer.slide_view_model import SlideViewModel
    from napari_pathsrgan.plugin.widgets.message_strip import MessageStrip


class CompareActions(QObject):
    """Does what the buttons of a `ComparePanel` ask for, and reports in a message strip.

    Parameters
    ----------
    session : BrowsingSession
    comparison : Comparison
    scans : RegisteredScans
    messages : MessageStrip
    current : callable () -> SlideViewModel or None
        Gives the slide chosen in the dock.
    dock : QWidget
        Parent of the dialogs.

    Attributes
    ----------
    adding : Signal()
        Layers are about to be added.
    added : Signal()
        Layers were added, or could not be.
    """

    adding = Signal()
    added = Signal()

    def __init__(
        self,
        session: BrowsingSession,
        comparison: Comparison,
        scans: RegisteredScans,
        messages: MessageStrip,
        current: Callable[[], SlideViewModel | None],
        dock: QWidget,
    ) -> None:
        super().__init__(dock)
        self._session = session
        self._comparison = comparison
        self._scans = scans
        self._messages = messages
        self._current = current
        self._dock = dock

    def capture(self, path: Path) -> None:
        """Write what is compared as PNG; the dock says where, or why not."""
        ready, wanted = self._session.progress()
        try:
            shown = self._current()
            slide = "" if shown is None else shown.source.metadata[SLIDE_KEY]["name"]
            written = write_capture(self._comparison.viewer, self._comparison.overlay, path, slide)
        except PathSRGANError as error:
            self._messages.show_problem(error)
            return
        soft = f" It was not sharp yet: {ready} of {wanted}." if ready < wanted else ""
        self._messages.show_notice(f"Captured in {written}.{soft}")

    def add_scans(self, path: Path) -> None:
        """Show the finer scans that the slide chosen was registered with, from a pairs file."""
        self._add(
            lambda shown: self._scans.add(shown, path),
            "Tick 10× or 20× first: scans are placed on a slide whose views are shown.",
        )

    def add_model(self, model: str | Path) -> None:
        """Show what another model computes from the slide chosen as well, to compare the two."""
        self._add(
            lambda shown: self._session.add_comparison_model(shown.source, model),
            "Tick 10× or 20× first, then add another model.",
        )

    def _add(self, add: Callable[[SlideViewModel], object], without_slide: str) -> None:
        shown = self._current()
        if shown is None:
            self._messages.show_notice(without_slide)
            return
        self.adding.emit()
        try:
            add(shown)
        except PathSRGANError as error:
            self._messages.show_problem(error)
        self.added.emit()

    def choose_capture(self) -> None:
        """Ask where, and capture."""
        chosen, _ = QFileDialog.getSaveFileName(self._dock, "Save what is compared", "comparison.png", "Images (*.png)")
        if chosen:
            self.capture(Path(chosen))

    def choose_pairs(self) -> None:
        """Ask which, and add the scans."""
        chosen = QFileDialog.getExistingDirectory(self._dock, "Choose the pairs file of this slide")
        if chosen:
            self.add_scans(Path(chosen))
