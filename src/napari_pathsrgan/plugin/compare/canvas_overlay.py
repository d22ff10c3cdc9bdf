"""A transparent widget over the canvas: cross-hair, divider, the lens's rim, and marks of panes being computed.

It is a widget of Qt's, so that a cross-hair that follows the mouse does not have the images drawn anew, which is
slow without a graphics card. Mouse and wheel come here before they come to napari, and are passed on to it except for
what is the divider's and the lens's: napari would pan along, zoom on the double-click, and change its layer on
Alt+wheel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QEvent, QLineF, QObject, QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from qtpy.QtWidgets import QWidget

GRASP_PX = 6.0
"""How near to the divider a press takes hold of it."""
_GAP_PX = 14.0
"""Left free about the cursor: the place itself stays visible."""
_WORK_PX = 36.0
_HAIR, _HALO = QColor(0, 0, 0, 170), QColor(255, 255, 255, 90)
_LIGHT, _DARK, _WORK = QColor(255, 255, 255, 230), QColor(0, 0, 0, 130), QColor(230, 159, 0)


@dataclass(frozen=True)
class OverlayState:
    """What is drawn; places in pixels of the canvas.

    Attributes
    ----------
    panes : tuple of QRectF
    cross : bool
        Whether the cursor's place is marked in every pane.
    divider : float or None
        x of a swipe's edge.
    lens : (QPointF, float) or None
        Centre and radius.
    """

    panes: tuple[QRectF, ...] = ()
    cross: bool = False
    divider: float | None = None
    lens: tuple[QPointF, float] | None = None


class CanvasOverlay(QWidget):
    """Draws an `OverlayState` and signals what the mouse does with it.

    Parameters
    ----------
    canvas : QWidget
        What napari draws on.

    Attributes
    ----------
    divider_moved : Signal(float)
        To this share of the canvas's width.
    lens_moved : Signal(float, float)
        To these shares of the canvas's width and height.
    lens_scrolled : Signal(float)
        Notches of the wheel, away from the user.
    focus_lost : Signal()
        The canvas no longer has the keyboard.
    """

    divider_moved = Signal(float)
    lens_moved = Signal(float, float)
    lens_scrolled = Signal(float)
    focus_lost = Signal()

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.state = OverlayState()
        self._canvas = canvas
        self._cursor: QPointF | None = None
        self._working: tuple[tuple[QRectF, float], ...] = ()
        self._dragged = False
        self._shape: Any = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        canvas.installEventFilter(self)
        self._fit()

    def teardown(self) -> None:
        """Leave the canvas."""
        self._canvas.removeEventFilter(self)
        self._hover(False)
        self.hide()
        self.setParent(None)
        self.deleteLater()

    def set_state(self, state: OverlayState) -> None:
        """Draw another state."""
        if state != self.state:
            self.state = state
            self._fit()

    def set_working(self, working: Sequence[tuple[QRectF, float]]) -> None:
        """Mark panes that are being computed, each with the share that is not sharp yet."""
        if tuple(working) != self._working:
            self._working = tuple(working)
            self._fit()

    @property
    def canvas_size(self) -> tuple[int, int]:
        """Width and height of what it lies on, pixels."""
        return self._canvas.width(), self._canvas.height()

    # ------------------------------------------------------------------ drawing

    def _fit(self) -> None:
        """Cover no more than what is drawn: where no graphics card helps, each pixel of it costs with each drawing."""
        width, height = self.canvas_size
        whole = self.state.divider is not None or self.state.lens is not None
        whole = whole or (self._cursor is not None and self.state.cross)
        lowest = max((pane.top() + 3 for pane, _ in self._working), default=0)
        self.setGeometry(0, 0, width, height if whole else int(lowest))
        self.setVisible(whole or lowest > 0)
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw all there is."""
        painter = QPainter(self)
        self.draw_edges(painter)
        for pane, share in self._working:
            painter.setPen(QPen(_WORK, 2))
            length = min(_WORK_PX, pane.width() / 3) * max(share, 0.1)
            painter.drawLine(QLineF(pane.right() - 1 - length, pane.top() + 1, pane.right() - 1, pane.top() + 1))
        if self._cursor is not None and self.state.cross:
            lines = [line for pane in self.state.panes for line in cross_lines(self._cursor, pane, self.state.panes)]
            for colour, width in ((_HALO, 3), (_HAIR, 1)):  # dark, for the background is bright
                painter.setPen(QPen(colour, width))
                painter.drawLines(lines)  # type: ignore[call-overload]  # PyQt's stubs lack it
        painter.end()

    def draw_edges(self, painter: QPainter) -> None:
        """Draw divider and rim alone, as captures have them."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for colour, width in ((_DARK, 4), (_LIGHT, 1.5)):
            painter.setPen(QPen(colour, width))
            if self.state.divider is not None:
                painter.drawLine(QLineF(self.state.divider, 0, self.state.divider, self._canvas.height()))
            if self.state.lens is not None:
                centre, radius = self.state.lens
                painter.drawEllipse(centre, radius, radius)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    # ------------------------------------------------------------------ mouse

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Handle events of the canvas first; True keeps one from napari."""
        if watched is not self._canvas or event is None:
            return False
        if isinstance(event, QMouseEvent):
            return self._on_mouse(event)
        if isinstance(event, QWheelEvent):
            return self._on_wheel(event)
        if event.type() == QEvent.Type.Resize:
            self._fit()
        elif event.type() == QEvent.Type.FocusOut:
            self.focus_lost.emit()
        elif event.type() == QEvent.Type.Leave:
            self._move(None)
        return False

    def _on_mouse(self, event: QMouseEvent) -> bool:
        kind = event.type()
        if kind == QEvent.Type.MouseMove:
            return self._on_move(event.position(), event.buttons() != Qt.MouseButton.NoButton)
        if kind in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick):
            return self._on_press(event)
        if kind == QEvent.Type.MouseButtonRelease and self._dragged:
            self._dragged = False
            return True
        return False

    def _on_move(self, place: QPointF, pressed: bool) -> bool:
        width, height = self.canvas_size
        self._move(None if pressed else place)
        if self._dragged:
            self.divider_moved.emit(min(max(place.x() / width, 0.0), 1.0))
            return True
        if self.state.divider is not None:
            self._hover(self._near(place))
        elif self.state.lens is not None:
            self.lens_moved.emit(place.x() / width, place.y() / height)
        return False

    def _on_press(self, event: QMouseEvent) -> bool:
        if event.button() != Qt.MouseButton.LeftButton or not self._near(event.position()):
            return False
        if event.type() == QEvent.Type.MouseButtonDblClick:
            self.divider_moved.emit(0.5)
        self._dragged = event.type() == QEvent.Type.MouseButtonPress
        return True

    def _on_wheel(self, event: QWheelEvent) -> bool:
        if self.state.lens is None or not event.modifiers() & Qt.KeyboardModifier.AltModifier:
            return False
        turned = event.angleDelta()
        self.lens_scrolled.emit((turned.y() or turned.x()) / 120)  # Qt turns the wheel sideways while Alt is held
        return True

    def _near(self, place: QPointF) -> bool:
        return self.state.divider is not None and abs(place.x() - self.state.divider) <= GRASP_PX

    def _hover(self, over: bool) -> None:
        if over and self._shape is None:
            self._shape = self._canvas.cursor()
            self._canvas.setCursor(Qt.CursorShape.SplitHCursor)
        elif not over and self._shape is not None:
            self._canvas.setCursor(self._shape)
            self._shape = None

    def _move(self, place: QPointF | None) -> None:
        if self.state.cross and place != self._cursor:
            self._cursor = place
            self._fit()
        self._cursor = place


def cross_lines(cursor: QPointF, pane: QRectF, panes: Sequence[QRectF]) -> list[QLineF]:
    """Lines that mark in one pane the place that the cursor is at in its own; none outside all panes."""
    own = next((one for one in panes if one.contains(cursor)), None)
    if own is None:
        return []
    x, y = pane.left() + cursor.x() - own.left(), pane.top() + cursor.y() - own.top()
    return [
        QLineF(pane.left(), y, max(x - _GAP_PX, pane.left()), y),
        QLineF(min(x + _GAP_PX, pane.right()), y, pane.right(), y),
        QLineF(x, pane.top(), x, max(y - _GAP_PX, pane.top())),
        QLineF(x, min(y + _GAP_PX, pane.bottom()), x, pane.bottom()),
    ]
