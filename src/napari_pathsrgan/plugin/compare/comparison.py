"""Compares images of one place on the canvas: side by side, or two on each other.

Any image layers can be compared, whatever their pixel sizes: layers lie in µm, the camera is one, and napari draws
each from its own pixels. Side by side is napari's grid. In the other modes (`modes`) two layers lie on each other,
both drawn, and `clip_filter` decides which of them is seen where. So both are sharpened like any other layer, a key or
a drag shows the other one at once, and what isn't compared is hidden and costs nothing. `benchmarks/swiping.py`
compares a step of a drag with drawing the canvas and with slicing a layer anew. Where the CPU draws, drawing is most of
all three; a step saves the slicing, the composing and the upload.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, QPointF, QTimer, Signal

from napari_pathsrgan.plugin.compare.canvas import CanvasAccess
from napari_pathsrgan.plugin.compare.canvas_overlay import CanvasOverlay, OverlayState
from napari_pathsrgan.plugin.compare.clip_filter import Clip, LayerClips
from napari_pathsrgan.plugin.compare.derived_layer import DERIVED_KEY, DerivedLayer
from napari_pathsrgan.plugin.compare.modes import ONE, SIDE_BY_SIDE, CompareMode, Handle, Label
from napari_pathsrgan.plugin.compare.pane_labels import PaneLabels
from napari_pathsrgan.plugin.layers.names import pane_label, slide_of

if TYPE_CHECKING:
    import napari
    from qtpy.QtWidgets import QWidget

    from napari_pathsrgan.plugin.compare.canvas import Pane

LENS_PX, LEAST_LENS_PX, LENS_STEP = 140.0, 30.0, 1.15
"""Radius of the lens at first and at least, and how much a notch of the wheel makes of it."""


class Comparison(QObject):
    """The images of one viewer, and how they are compared.

    Attributes
    ----------
    changed : Signal()
        Mode, images, or what there is to choose from.
    alone, first, second : Image or None
        The image shown alone, and the two compared; None in panes.

    Parameters
    ----------
    viewer : napari.Viewer
        Or the proxy of it that napari gives to docks.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._canvas = CanvasAccess(viewer)
        self.viewer = self._canvas.viewer
        self.mode: CompareMode = SIDE_BY_SIDE
        self.alone: Image | None = None
        self.first: Image | None = None
        self.second: Image | None = None
        self._derived = DerivedLayer(self.viewer, self)
        self.held = False
        self.cross = True
        self._divider = 0.5
        self._lens = (0.5, 0.5, LENS_PX)
        self._slide = ""
        self._visible_before: dict[Image, bool] = {}
        self._arranging = False
        self._clips = LayerClips(self._canvas)
        self.labels = PaneLabels(self._canvas, self._make_labels)
        self.overlay = CanvasOverlay(self._canvas.widget)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._update_layers)
        self.overlay.divider_moved.connect(self._on_divider)
        self.overlay.lens_moved.connect(self._on_lens)
        self.overlay.lens_scrolled.connect(self._on_lens_scrolled)
        self.overlay.focus_lost.connect(lambda: self.hold(False))
        self._events = (self.viewer.layers.events.inserted, self.viewer.layers.events.removed)
        for event in self._events:
            event.connect(self._on_layers_changed)
        self._canvas.on_draw(self._before_drawing)

    @property
    def canvas(self) -> QWidget:
        """What the images are drawn on."""
        return self._canvas.widget

    @property
    def derived(self) -> Image | None:
        """The layer made of the two images, while one is shown."""
        return self._derived.layer

    # ------------------------------------------------------------------ choosing

    def images(self) -> list[Image]:
        """Layers that can be compared, in the order of the layer list."""
        return [
            layer
            for layer in self.viewer.layers
            if isinstance(layer, Image) and layer.ndim == 2 and DERIVED_KEY not in layer.metadata
        ]

    def candidates(self) -> list[Image]:
        """Images that can be chosen: those of the slide in use and those of no slide, never another slide's."""
        return [layer for layer in self.images() if slide_of(layer) in ("", self._slide) or not self._slide]

    def set_slide(self, slide: str) -> None:
        """Compare the images of one slide alone; of any where `slide` is empty.

        Parameters
        ----------
        slide : str
            See `slide_of`.
        """
        if slide == self._slide:
            return
        self._slide = slide
        if not self.mode.in_panes:
            images = self.candidates()
            if len(images) < self.mode.n_images:
                self.mode = SIDE_BY_SIDE
            else:
                self._choose_first_images(images)
            self._arrange()
        self.changed.emit()

    def set_mode(self, mode: CompareMode) -> None:
        """Compare in another mode; the mode stays as it is where there are too few images."""
        images = self.candidates()
        if mode != self.mode and images and len(images) >= mode.n_images:
            if self.mode.in_panes:
                self._visible_before = {layer: layer.visible for layer in self.images()}
            self._choose_first_images(images)
            self.mode, self.held = mode, False
            self._arrange()
        self.changed.emit()

    def choose(self, first: Image | None = None, second: Image | None = None) -> None:
        """Compare other images; choosing the one on the other side swaps the two."""
        before = self.alone, self.first, self.second
        if self.mode.n_images == 1:
            self.alone = first or self.alone
        elif first is not None:
            self.first, self.second = first, self.first if first is self.second else self.second
        elif second is not None:
            self.first, self.second = self.second if second is self.first else self.first, second
        if (self.alone, self.first, self.second) != before and not self.mode.in_panes:
            self._arrange()
        self.changed.emit()

    def next_image(self) -> None:
        """Show the next image; of two, the second one is replaced."""
        if self.mode.in_panes:
            self.set_mode(ONE)
            return
        images = self.candidates()
        replaced = self._compared()[-1]
        following = [*images[images.index(replaced) + 1 :], *images]
        if self.mode.n_images == 2:
            self.choose(second=next(layer for layer in following if layer is not self.first))
        else:
            self.choose(first=following[0])

    def hold(self, held: bool) -> None:
        """Show the second image alone for as long as a key is held."""
        if held != self.held and (not held or self.mode.can_hold):
            self.held = held
            self._show()

    def set_cross(self, shown: bool) -> None:
        """Show the cursor's place in every pane, or don't."""
        self.cross = shown
        self._update_overlay()

    @property
    def layer_docks_hidden(self) -> bool:
        """Whether napari's layer list and controls are hidden."""
        return all(dock.isHidden() for dock in self._canvas.layer_docks())

    def hide_layer_docks(self, hidden: bool) -> None:
        """Hide napari's layer list and controls, so that the panes get their room, or show them again."""
        for dock in self._canvas.layer_docks():
            dock.setHidden(hidden)
        self.changed.emit()

    def show_working(self, missing: Callable[[Image], float]) -> None:
        """Mark the panes whose images are being computed.

        Parameters
        ----------
        missing : callable (Image) -> float
            Gives the share of what is in sight of a layer that is not sharp yet, 0 to 1.
        """
        working = [
            (pane.rect, max((missing(layer) for layer in pane.layers), default=0.0)) for pane in self._canvas.panes()
        ]
        self.overlay.set_working([(rect, share) for rect, share in working if share > 0])

    def close(self) -> None:
        """Leave the canvas; the layers stay, as they were side by side."""
        self._timer.stop()
        for event in self._events:
            event.disconnect(self._on_layers_changed)
        if not self.mode.in_panes:
            self.mode = SIDE_BY_SIDE
            self._arrange()
        self._canvas.off_draw(self._before_drawing)
        self._clips.set_clips({})
        self.labels.clear()
        self.overlay.teardown()

    # ------------------------------------------------------------------ arranging

    def _choose_first_images(self, images: Sequence[Image]) -> None:
        """Begin with the first and the last of what is seen: the scan, and the finest image computed of it."""
        seen = [layer for layer in images if layer.visible] or list(images)
        if self.alone not in images:
            self.alone = seen[-1]
        if self.first not in images:
            self.first = next(layer for layer in [*seen, *images] if layer is not self.second)
        if self.second not in images:
            others = [layer for layer in [*images, *seen] if layer is not self.first]
            self.second = others[-1] if others else None

    def _compared(self) -> list[Image]:
        """Images that the mode shows; in panes, whatever was shown before."""
        if self.mode.in_panes:
            return [layer for layer, visible in self._visible_before.items() if visible]
        chosen = [self.first, self.second] if self.mode.n_images == 2 else [self.alone]
        return [layer for layer in chosen if layer is not None]

    def _arrange(self) -> None:
        self._arranging = True
        try:
            self._derived.remove()
            self.viewer.canvas.grid.enabled = self.mode.in_panes
            compared = self._compared()
            for layer in self.images():
                layer.visible = layer in compared
            if self.mode.in_panes:
                self.alone = self.first = self.second = None
            elif self.mode.derive is not None:
                self._derived.show(self.mode.derive, *compared)
        finally:
            self._arranging = False
        self._show()

    def _on_layers_changed(self, _event: Any) -> None:
        if not self._arranging:
            self._timer.start(0)  # napari has not finished

    def _update_layers(self) -> None:
        """Go back to panes where an image has come, which is to be seen, or one of those compared has gone."""
        images = self.images()
        gone = self.mode.derive is not None and not self._derived.is_shown
        known = set(self._compared()) <= set(images) <= {*self._visible_before}
        if not self.mode.in_panes and (gone or not known):
            self._visible_before = {layer: self._visible_before.get(layer, layer.visible) for layer in images}
            self.mode = SIDE_BY_SIDE
            self._arrange()
        self.changed.emit()

    # ------------------------------------------------------------------ showing

    def _show(self) -> None:
        self._clips.set_clips(self._make_clips())
        self._update_overlay()

    def _make_clips(self) -> dict[Image, Clip]:
        forced = (False, True) if self.held else (None, None)
        return {
            layer: Clip(region, force)
            for layer, region, force in zip(self._compared(), self.mode.regions, forced, strict=False)
        }

    def _update_overlay(self) -> None:
        width, height = self.overlay.canvas_size
        handle = Handle.NONE if self.held else self.mode.handle
        x, y, radius = self._lens
        panes = tuple(pane.rect for pane in self._canvas.panes())
        self.overlay.set_state(
            OverlayState(
                panes,
                self.cross and len(panes) > 1,
                self._divider * width if handle is Handle.DIVIDER else None,
                (QPointF(x * width, y * height), radius) if handle is Handle.LENS else None,
            )
        )
        self._clips.move(*self._handle_place(), radius, width, height)

    def _handle_place(self) -> tuple[float, float]:
        """Where the handle is, as shares of the canvas; the middle of the upright divider."""
        return self._lens[:2] if self.mode.handle is Handle.LENS else (self._divider, 0.5)

    def _before_drawing(self, _event: Any = None) -> None:
        self._canvas.slice_now()
        self._clips.update()
        self.labels.update()
        panes = tuple(pane.rect for pane in self._canvas.panes())
        if panes != self.overlay.state.panes:
            self._update_overlay()

    def _make_labels(self, pane: Pane) -> list[Label]:
        width = pane.rect.width()
        if not pane.layers:
            return []
        if self.mode.n_images < 2:
            return [Label(pane_label(pane.layers[-1]), width)]
        if self.derived is not None:
            return [Label(pane_label(self.derived), width)]
        names = [pane_label(layer) for layer in self._compared()]
        if self.held:
            return [Label(names[-1], width)]
        return self.mode.labels(names, width, self._handle_place()[0])

    def _on_divider(self, x: float) -> None:
        self._divider = x
        self._update_overlay()

    def _on_lens(self, x: float, y: float) -> None:
        self._lens = (x, y, self._lens[2])
        self._update_overlay()

    def _on_lens_scrolled(self, notches: float) -> None:
        x, y, radius = self._lens
        largest = max(LEAST_LENS_PX, min(self.overlay.canvas_size) / 2)
        self._lens = (x, y, min(max(radius * LENS_STEP**notches, LEAST_LENS_PX), largest))
        self._update_overlay()
