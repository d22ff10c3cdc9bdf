"""The wheel over a form is left to what scrolls it, and changes a value only in the field that has the focus."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QComboBox, QLineEdit, QSlider, QSpinBox, QVBoxLayout, QWidget

from napari_pathsrgan.plugin.widgets.wheel_guard import guard_wheel


def spin_box() -> QSpinBox:
    box = QSpinBox()
    box.setValue(50)
    return box


def combo_box() -> QComboBox:
    box = QComboBox()
    box.addItems([str(number) for number in range(99)])
    box.setCurrentIndex(50)
    return box


def slider() -> QSlider:
    handle = QSlider(Qt.Orientation.Horizontal)
    handle.setValue(50)
    return handle


def takes_the_wheel(widget: QWidget) -> bool:
    """Turn the wheel over a widget; Qt offers what it does not take to its parent, as far as it is the user's."""
    place = QPointF(widget.rect().center())
    event = QWheelEvent(
        place, QPointF(widget.mapToGlobal(place.toPoint())), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


@pytest.mark.parametrize("make", [spin_box, combo_box, slider])
def test_the_wheel_changes_no_value_without_the_focus(make: Callable[[], QWidget], qtbot: QtBot) -> None:
    field, line, form = make(), QLineEdit(), QWidget()
    layout = QVBoxLayout(form)
    layout.addWidget(line)
    layout.addWidget(field)
    guard_wheel(form)
    qtbot.addWidget(form)
    form.show()
    qtbot.waitExposed(form)

    def value() -> int:
        return int(field.currentIndex() if isinstance(field, QComboBox) else field.value())

    assert field.focusPolicy() == Qt.FocusPolicy.StrongFocus
    assert not takes_the_wheel(field)
    assert value() == 50
    form.activateWindow()
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    assert takes_the_wheel(field)
    assert value() != 50
