"""The wheel scrolls a form; it changes a value only where the user has put the focus."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QAbstractSlider, QAbstractSpinBox, QApplication, QComboBox, QWidget

_TAKE_THE_WHEEL: tuple[type[QWidget], ...] = (QAbstractSpinBox, QComboBox, QAbstractSlider)


class _WheelGuard(QObject):
    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if event is None or event.type() != QEvent.Type.Wheel or not isinstance(watched, QWidget):
            return False
        if watched.hasFocus():
            return False
        event.ignore()  # Qt then offers it to the parent, which scrolls
        return True


def guard_wheel(parent: QWidget) -> None:
    """Let the wheel pass over spin boxes, combo boxes and sliders in a widget that don't have the focus.

    Parameters
    ----------
    parent : QWidget
        With all that is in it by now.
    """
    guard = _guard()
    for kind in _TAKE_THE_WHEEL:
        for widget in parent.findChildren(kind):
            if not widget.inherits("QScrollBar"):
                widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # not by the wheel
                widget.installEventFilter(guard)


def _guard() -> _WheelGuard:
    """The one filter of the application."""
    application = QApplication.instance()
    assert application is not None
    found: _WheelGuard | None = application.findChild(_WheelGuard)  # the stubs know nothing of None
    return _WheelGuard(application) if found is None else found
