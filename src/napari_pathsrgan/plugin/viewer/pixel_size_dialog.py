"""The one question about a slide that doesn't say how wide its pixels are."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from qtpy.QtWidgets import (
    QApplication,
    QButtonGroup,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QGridLayout,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_pathsrgan.errors import MissingMppError, PathSRGANError
from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel, escaped
from napari_pathsrgan.plugin.widgets.qt_types import existing
from napari_pathsrgan.slides.open_slide import identify_slide, open_slide

if TYPE_CHECKING:
    from napari_pathsrgan.slides.slide import Slide

CHOICES = (("4×", 1.465), ("10×", 0.586), ("20×", 0.293))


def open_asking(path: Path) -> Slide:
    """Open a slide; where it doesn't say its pixel size, use the answer given before for that very slide, or ask.

    Raises
    ------
    PathSRGANError
        As `open_slide`; `MissingMppError` if there is no window to ask in, or the user cancels.
    """
    try:
        return open_slide(path)
    except MissingMppError:
        fingerprint = identify_slide(path).fingerprint
        mpp = _answers().get(fingerprint)
        if mpp is None and QApplication.instance() is not None:
            dialog = PixelSizeDialog(path.name, QApplication.activeWindow())
            if dialog.exec() == QDialog.DialogCode.Accepted:
                mpp = dialog.mpp()
                _remember(fingerprint, mpp)
        if mpp is None:
            raise
        return open_slide(path, mpp, fingerprint)


class PixelSizeDialog(QDialog):
    """Asks for a slide's pixel size.

    Parameters
    ----------
    name : str
        Of the slide.
    parent : QWidget, optional
    """

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Pixel size")
        layout = QVBoxLayout(self)
        question = MarkedLabel(
            f"<b>How wide is a pixel of this slide?</b><br>{escaped(name)} does not say. It was scanned at:"
        )
        question.setWordWrap(True)
        question.setMinimumWidth(320)
        layout.addWidget(question)
        grid = QGridLayout()
        layout.addLayout(grid)
        self.buttons = QButtonGroup(self)
        for row, (power, mpp) in enumerate(CHOICES):
            button = QRadioButton(power)
            self.buttons.addButton(button, row)
            grid.addWidget(button, row, 0)
            grid.addWidget(PlainLabel(f"{mpp:.3f} µm/px"), row, 1)
        other = QRadioButton("other")
        self.buttons.addButton(other, len(CHOICES))
        self.other = QDoubleSpinBox()
        self.other.setRange(0.05, 20)
        self.other.setDecimals(4)
        self.other.setSingleStep(0.01)
        self.other.setValue(1.0)
        self.other.setSuffix(" µm/px")
        self.other.valueChanged.connect(lambda: other.setChecked(True))
        grid.addWidget(other, len(CHOICES), 0)
        grid.addWidget(self.other, len(CHOICES), 1)
        existing(self.buttons.button(0)).setChecked(True)
        layout.addWidget(PlainLabel("The answer is remembered for this slide."))
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        box.accepted.connect(self.accept)
        box.rejected.connect(self.reject)
        layout.addWidget(box)

    def mpp(self) -> float:
        """The pixel size chosen, µm."""
        chosen = self.buttons.checkedId()
        return CHOICES[chosen][1] if chosen < len(CHOICES) else self.other.value()


def memory_file() -> Path:
    """File that answers are stored in."""
    return platformdirs.user_config_path("napari-pathsrgan") / "pixel_sizes.json"


def remembered_mpp(path: Path) -> float | None:
    """The pixel size that was given for the slide at a path before, µm, whatever the file was called then."""
    try:
        return _answers().get(identify_slide(path).fingerprint)
    except (PathSRGANError, OSError):
        return None


def remember_mpp(path: Path, mpp: float) -> None:
    """Remember the pixel size of the slide at a path, until another one is written there.

    Raises
    ------
    PathSRGANError
        If there is no slide.
    """
    _remember(identify_slide(path).fingerprint, mpp)


def _answers() -> dict[str, float]:
    """Read the pixel sizes that were given, by fingerprint; those that make no sense are left out."""
    try:
        known = json.loads(memory_file().read_text(encoding="utf-8"))
        return {str(slide): float(mpp) for slide, mpp in known.items() if 0 < float(mpp) < math.inf}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _remember(fingerprint: str, mpp: float) -> None:
    """Add an answer; a place that can't be written only means being asked again."""
    memory = memory_file()
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps({**_answers(), fingerprint: mpp}, indent=1), encoding="utf-8")
