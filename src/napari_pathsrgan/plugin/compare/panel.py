"""The part of the dock that compares: how the pictures are looked at, which ones, a capture, the keys."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QGridLayout,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_pathsrgan.models.zoo import available_models
from napari_pathsrgan.plugin.compare.modes import CompareMode
from napari_pathsrgan.plugin.compare.pane_labels import short_name
from napari_pathsrgan.plugin.widgets.narrow_layout import Flowing, Section, combo_box, narrow_form
from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel, escaped

if TYPE_CHECKING:
    from napari_pathsrgan.plugin.compare.comparison import Comparison
    from napari_pathsrgan.plugin.compare.keys import CompareKeys

_TIPS = {
    CompareMode.SIDE_BY_SIDE: "one pane each, one camera (default)",
    CompareMode.ONE: "one picture alone",
    CompareMode.SWIPE: "drag the divider; a double-click centres it",
    CompareMode.LENS: "the other picture in a round window at the cursor; Alt and wheel change its size",
    CompareMode.FLICKER: "hold the key to see the other picture",
    CompareMode.DIFFERENCE: "how much the two differ, in grey levels, of what is on screen",
}
_SIDES = {
    CompareMode.ONE: ("Picture", ""),
    CompareMode.SWIPE: ("Left", "Right"),
    CompareMode.LENS: ("Around", "In the lens"),
    CompareMode.FLICKER: ("First", "Held"),
    CompareMode.DIFFERENCE: ("First", "Minus"),
}


class ComparePanel(QWidget):
    """Chooses for a `Comparison`.

    Parameters
    ----------
    comparison : Comparison
    keys : CompareKeys

    Attributes
    ----------
    capture_asked : Signal()
    scan_asked : Signal()
        A registered scan is to be added.
    model_asked : Signal(str)
        This model's view is to be added.
    """

    capture_asked = Signal()
    scan_asked = Signal()
    model_asked = Signal(str)

    def __init__(self, comparison: Comparison, keys: CompareKeys) -> None:
        super().__init__()
        self._comparison = comparison
        self.modes = combo_box("\n".join(f"{mode.value}: {tip}" for mode, tip in _TIPS.items()))
        for mode in CompareMode:
            self.modes.addItem(mode.value, mode)
        self.first, self.second = combo_box("The picture to compare with"), combo_box("The other picture")
        self._form = narrow_form()
        self._form.addRow("View", self.modes)
        self._form.addRow("First", self.first)
        self._form.addRow("Second", self.second)
        self.cross = QCheckBox("cross-hair")
        self.cross.setChecked(True)
        self.cross.setToolTip("Mark the cursor's place in every pane (default: on)")
        self.capture = QPushButton("Capture …")
        self.capture.setToolTip("Keep what is compared as PNG, with names and scale bar")
        self.scan = QPushButton("Add a real scan …")
        self.scan.setToolTip(
            "Show the real 10× and 20× scans of this slide, placed as\n"
            "pathsrgan register has found: choose its pairs file"
        )
        self.model = QPushButton("Add model …")
        self.model.setToolTip("Show what another network makes of this slide, in a pane of its own")
        self.model.setMenu(QMenu(self.model))
        self.model.menu().aboutToShow.connect(self._list_models)
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
        layout.addWidget(Flowing(self.cross, self.capture))
        layout.addWidget(more)
        self.modes.activated.connect(lambda _: comparison.set_mode(self.modes.currentData()))
        self.first.activated.connect(lambda _: comparison.choose(first=self.first.currentData()))
        self.second.activated.connect(lambda _: comparison.choose(second=self.second.currentData()))
        self.cross.toggled.connect(comparison.set_cross)
        self.capture.clicked.connect(self.capture_asked)
        self.scan.clicked.connect(self.scan_asked)
        comparison.changed.connect(self.update_choices)
        self.update_choices()

    def _list_keys(self) -> None:
        grid = self._key_lines
        while grid.count():
            grid.takeAt(0).widget().deleteLater()
        grid.setContentsMargins(0, 4, 0, 4)
        grid.setColumnStretch(1, 1)
        for row, (key, what) in enumerate(self._keys.lines()):
            words = PlainLabel(what)
            words.setWordWrap(True)
            words.setMinimumWidth(1)
            grid.addWidget(MarkedLabel(f"<b>{escaped(key)}</b>"), row, 0)
            grid.addWidget(words, row, 1)

    def _list_models(self) -> None:
        menu = self.model.menu()
        menu.clear()
        for name in available_models():
            menu.addAction(name, partial(self.model_asked.emit, name))
        menu.addAction("Other file …", self._ask_model)

    def _ask_model(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Open a model", "", "Models (*.safetensors)")
        if chosen:
            self.model_asked.emit(chosen)

    def update_choices(self) -> None:
        """Show what is compared, and what can be."""
        mode, pictures = self._comparison.mode, self._comparison.pictures()
        first = self._comparison.first if mode.of_two else self._comparison.alone
        with QSignalBlocker(self.modes):
            self.modes.setCurrentIndex(self.modes.findData(mode))
        for box, chosen, side in zip(
            (self.first, self.second),
            (first, self._comparison.second),
            _SIDES.get(mode, ("", "")),
            strict=True,
        ):
            with QSignalBlocker(box):
                box.clear()
                for layer in pictures:
                    box.addItem(short_name(layer), layer)
                    box.setItemData(box.count() - 1, layer.name, Qt.ItemDataRole.ToolTipRole)
                box.setCurrentIndex(pictures.index(chosen) if chosen in pictures else -1)
            label = self._form.labelForField(box)
            label.setText(side)
            for part in (label, box):
                part.setVisible(bool(side))
