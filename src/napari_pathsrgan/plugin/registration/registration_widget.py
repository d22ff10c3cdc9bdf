"""The dock *Registration*: the slides of a pairs file one by one, to judge how well their scans were matched."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QSignalBlocker, Qt, QThreadPool, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFileDialog, QFormLayout, QPushButton, QVBoxLayout, QWidget

from napari_pathsrgan.errors import PathSRGANError, StoreMismatchError
from napari_pathsrgan.plugin.registration.registration_view import DRIFT_SHOWN, RegistrationView, read_registration
from napari_pathsrgan.plugin.widgets.message_strip import MessageStrip
from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel, plain_tip
from napari_pathsrgan.plugin.widgets.qt_types import existing
from napari_pathsrgan.plugin.widgets.wheel_guard import guard_wheel
from napari_pathsrgan.registration.pairs import PairsFile, is_pairs_file

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

_NOTHING_OPEN = "Open a pairs file, which\npathsrgan register has written."
_LEGEND = (
    "<small>Points are patches, the more yellow the better they match. Arrows say how the offset differs from the"
    f" slide's median, {DRIFT_SHOWN:.0f} times as long. Zoom in on the checkerboard: cells continue across"
    " the edges of its squares where the scans fit.</small>"
)
_BOARD = 1
"""Index of the checkerboard among a registration's layers."""


class _Arrivals(QObject):
    """Brings what a thread has read into the window's thread."""

    read = Signal(int, object)


class RegistrationWidget(QWidget):
    """Shows how a slide's scans were matched: patches, drift, and the scans in alternating squares.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    path : Path, optional
        A pairs file to open.
    """

    def __init__(self, napari_viewer: napari.Viewer, path: Path | None = None) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.pairs: PairsFile | None = None
        self.view: RegistrationView | None = None
        self.layers: list[Layer] = []
        self._asked = 0  # number of the last question; answers to earlier ones come too late
        self._ended = False
        self._arrivals = _Arrivals(self)
        self._arrivals.read.connect(self._on_read)
        self._build()
        guard_wheel(self)
        if path is not None:
            self.open(path)

    def _build(self) -> None:
        self.setMinimumWidth(260)
        self.messages = MessageStrip()
        self.empty = PlainLabel(_NOTHING_OPEN)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.file = QPushButton("Open a pairs file …")
        self.file.clicked.connect(self._ask)
        self.slides, self.powers = QComboBox(), QComboBox()
        for box in (self.slides, self.powers):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.currentIndexChanged.connect(self._load)
        self.powers.addItem("4× and 20×", 20)
        self.powers.addItem("4× and 10×", 10)
        self.checkerboard = QCheckBox("Checkerboard")
        self.checkerboard.setChecked(True)
        self.checkerboard.toggled.connect(self._show_squares)
        self.summary = PlainLabel()
        self.summary.setWordWrap(True)
        self.summary.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        legend = MarkedLabel(_LEGEND)
        legend.setWordWrap(True)
        self.body = QWidget()
        body = QVBoxLayout(self.body)  # a form would cut lines off that wrap
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(12)
        form = QFormLayout()
        for part in (self.summary, legend):
            body.addWidget(part)
        body.insertLayout(0, form)
        body.addStretch()
        form.addRow("Slide", self.slides)
        form.addRow("Scans", self.powers)
        form.addRow(self.checkerboard)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.messages)
        layout.addWidget(self.file)
        layout.addWidget(self.empty, 1)
        layout.addWidget(self.body, 1)
        self.body.hide()

    def open(self, path: Path) -> None:
        """Open a pairs file and show its first slide; says so in the dock where it can't."""
        try:
            if not is_pairs_file(path):
                raise StoreMismatchError(
                    f"{path.name} is no pairs file.", "Choose a folder that pathsrgan register has written."
                )
            pairs = PairsFile(path)
        except PathSRGANError as error:
            self.messages.show_problem(error)
            return
        self.pairs = pairs
        self.file.setText(path.name)
        self.file.setToolTip(plain_tip(f"{path}\nClick to open another"))
        with QSignalBlocker(self.slides):
            self.slides.clear()
            self.slides.addItems([slide["name"] for slide in pairs.slides])
        self.empty.setVisible(not pairs.slides)
        self.empty.setText("No slide is in this file yet.")
        self.body.setVisible(bool(pairs.slides))
        self._load()

    def _ask(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Open a pairs file")
        if chosen:
            self.open(Path(chosen))

    def _load(self, _index: int = 0) -> None:
        """Read the slide that is chosen, in a thread: it takes a second or two."""
        if self.pairs is None or self.slides.currentIndex() < 0:
            return
        self._asked += 1
        self.messages.hide()
        self.summary.setText("Reading …")
        existing(QThreadPool.globalInstance()).start(
            partial(
                _read, self._arrivals, self._asked, self.pairs, self.slides.currentIndex(), self.powers.currentData()
            )
        )

    def _on_read(self, question: int, answer: RegistrationView | PathSRGANError) -> None:
        if question != self._asked or self._ended:
            if isinstance(answer, RegistrationView):
                answer.close()
            return
        self._clear()
        if isinstance(answer, PathSRGANError):
            self.summary.setText("")
            self.messages.show_problem(answer)
            return
        from napari.layers import Layer

        self.view = answer
        self.layers = [
            self.viewer.add_layer(Layer.create(data, parameters, kind)) for data, parameters, kind in answer.layers
        ]
        self.summary.setText(answer.summary)
        self._show_squares(self.checkerboard.isChecked())
        self.viewer.fit_to_view()

    def _show_squares(self, shown: bool) -> None:
        if len(self.layers) > _BOARD and self.layers[_BOARD] in self.viewer.layers:
            self.layers[_BOARD].visible = shown

    def _clear(self) -> None:
        """Remove the last slide's layers, and close its files."""
        for layer in self.layers:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        self.layers = []
        if self.view is not None:
            self.view.close()
            self.view = None

    def end(self) -> None:
        """Take no more answers; what is shown stays in the viewer."""
        self._ended = True


def _read(arrivals: _Arrivals, question: int, pairs: PairsFile, index: int, magnification: int) -> None:
    answer: RegistrationView | PathSRGANError
    try:
        answer = read_registration(pairs, index, magnification)
    except PathSRGANError as error:
        answer = error
    try:
        arrivals.read.emit(question, answer)
    except RuntimeError:  # the window went meanwhile, and Qt's half of the object with it
        if isinstance(answer, RegistrationView):
            answer.close()
