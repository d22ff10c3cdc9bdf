"""How far the view is, how fast, and a button to pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_pathsrgan.inference.backend import BACKENDS, REFERENCE
from napari_pathsrgan.plugin.widgets.plain_text import PlainLabel

if TYPE_CHECKING:
    from napari_pathsrgan.inference.process import WorkerStatus

_DONE, _TO_DO = QColor(60, 157, 208), QColor(128, 128, 128, 70)


class ThinBar(QWidget):
    """A progress bar that is painted when the window is.

    Qt's own paints itself within every `setValue`, and the canvas with it, each time that tiles arrive.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.share = 1.0
        self.setFixedHeight(6)

    def set_share(self, share: float) -> None:
        """Show a share of 0 to 1 as done."""
        if share != self.share:
            self.share = share
            self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw the part done over the whole."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for colour, share in ((_TO_DO, 1.0), (_DONE, self.share)):
            painter.setBrush(colour)
            painter.drawRoundedRect(QRectF(0, 0, self.width() * share, self.height()), 3, 3)


class ProgressBox(QWidget):
    """Bar, counts, speed and pause button.

    Attributes
    ----------
    pause_requested : Signal(bool)
        Whether to pause or to resume.
    """

    pause_requested = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bar = ThinBar()
        self.counts = PlainLabel()
        self.counts.setToolTip("Computed tiles of what you see, over all panes")
        self.speed = PlainLabel()
        for label in (self.counts, self.speed):
            label.setWordWrap(True)
        self.speed.setToolTip("Millions of 20× pixels computed per second, and on what")
        self.pause = QPushButton("Pause")
        self.pause.setCheckable(True)
        self.pause.setMinimumWidth(80)
        self.pause.toggled.connect(self._on_pause)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.counts)
        words.addWidget(self.speed)
        line = QHBoxLayout()
        line.addLayout(words, 1)
        line.addWidget(self.pause, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.bar)
        layout.addLayout(line)
        self._word_pause(False)

    def show_progress(self, ready: int, wanted: int, paused: bool) -> None:
        """Say how many of the wanted tiles are there."""
        self.bar.set_share(ready / wanted if wanted else 1.0)
        if not wanted:
            self.counts.setText("Sharp as scanned at this zoom")
        elif ready == wanted:
            self.counts.setText(f"Sharp: all {wanted}")
        else:
            self.counts.setText(f"{'Paused: ' if paused else ''}{ready} of {wanted} sharp")
        with QSignalBlocker(self.pause):
            self.pause.setChecked(paused)
        self._word_pause(paused)

    def show_status(self, status: WorkerStatus | None) -> None:
        """Say what the process computes on, and how fast; None before there is one."""
        if status is None or not status.device:
            self.speed.setText("Starting …")
            return
        device = status.device.upper().replace("CUDA", "GPU")
        speed = f"{status.mpx_per_s:.2g} Mpx/s · " if status.mpx_per_s else ""
        backend = "" if status.backend in ("", REFERENCE) else f"{BACKENDS.find(status.backend).title} "
        preview = f" preview, {status.deviation}" if status.deviation else ""
        self.speed.setText(f"{speed}{device}, {backend}{status.precision}{preview}")

    def _on_pause(self, paused: bool) -> None:
        self._word_pause(paused)
        self.pause_requested.emit(paused)

    def _word_pause(self, paused: bool) -> None:
        self.pause.setText("Resume" if paused else "Pause")
        self.pause.setToolTip("Resume computing" if paused else "Pause computing; what is there stays")
