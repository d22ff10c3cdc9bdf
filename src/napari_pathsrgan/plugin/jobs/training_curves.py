"""A training's figures as curves that grow while it runs: losses above, quality below."""

from __future__ import annotations

import math
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.settings import get_settings
from qtpy.QtCore import QEvent
from qtpy.QtGui import QFont, QPalette
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel, escaped

if TYPE_CHECKING:
    from pyqtgraph import PlotWidget

    Curves = dict[str, tuple[list[float], list[float]]]

_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#f0e442")
"""Okabe and Ito's, which the colour-blind tell apart."""

_PLOT_PX = 200
_LOSSES, _AGAINST, _QUALITY = "Losses", "Against the discriminators", "Quality on patches left out"
_PLOT_OF = {
    **dict.fromkeys(("loss", "pixel", "perceptual"), _LOSSES),
    **dict.fromkeys(("adversarial", "discriminator"), _AGAINST),
    **dict.fromkeys(("psnr", "ssim"), _QUALITY),
}
"""By the first word of a figure's name; others, such as the rate, are kept in the run folder and not drawn."""


class JobCurves(QWidget):
    """Curves over the steps; made when there is the first to show, since that takes a moment."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self.plots: dict[str, PlotWidget] = {}  # before Qt asks for them
        super().__init__(parent)
        self.curves: dict[str, Any] = {}
        self._shown: Curves = {}
        self.legends: dict[str, QLabel] = {}
        self._column = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.empty = PlainLabel("No figures yet.")
        self.empty.setWordWrap(True)
        layout.addWidget(self.empty)
        layout.addStretch(1)

    def show_curves(self, curves: Curves) -> None:
        """Show these; those of another job are taken away. Drawing takes a while, so it is not done for nothing."""
        curves = {name: curve for name, curve in curves.items() if _kind(name) in _PLOT_OF}
        if curves == self._shown:
            return
        self._shown = curves
        self.empty.setVisible(not curves)
        for gone in set(self.curves) - set(curves):
            self.plots[_PLOT_OF[_kind(gone)]].removeItem(self.curves.pop(gone))
        if curves and not self.plots:
            for group in dict.fromkeys(_PLOT_OF.values()):
                self._make_plot(group)
        for name in sorted(curves):
            if name not in self.curves:
                self.curves[name] = self._add(name)
            steps, values = curves[name]
            self.curves[name].setData(steps, values)
        for group, plot in self.plots.items():
            mine = [name for name in self.curves if _PLOT_OF[_kind(name)] == group]
            plot.setVisible(bool(mine))
            self.legends[group].setVisible(bool(mine))
            self.legends[group].setText(self._legend(group, mine, curves))

    def _legend(self, group: str, names: list[str], curves: Curves) -> str:
        entries = [
            f"<br><span style='color: {self.curves[name].opts['pen'].color().name()}'>━</span> "
            f"{escaped(in_words(name))} {curves[name][1][-1]:.3g}"
            for name in names
            if curves[name][1]
        ]
        return f"<b>{group}</b>{''.join(entries)}"

    def _add(self, name: str) -> Any:
        import pyqtgraph

        group = _PLOT_OF[_kind(name)]
        taken = sum(_PLOT_OF[_kind(other)] == group for other in self.curves)
        pen = pyqtgraph.mkPen(_COLOURS[taken % len(_COLOURS)], width=2)
        return self.plots[group].plot(pen=pen, name=name, symbol=None)

    def _make_plot(self, group: str) -> None:
        from pyqtgraph import PlotWidget

        plot = PlotWidget()
        plot.setFixedHeight(_PLOT_PX)
        plot.setMinimumWidth(120)
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(False, False)
        plot.hideButtons()
        plot.setDownsampling(auto=True, mode="peak")
        plot.setClipToView(True)
        if group != _QUALITY:
            plot.setLogMode(x=False, y=True)
            plot.getViewBox().sigYRangeChanged.connect(partial(self._mark_losses, plot))
        plot.showGrid(x=False, y=True, alpha=0.2)
        for side in ("left", "bottom"):
            axis = plot.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setStyle(autoReduceTextSpace=True)
        plot.setToolTip("Over the steps of the job")
        legend = MarkedLabel()
        legend.setWordWrap(True)
        legend.setMinimumWidth(1)
        self.plots[group], self.legends[group] = plot, legend
        column = self._column
        for part in (legend, plot):
            column.insertWidget(column.count() - 1, part)
        self._colour()

    def _mark_losses(self, plot: PlotWidget, _view: Any, exponents: tuple[float, float]) -> None:
        labelled = [(math.log10(value), f"{value:g}") for value in loss_ticks(*exponents)]
        plot.getAxis("left").setTicks([labelled])

    def changeEvent(self, event: QEvent | None) -> None:  # noqa: N802
        """Follow the window from dark to light, and from small letters to large ones."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._colour()

    def _colour(self) -> None:
        text = self.palette().color(QPalette.ColorRole.WindowText)
        letters = QFont(self.font())
        letters.setPointSize(max(7, get_settings().appearance.font_size - 2))
        for plot in self.plots.values():
            plot.setBackground(self.palette().color(QPalette.ColorRole.Window))
            for side in ("left", "bottom"):
                plot.getAxis(side).setPen(text)
                plot.getAxis(side).setTextPen(text)
                plot.getAxis(side).setTickFont(letters)


def loss_ticks(lowest: float, highest: float) -> list[float]:
    """Choose values to write beside an axis of powers of ten, never more than fit.

    Parameters
    ----------
    lowest, highest : float
        Exponents of ten between which the axis reaches.
    """
    steps = (1,) if highest - lowest > 2 else (1, 2, 5) if highest - lowest > 0.7 else (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)
    each = math.ceil((highest - lowest) / 6) if steps == (1,) else 1
    decades = range(math.floor(lowest), math.ceil(highest) + 1)
    values = [step * 10.0**decade for decade in decades if decade % each == 0 for step in steps]
    return [value for value in values if lowest <= math.log10(value) <= highest]


def in_words(name: str) -> str:
    """Call a figure of a training what a reader calls it: psnr_20x_scanned_bicubic is PSNR 20× scanned bicubic."""
    spaced = re.sub(r"(\d)x\b", r"\1×", name.replace("_", " "))
    return re.sub(r"\b(psnr|ssim)\b", lambda word: word[0].upper(), spaced)


def _kind(name: str) -> str:
    return name.split("_")[0]
