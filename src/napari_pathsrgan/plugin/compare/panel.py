"""The part of the dock that compares: the mode, the images, a capture, the keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_pathsrgan.models.zoo import available_models
from napari_pathsrgan.plugin.compare.modes import compare_modes
from napari_pathsrgan.plugin.layers.names import pane_label, short_label
from napari_pathsrgan.plugin.widgets.narrow_layout import Flowing, Section, combo_box, narrow_form
from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel, escaped, plain_tip
from napari_pathsrgan.plugin.widgets.qt_types import existing

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_pathsrgan.plugin.compare.comparison import Comparison
    from napari_pathsrgan.plugin.compare.keys import CompareKeys


class ComparePanel(QWidget):
    """Chooses for a `Comparison`.

    Parameters
    ----------
    comparison : Comparison
    keys : CompareKeys

    Attributes
    ----------
    capture_requested : Signal()
    scan_requested : Signal()
        A registered scan is to be added.
    model_requested : Signal(str)
        This model's view is to be added.
    """

    capture_requested = Signal()
    scan_requested = Signal()
    model_requested = Signal(str)

    def __init__(self, comparison: Comparison, keys: CompareKeys) -> None:
        super().__init__()
        self._comparison = comparison
        self.modes = combo_box("\n".join(f"{mode.name}: {mode.tip}" for mode in compare_modes()))
        for mode in compare_modes():
            self.modes.addItem(mode.name, mode)
        self.first, self.second = combo_box("The image to compare with"), combo_box("The other image")
        self._form = narrow_form()
        self._form.addRow("View", self.modes)
        self._form.addRow("First", self.first)
        self._form.addRow("Second", self.second)
        self.cross = QCheckBox("cross-hair")
        self.cross.setChecked(True)
        self.cross.setToolTip("Mark the cursor's place in every pane (default: on)")
        self.capture = QPushButton("Capture …")
        self.capture.setToolTip("Save what is compared as PNG, with labels and scale bar")
        self.hide_layers = QCheckBox("hide layers")
        self.hide_layers.setToolTip("Give the room of napari's layer list and controls to the panes (default: off)")
        self.scan = QPushButton("Add a real scan …")
        self.scan.setToolTip(
            "Show the real 10× and 20× scans of this slide, placed as\n"
            "pathsrgan register has found: choose its pairs file"
        )
        self.model = QPushButton("Add model …")
        self.model.setToolTip("Show what another network computes from this slide, in a pane of its own")
        self._models = QMenu(self.model)
        self._models.aboutToShow.connect(self._list_models)
        self.model.setMenu(self._models)
        more = Section("Keys, scans, models")
        self._keys = keys
        self._key_lines = QGridLayout()
        table = QWidget()
        table.setLayout(self._key_lines)
        more.addWidget(table)
        more.toggled.connect(keys.give_way)  # a menu may have come since
        keys.changed.connect(self._list_keys)
        self._list_keys()
        more.addWidget(self.scan)
        more.addWidget(self.model)
        more.toggleButton().setToolTip("Keys for comparing; real scans of this slide; other networks")
        self.more = more
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addWidget(Flowing(self.cross, self.hide_layers, self.capture))
        layout.addWidget(more)
        self.modes.activated.connect(lambda _: comparison.set_mode(self.modes.currentData()))
        self.first.activated.connect(lambda _: comparison.choose(first=self.first.currentData()))
        self.second.activated.connect(lambda _: comparison.choose(second=self.second.currentData()))
        self.cross.toggled.connect(comparison.set_cross)
        self.hide_layers.toggled.connect(comparison.hide_layer_docks)
        self.capture.clicked.connect(self.capture_requested)
        self.scan.clicked.connect(self.scan_requested)
        comparison.changed.connect(self.update_choices)
        self.update_choices()

    def _list_keys(self) -> None:
        grid = self._key_lines
        while grid.count():
            existing(existing(grid.takeAt(0)).widget()).deleteLater()
        grid.setContentsMargins(0, 4, 0, 4)
        grid.setColumnStretch(1, 1)
        for row, (key, what) in enumerate(self._keys.lines()):
            words = PlainLabel(what)
            words.setWordWrap(True)
            words.setMinimumWidth(1)
            grid.addWidget(MarkedLabel(f"<b>{escaped(key)}</b>"), row, 0)
            grid.addWidget(words, row, 1)

    def _list_models(self) -> None:
        self._models.clear()
        for name in available_models():
            self._models.addAction(name, partial(self.model_requested.emit, name))
        self._models.addAction("Other file …", self._ask_model)

    def _ask_model(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Open a model", "", "Models (*.safetensors)")
        if chosen:
            self.model_requested.emit(chosen)

    def update_choices(self) -> None:
        """Show what is compared, and what can be."""
        mode = self._comparison.mode
        with QSignalBlocker(self.modes), QSignalBlocker(self.hide_layers):
            self.modes.setCurrentIndex(self.modes.findData(mode))
            self.hide_layers.setChecked(self._comparison.layer_docks_hidden)
        first = self._comparison.alone if mode.n_images == 1 else self._comparison.first
        self._show_side(self.first, mode.sides[:1], first)
        self._show_side(self.second, mode.sides[1:], self._comparison.second)

    def _show_side(self, box: QComboBox, side: Sequence[str], chosen: Image | None) -> None:
        """Offer the images for one side; without a name, the mode has no such side."""
        images = self._comparison.candidates()
        with QSignalBlocker(box):
            box.clear()
            for layer in images:
                box.addItem(short_label(layer), layer)
                box.setItemData(box.count() - 1, plain_tip(pane_label(layer)), Qt.ItemDataRole.ToolTipRole)
            box.setCurrentIndex(images.index(chosen) if chosen in images else -1)
        label = self._form.labelForField(box)
        assert isinstance(label, QLabel)
        label.setText("".join(side))
        for part in (label, box):
            part.setVisible(bool(side))
