"""Pictures of one place looked at against each other: side by side, swiped, through a lens, in turns, subtracted.

Any image layers can be compared, whatever their pixel sizes: layers lie in µm, the camera is one, and napari draws
each from its own pixels. Side by side is napari's grid. In the other modes two layers lie on each other, both drawn,
and `clip_filter` decides which of them is seen where. So both are sharpened like any other layer, a key or a drag
shows the other one at once, and what isn't compared is hidden and costs nothing. `benchmarks/swiping.py` sets a step
of a drag against drawing the canvas and against slicing a layer anew. Where the CPU draws, drawing is most of all
three; a step saves the slicing, the putting together and the upload.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, QPointF, QTimer, Signal

from napari_pathsrgan.plugin.compare.canvas import CanvasParts
from napari_pathsrgan.plugin.compare.canvas_overlay import CanvasFront, Marks
from napari_pathsrgan.plugin.compare.clip_filter import Part, Stencils
from napari_pathsrgan.plugin.compare.difference_layer import DIFFERENCE_KEY, DifferenceLayer
from napari_pathsrgan.plugin.compare.modes import CompareMode
from napari_pathsrgan.plugin.compare.pane_labels import Label, PaneLabels

if TYPE_CHECKING:
    import napari
    from qtpy.QtWidgets import QWidget

    from napari_pathsrgan.plugin.compare.canvas import Pane

LENS_PX, LEAST_LENS_PX, LENS_STEP = 140.0, 30.0, 1.15
"""Radius of the lens at first and at least, and how much a notch of the wheel makes of it."""


class Comparison(QObject):
    """The pictures of one viewer, and how they are looked at.

    Attributes
    ----------
    changed : Signal()
        Mode, pictures, or what there is to choose from.

    Parameters
    ----------
    viewer : napari.Viewer
        Or the proxy of it that napari gives to docks.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._parts = CanvasParts(viewer)
        self.viewer = self._parts.viewer
        self.mode = CompareMode.SIDE_BY_SIDE
        self.alone: Image | None = None
        self.first: Image | None = None
        self.second: Image | None = None
        self._difference = DifferenceLayer(self.viewer, self)
        self.held = False
        self.cross = True
        self._divider = 0.5
        self._lens = (0.5, 0.5, LENS_PX)
        self._visible_before: dict[Image, bool] = {}
        self._arranging = False
        self._stencils = Stencils(self._parts)
        self.labels = PaneLabels(self._parts, self._wanted_labels)
        self.front = CanvasFront(self._parts.widget)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._on_layers)
        self.front.divider_moved.connect(self._on_divider)
        self.front.lens_moved.connect(self._on_lens)
        self.front.lens_turned.connect(self._on_turned)
        self.front.left.connect(lambda: self.hold(False))
        self._events = (self.viewer.layers.events.inserted, self.viewer.layers.events.removed)
        for event in self._events:
            event.connect(self._note_layers)
        self._parts.on_draw(self._before_drawing)

    @property
    def canvas(self) -> QWidget:
        """What the pictures are drawn on."""
        return self._parts.widget

    @property
    def difference(self) -> Image | None:
        """The layer that shows a difference, while one does."""
        return self._difference.layer

    # ------------------------------------------------------------------ choosing

    def pictures(self) -> list[Image]:
        """Layers that can be compared, in the order of the layer list."""
        return [
            layer
            for layer in self.viewer.layers
            if isinstance(layer, Image) and layer.ndim == 2 and DIFFERENCE_KEY not in layer.metadata
        ]

    def set_mode(self, mode: CompareMode) -> None:
        """Look at the pictures in another way; stays as it is where there are too few."""
        pictures = self.pictures()
        if mode is not self.mode and len(pictures) > mode.of_two:
            if self.mode is CompareMode.SIDE_BY_SIDE:
                self._visible_before = {layer: layer.visible for layer in pictures}
            self._fill(pictures)
            self.mode, self.held = mode, False
            self._arrange()
        self.changed.emit()

    def choose(self, first: Image | None = None, second: Image | None = None) -> None:
        """Look at other pictures; choosing what the other side shows exchanges the two."""
        before = self.alone, self.first, self.second
        if self.mode is CompareMode.ONE:
            self.alone = first or self.alone
        elif first is not None:
            self.first, self.second = first, self.first if first is self.second else self.second
        elif second is not None:
            self.first, self.second = self.second if second is self.first else self.first, second
        if (self.alone, self.first, self.second) != before and self.mode is not CompareMode.SIDE_BY_SIDE:
            self._arrange()
        self.changed.emit()

    def next_picture(self) -> None:
        """Show the next picture; of two, the other one is the next."""
        if self.mode is CompareMode.SIDE_BY_SIDE:
            self.set_mode(CompareMode.ONE)
            return
        pictures = self.pictures()
        turning = self.second if self.mode.of_two else self.alone
        following = [*pictures[pictures.index(turning) + 1 :], *pictures]
        if self.mode.of_two:
            self.choose(second=next(layer for layer in following if layer is not self.first))
        else:
            self.choose(first=following[0])

    def hold(self, held: bool) -> None:
        """Show the second picture whole for as long as a key is held."""
        if held != self.held and (not held or self.mode.may_hold):
            self.held = held
            self._show()

    def set_cross(self, shown: bool) -> None:
        """Mark the cursor's place in every pane, or don't."""
        self.cross = shown
        self._show_front()

    def show_working(self, missing: Callable[[Image], float]) -> None:
        """Mark the panes whose pictures are being worked on; `missing` tells a layer's share still to come."""
        working = [
            (pane.rect, max((missing(layer) for layer in pane.layers), default=0.0)) for pane in self._parts.panes()
        ]
        self.front.set_working([(rect, share) for rect, share in working if share > 0])

    def end(self) -> None:
        """Let go of the canvas; the layers stay, as they were side by side."""
        self._timer.stop()
        for event in self._events:
            event.disconnect(self._note_layers)
        if self.mode is not CompareMode.SIDE_BY_SIDE:
            self.mode = CompareMode.SIDE_BY_SIDE
            self._arrange()
        self._parts.off_draw(self._before_drawing)
        self._stencils.show({})
        self.labels.clear()
        self.front.end()

    # ------------------------------------------------------------------ arranging

    def _fill(self, pictures: Sequence[Image]) -> None:
        """Begin with the first and the last of what is seen: the scan, and the finest picture computed of it."""
        seen = [layer for layer in pictures if layer.visible] or list(pictures)
        if self.alone not in pictures:
            self.alone = seen[-1]
        if self.first not in pictures:
            self.first = next(layer for layer in [*seen, *pictures] if layer is not self.second)
        if self.second not in pictures:
            others = [layer for layer in [*pictures, *seen] if layer is not self.first]
            self.second = others[-1] if others else None

    def _compared(self) -> list[Image]:
        """Pictures that the mode shows; in side by side, whatever was shown before."""
        if self.mode is CompareMode.SIDE_BY_SIDE:
            return [layer for layer, visible in self._visible_before.items() if visible]
        return [self.first, self.second] if self.mode.of_two else [self.alone]

    def _arrange(self) -> None:
        self._arranging = True
        try:
            self._difference.drop()
            self.viewer.canvas.grid.enabled = self.mode is CompareMode.SIDE_BY_SIDE
            compared = self._compared()
            for layer in self.pictures():
                layer.visible = layer in compared
            if self.mode is CompareMode.SIDE_BY_SIDE:
                self.alone = self.first = self.second = None
            elif self.mode is CompareMode.DIFFERENCE:
                self._difference.show(self.first, self.second)
        finally:
            self._arranging = False
        self._show()

    def _note_layers(self, event: Any) -> None:
        if not self._arranging:
            self._timer.start(0)  # napari has not finished

    def _on_layers(self) -> None:
        """Show all that is there: a picture has come, which is to be seen, or one of those compared has gone."""
        pictures = self.pictures()
        gone = self.mode is CompareMode.DIFFERENCE and not self._difference.seen
        known = set(self._compared()) <= set(pictures) <= {*self._visible_before}
        if self.mode is not CompareMode.SIDE_BY_SIDE and (gone or not known):
            self._visible_before = {layer: self._visible_before.get(layer, layer.visible) for layer in pictures}
            self.mode = CompareMode.SIDE_BY_SIDE
            self._arrange()
        self.changed.emit()

    # ------------------------------------------------------------------ showing

    def _show(self) -> None:
        self._stencils.show(self._stencilled())
        self._show_front()

    def _stencilled(self) -> dict[Image, Part]:
        first, second = self.mode.parts(self.held)
        wanted = {self.first: first, self.second: second} if self.mode.of_two else {}
        return {layer: part for layer, part in wanted.items() if part is not Part.ALL}

    def _show_front(self) -> None:
        width, height = self.front.canvas_size
        swiped = self.mode is CompareMode.SWIPE and not self.held
        lens = self.mode is CompareMode.LENS and not self.held
        x, y, radius = self._lens
        panes = tuple(pane.rect for pane in self._parts.panes())
        self.front.set_marks(
            Marks(
                panes,
                self.cross and len(panes) > 1,
                self._divider * width if swiped else None,
                (QPointF(x * width, y * height), radius) if lens else None,
            )
        )
        if self.mode is CompareMode.LENS:
            self._stencils.move(x, y, radius, width, height)
        else:
            self._stencils.move(self._divider, 0.5, radius, width, height)

    def _before_drawing(self, _event: Any = None) -> None:
        self._parts.slice_now()
        self._stencils.follow()
        self.labels.follow()
        panes = tuple(pane.rect for pane in self._parts.panes())
        if panes != self.front.marks.panes:
            self._show_front()

    def _wanted_labels(self, pane: Pane) -> list[Label]:
        width = pane.rect.width()
        if not pane.layers:
            return []
        if self.mode is CompareMode.SWIPE and not self.held:
            left = width * self._divider
            return [Label(self.first.name, left), Label(self.second.name, width - left, right=True)]
        if self.mode is CompareMode.LENS and not self.held:
            return [Label(self.first.name, width / 2), Label(f"in the lens · {self.second.name}", width / 2, True)]
        if self.mode is CompareMode.DIFFERENCE and self.difference is not None:
            return [Label(self.difference.name, width)]
        if self.mode.of_two:
            return [Label((self.second if self.held else self.first).name, width)]
        return [Label(pane.layers[-1].name, width)]

    def _on_divider(self, x: float) -> None:
        self._divider = x
        self._show_front()

    def _on_lens(self, x: float, y: float) -> None:
        self._lens = (x, y, self._lens[2])
        self._show_front()

    def _on_turned(self, notches: float) -> None:
        x, y, radius = self._lens
        largest = max(LEAST_LENS_PX, min(self.front.canvas_size) / 2)
        self._lens = (x, y, min(max(radius * LENS_STEP**notches, LEAST_LENS_PX), largest))
        self._show_front()
