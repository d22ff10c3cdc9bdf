"""What the part of the dock that compares asks for: a capture, a registered scan, another model's view."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.plugin.compare.capture import write_capture

if TYPE_CHECKING:
    from napari_pathsrgan.plugin.viewer.slide_view_model import ShownSlide
    from napari_pathsrgan.plugin.viewer.super_resolution_widget import SuperResolutionWidget


class CompareRequests(QObject):
    """Does what the buttons of a `ComparePanel` ask for; the dock's strip says what came of it.

    Parameters
    ----------
    dock : SuperResolutionWidget
        With its widgets built.

    Attributes
    ----------
    answered : Signal()
        Layers came, or could not.
    """

    answered = Signal()

    def __init__(self, dock: SuperResolutionWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        dock.compare.capture_asked.connect(self._choose_capture)
        dock.compare.scan_asked.connect(self._choose_pairs)
        dock.compare.model_asked.connect(self.add_model)

    def capture(self, path: Path) -> None:
        """Write what is compared as PNG; the dock says where, or why not."""
        comparison, messages = self._dock.comparison, self._dock.messages
        ready, wanted = self._dock.session.progress()
        try:
            written = write_capture(comparison.viewer, comparison.front, path)
        except PathSRGANError as error:
            messages.show_problem(error)
            return
        soft = f" It was not sharp yet: {ready} of {wanted}." if ready < wanted else ""
        messages.show_notice(f"Captured in {written}.{soft}")

    def add_scans(self, path: Path) -> None:
        """Show the finer scans that the slide chosen was registered with, from a pairs file."""
        self._add(
            lambda shown: self._dock.scans.add(shown, path),
            "Tick 10× or 20× first: scans are placed on a slide whose views are shown.",
        )

    def add_model(self, model: str | Path) -> None:
        """Show what another model makes of the slide chosen as well, to compare the two."""
        self._add(
            lambda shown: self._dock.session.show_beside(shown.source, model),
            "Tick 10× or 20× first, then add another model.",
        )

    def _add(self, add: Callable[[ShownSlide], object], without_slide: str) -> None:
        shown = self._dock.current()
        if shown is None:
            self._dock.messages.show_notice(without_slide)
            return
        self._dock.panes.merge()
        try:
            add(shown)
        except PathSRGANError as error:
            self._dock.messages.show_problem(error)
        self.answered.emit()

    def _choose_capture(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self._dock, "Keep what is compared", "comparison.png", "Pictures (*.png)"
        )
        if chosen:
            self.capture(Path(chosen))

    def _choose_pairs(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self._dock, "Choose the pairs file of this slide")
        if chosen:
            self.add_scans(Path(chosen))
