"""The form that makes a review: what of, how many, how."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget

from napari_pathsrgan.commands.command import FormField
from napari_pathsrgan.commands.option_text import command_words, validated
from napari_pathsrgan.commands.registry import commands
from napari_pathsrgan.plugin.widgets.option_form import OptionForm
from napari_pathsrgan.plugin.widgets.plain_text import plain_tip

_FIELDS = (
    FormField("models", help="Names or files, with spaces between; not for a folder of images."),
    FormField("title"),
    FormField("mode", "Rate"),
    FormField("patches", "Fields"),
    FormField("repeats"),
    FormField("warm_up", "Practice"),
    FormField("anchors", "Examples"),
)


class NewReviewForm(QWidget):
    """Asks what a review is made of.

    Attributes
    ----------
    asked : Signal(list)
        Arguments of `pathsrgan`.
    """

    asked = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sources: list[Path] = []
        self.command = commands()["review new"]
        self.source = QPushButton("Choose …")
        self.source.setToolTip("A pairs file, or a folder with a folder of images for each method")
        self.source.clicked.connect(self._ask_folder)
        self.slides = QPushButton("Slides instead …")
        self.slides.setToolTip("4× scans: bicubic against models, without a real scan")
        self.slides.clicked.connect(self._ask_slides)
        self.options = OptionForm(self.command, _FIELDS, {}, elsewhere=("review", "sources"))
        self.options.checked.connect(self._show_state)
        self.make = QPushButton("Make the review …")
        self.make.setToolTip("Asks where to; the key that knows the methods goes beside it and stays with you")
        self.make.clicked.connect(self._ask_place)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self.source, self.slides, self.options, self.make):
            column.addWidget(part)
        self.set_busy(False)

    def set_sources(self, paths: list[Path]) -> None:
        """Make it of these."""
        self.sources = paths
        self.source.setText(paths[0].name if len(paths) == 1 else f"{len(paths)} slides")
        self.source.setToolTip(plain_tip("\n".join(map(str, paths))))
        self._show_state()

    def set_busy(self, busy: bool) -> None:
        """Allow no second review while one is made."""
        self._busy = busy
        self._show_state()

    def arguments(self, place: Path) -> list[str]:
        """Write it as a command, less ``pathsrgan``."""
        values = {**self.options.values(), "review": place, "sources": self.sources}
        return command_words(self.command, validated(self.command.options, values))

    def _show_state(self) -> None:
        sound = not (self.options.missing or self.options.general)
        self.make.setEnabled(bool(self.sources) and sound and not self._busy)

    def _ask_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "A pairs file, or a folder of images by method")
        if chosen:
            self.set_sources([Path(chosen)])

    def _ask_slides(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, "4× scans")
        if chosen:
            self.set_sources([Path(one) for one in chosen])

    def _ask_place(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(self, "Where the review goes", "study.review", "Reviews (*.review)")
        if chosen:
            self.asked.emit(self.arguments(Path(chosen)))
