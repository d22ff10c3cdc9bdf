"""Sets how far to interpolate from the PSNR-trained model to the GAN-trained one: from fidelity to sharpness."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QSlider, QWidget

from napari_pathsrgan.plugin.widgets.plain_text import PlainLabel

STEPS = 10
_TIP = (
    "Fidelity (0 %): the PSNR-trained network; soft where the scan shows no detail.\n"
    "Sharpness (100 %, default): the GAN-trained network; sharp, with probable detail.\n"
    "Between them: both networks interpolated. Computing takes the same time."
)


class FidelitySlider(QWidget):
    """A slider between *Fidelity* and *Sharpness*, in tenths.

    Attributes
    ----------
    share_chosen : Signal(float)
        0 for fidelity, 1 for sharpness; once the user releases the slider.
    """

    share_chosen = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, STEPS)
        self.slider.setPageStep(STEPS // 2)
        self.slider.setTracking(False)  # each value loads a model
        self.slider.setAccessibleName("From fidelity to sharpness")
        self.setToolTip(_TIP)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget, stretch in ((PlainLabel("Fidelity"), 0), (self.slider, 1), (PlainLabel("Sharpness"), 0)):
            layout.addWidget(widget, stretch)
        self.slider.valueChanged.connect(lambda value: self.share_chosen.emit(value / STEPS))
        self.show_share(None)

    def show_share(self, share: float | None) -> None:
        """Show where the model in use lies, 0 to 1; None for a model that can't be mixed hides the slider."""
        self.setVisible(share is not None)
        if share is not None:
            with QSignalBlocker(self.slider):
                self.slider.setValue(round(share * STEPS))
