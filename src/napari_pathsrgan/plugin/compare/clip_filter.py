"""Shows a layer in a part of the canvas only: the graphics card discards the other pixels.

Places are shares of the canvas, from −1 to 1 to the right and upwards as OpenGL has them, so that they hold for a
screen of any density and for a screenshot of any size. The vertex shader passes on where a fragment lies; the fragment
shader turns that into pixels from the handle, which is all that a mode's condition knows. The condition is text that is
compiled into the shader, once per mode; whatever changes while one drags or holds a key is a uniform, for a shader that
is compiled anew would make the canvas stutter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vispy.visuals.filters import Filter

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_pathsrgan.plugin.compare.canvas import CanvasAccess

_VERTEX = """
    varying vec2 v_clip_place;
    void clip_place() { v_clip_place = gl_Position.xy / gl_Position.w; }
"""
_FRAGMENT = """
    varying vec2 v_clip_place;
    void clip() {
        vec2 offset = (v_clip_place - $centre) * $half_size;
        float radius = $radius;
        bool seen = $region;
        if ($forced == 1.0) seen = true;
        if ($forced == 2.0) seen = false;
        if (!seen) discard;
    }
"""
_FORCED = {None: 0.0, True: 1.0, False: 2.0}


@dataclass(frozen=True)
class Clip:
    """Where on the canvas a layer is seen.

    Attributes
    ----------
    region : str
        GLSL condition, see `CompareMode.regions`.
    forced : bool or None
        True for everywhere and False for nowhere, whatever the condition says.
    """

    region: str
    forced: bool | None = None


@dataclass(frozen=True)
class HandlePlace:
    """Where the handle is.

    Attributes
    ----------
    centre : (x, y)
        −1 to 1, to the right and upwards.
    radius : float
        Of the lens, pixels.
    half_size : (width, height)
        Half of the canvas, pixels.
    """

    centre: tuple[float, float] = (0.0, 0.0)
    radius: float = 1.0
    half_size: tuple[float, float] = (1.0, 1.0)


class ClipFilter(Filter):
    """The filter of one visual."""

    def __init__(self) -> None:
        super().__init__(vcode=_VERTEX, fcode=_FRAGMENT, fhook="pre")
        self.set_clip(Clip("true"), HandlePlace())

    def set_clip(self, clip: Clip, place: HandlePlace) -> None:
        """Show the layer where a condition holds."""
        self.fshader["region"] = clip.region
        self.fshader["forced"] = _FORCED[clip.forced]
        self.fshader["centre"] = place.centre
        self.fshader["radius"] = place.radius
        self.fshader["half_size"] = place.half_size


class LayerClips:
    """Clips layers; napari may replace their visuals at any time, so `update` is called before each drawing.

    Parameters
    ----------
    canvas : CanvasAccess
    """

    def __init__(self, canvas: CanvasAccess) -> None:
        self._canvas = canvas
        self._clips: dict[Image, Clip] = {}
        self._attached: dict[Image, list[tuple[Any, ClipFilter]]] = {}
        self._place = HandlePlace()

    def set_clips(self, clips: Mapping[Image, Clip]) -> None:
        """Show layers in parts of the canvas; all others are seen everywhere again."""
        for layer in set(self._attached) - set(clips):
            for visual, own in self._attached.pop(layer):
                visual.detach(own)
        self._clips = dict(clips)
        self.update()
        self._apply()

    def move(self, x: float, y: float, radius: float, width: float, height: float) -> None:
        """Move the handle.

        Parameters
        ----------
        x, y : float
            Shares of the canvas's width and height, from its upper-left corner.
        radius : float
            Of the lens, pixels.
        width, height : float
            Of the canvas, pixels.
        """
        self._place = HandlePlace((2 * x - 1, 1 - 2 * y), radius, (width / 2, height / 2))
        self._apply()

    def update(self) -> None:
        """Clip visuals that have come since."""
        came = False
        for layer in self._clips:
            visuals, attached = self._canvas.visuals(layer), self._attached.get(layer, [])
            if [visual for visual, _ in attached] != visuals:
                kept = {id(visual): own for visual, own in attached}
                self._attached[layer] = [(visual, kept.get(id(visual)) or _attach(visual)) for visual in visuals]
                came = True
        if came:
            self._apply()

    def _apply(self) -> None:
        for layer, attached in self._attached.items():
            for _, own in attached:
                own.set_clip(self._clips[layer], self._place)
        self._canvas.redraw()


def _attach(visual: Any) -> ClipFilter:
    own = ClipFilter()
    visual.attach(own)
    return own
