"""The form that makes a review: what of, how many, how."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLineEdit, QPushButton, QSpinBox, QWidget

from napari_pathsrgan.plugin.widgets.narrow_layout import combo_box, follow_letters, narrow_form
from napari_pathsrgan.plugin.widgets.plain_text import plain_tip
from napari_pathsrgan.review.design import Design

_DEFAULT = Design()
_COUNTS = (
    ("patches", "Fields", 1, 5000, "Fields to rate, each in every method"),
    ("repeats", "Repeats", 0, 500, "Pictures that each rater sees a second time, to measure how consistent they are"),
    ("warm_up", "Warm-up", 0, 50, "Pictures to get used to it, which don't count"),
    ("anchors", "Examples", 0, 10, "Examples each of 1 and of 5 on the first page, where there is a real scan"),
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
        self.source = QPushButton("Choose …")
        self.source.setToolTip("A pairs file, or a folder with a folder of pictures for each method")
        self.source.clicked.connect(self._ask_folder)
        self.slides = QPushButton("Slides instead …")
        self.slides.setToolTip("4× scans: bicubic against models, without a real scan")
        self.slides.clicked.connect(self._ask_slides)
        self.models = QLineEdit("lite")
        self.models.setToolTip("Names or files, with spaces between; not for a folder of pictures")
        self.title = QLineEdit(_DEFAULT.title)
        self.title.setToolTip("What raters see above the first page")
        follow_letters(self.models, self.title)
        self.mode = combo_box("Rate one picture at a time from 1 to 5 (default), or choose the better of two")
        self.mode.addItem("One at a time", "single")
        self.mode.addItem("Two side by side", "pair")
        form = narrow_form(self)
        form.addRow("From", self.source)
        form.addRow("", self.slides)
        form.addRow("Models", self.models)
        form.addRow("Title", self.title)
        form.addRow("Rate", self.mode)
        self.counts = {}
        for name, label, least, most, tip in _COUNTS:
            box = QSpinBox()
            box.setRange(least, most)
            box.setValue(getattr(_DEFAULT, name))
            box.setToolTip(plain_tip(f"{tip} (default: {box.value()})"))
            form.addRow(label, box)
            self.counts[name] = box
        self.make = QPushButton("Make the review …")
        self.make.setToolTip("Asks where to; the key that knows the methods goes beside it and stays with you")
        self.make.setEnabled(False)
        self.make.clicked.connect(self._ask_place)
        form.addRow(self.make)

    def set_sources(self, paths: list[Path]) -> None:
        """Make it of these."""
        self.sources = paths
        self.source.setText(paths[0].name if len(paths) == 1 else f"{len(paths)} slides")
        self.source.setToolTip(plain_tip("\n".join(map(str, paths))))
        self.make.setEnabled(True)

    def arguments(self, place: Path) -> list[str]:
        """Say it as a command, less ``pathsrgan``."""
        said = ["review", "new", str(place), *map(str, self.sources), "--models", *(self.models.text().split() or [""])]
        said += ["--title", self.title.text(), "--mode", self.mode.currentData()]
        for name, box in self.counts.items():
            said += [f"--{name.replace('_', '-')}", str(box.value())]
        return said

    def _ask_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "A pairs file, or a folder of pictures by method")
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
