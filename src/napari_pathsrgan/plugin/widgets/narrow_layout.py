"""Layouts for narrow docks and large fonts: they wrap, and then they scroll."""

from __future__ import annotations

from functools import partial
from typing import Any

from napari.settings import get_settings
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QFontMetrics, QIcon
from qtpy.QtWidgets import QComboBox, QFormLayout, QFrame, QLineEdit, QScrollArea, QSizePolicy, QWidget
from superqt import QCollapsible, QFlowLayout

from napari_pathsrgan.plugin.widgets.qt_types import existing

_NO_BOUND = 16777215
"""Qt's own for a widget that may be as high as it likes."""
_LINE_PX = 20
"""napari's own for a line to write in."""


class Section(QCollapsible):
    """A part that opens below its title, as high as what is in it needs, lines that wrap included."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(title, parent, QIcon(), QIcon())
        self._title = title
        self.toggleButton().setToolTip(f"Show {title.lower()}, or hide it")
        layout = existing(self.layout())
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setAlignment(Qt.AlignmentFlag(0))  # at the top it would be as high as if no line wrapped
        existing(self.content().layout()).setContentsMargins(0, 4, 0, 4)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.setDuration(0)  # it moves to a height that leaves lines that wrap out of account
        self.toggled.connect(self._show_open)
        self._show_open(False)

    def addWidget(self, widget: QWidget) -> None:  # noqa: N802
        """Add a widget below the others."""
        existing(self.content().layout()).addWidget(widget)

    def _show_open(self, open_: bool) -> None:
        self.setText(f"{'▾' if open_ else '▸'} {self._title}")
        self.content().setMaximumHeight(_NO_BOUND if open_ else 0)
        self.content().setVisible(open_)


def narrow_form(parent: QWidget | None = None) -> QFormLayout:
    """Make a form whose fields go below their labels where there is too little room beside them."""
    form = QFormLayout(parent)
    form.setContentsMargins(0, 0, 0, 0)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
    return form


class _Flow(QFlowLayout):
    """Knows how high it was at a width: each changed word lays a dock out anew, and superqt counts in Python."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._heights: dict[int, int] = {}

    def invalidate(self) -> None:
        self._heights.clear()
        super().invalidate()

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        if width not in self._heights:
            self._heights[width] = super().heightForWidth(width)
        return self._heights[width]


class Flowing(QWidget):
    """Widgets on a line, and on further lines those that don't fit."""

    def __init__(self, *widgets: QWidget) -> None:
        super().__init__()
        self._flow = _Flow(self)
        self._flow.setContentsMargins(0, 0, 0, 0)
        self._flow.setHorizontalSpacing(6)
        self._shown: tuple[QWidget, ...] = ()
        self.show_only(*widgets)

    def show_only(self, *widgets: QWidget) -> None:
        """Show these and hide the others, without the gaps that the layout leaves for what is hidden."""
        if widgets == self._shown:
            return
        while self._flow.count():
            existing(existing(self._flow.takeAt(0)).widget()).hide()
        for widget in widgets:
            self._flow.addWidget(widget)
            widget.setVisible(True)
        self._shown = widgets


class Scrolled(QScrollArea):
    """Lets a widget be higher than there is room.

    Parameters
    ----------
    widget : QWidget
        With a layout.
    """

    def __init__(self, widget: QWidget) -> None:
        super().__init__()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._make_room)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidget(widget)

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Measure again: what is in it gets napari's style as it is shown, after its height was asked."""
        super().showEvent(event)
        self._timer.start(0)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Measure again when something in it has come or gone: nested parts report their new height too late."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self._timer.start(0)
        return super().eventFilter(watched, event)

    def _make_room(self) -> None:
        widget = existing(self.widget())
        layout = existing(widget.layout())
        layout.invalidate()
        needed = layout.sizeHint().height()
        if layout.hasHeightForWidth():
            needed = max(needed, layout.totalHeightForWidth(existing(self.viewport()).width()))
        widget.setMinimumHeight(needed)


def follow_letters(*widgets: QWidget) -> None:
    """Give widgets the letters of napari's labels: its style leaves lines to write in and tables as they were."""
    size = get_settings().appearance.events.font_size
    for widget in widgets:
        follow = partial(_set_letters, widget)
        follow()
        size.connect(follow)
        widget.destroyed.connect(partial(size.disconnect, follow))


def _set_letters(widget: QWidget, _event: Any = None) -> None:
    font = widget.font()
    font.setPointSize(get_settings().appearance.font_size)
    widget.setFont(font)
    if isinstance(widget, QLineEdit):  # napari's style gives it a height, whatever its letters
        widget.setStyleSheet(f"min-height: {max(_LINE_PX, QFontMetrics(font).height())}px")


def combo_box(tip: str) -> QComboBox:
    """Make a combo box that takes the width there is, however long its items are."""
    box = QComboBox()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(10)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.setToolTip(tip)
    return box
