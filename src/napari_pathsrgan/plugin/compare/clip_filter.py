"""Shows a layer in a part of the canvas only: the graphics card leaves out the other pixels.

Places are shares of the canvas, from −1 to 1 to the right and upwards as OpenGL has them, so that they hold for a
screen of any density and for a screenshot of any size.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from vispy.visuals.filters import Filter

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_pathsrgan.plugin.compare.canvas import CanvasParts

_VERTEX = """
    varying vec2 v_stencil_place;
    void stencil_place() { v_stencil_place = gl_Position.xy / gl_Position.w; }
"""
_FRAGMENT = """
    varying vec2 v_stencil_place;
    void stencil() {
        vec2 away = (v_stencil_place - $centre) * $half_size;
        bool inside = dot(away, away) < $radius * $radius;
        if ($part == 1.0 || ($part == 2.0 && away.x >= 0.0) || ($part == 3.0 && away.x < 0.0)
            || ($part == 4.0 && !inside) || ($part == 5.0 && inside)) discard;
    }
"""


class Part(IntEnum):
    """Which part of the canvas a layer is shown in."""

    ALL = 0
    NONE = 1
    LEFT = 2
    RIGHT = 3
    INSIDE = 4
    OUTSIDE = 5


class Stencil(Filter):
    """The filter of one visual."""

    def __init__(self) -> None:
        super().__init__(vcode=_VERTEX, fcode=_FRAGMENT, fhook="pre")
        self.cut(Part.ALL, (0.0, 0.0), 1.0, (1.0, 1.0))

    def cut(self, part: Part, centre: tuple[float, float], radius: float, half_size: tuple[float, float]) -> None:
        """Show a part.

        Parameters
        ----------
        part : Part
        centre : (x, y)
            Of the lens; x is the divider's place; −1 to 1.
        radius : float
            Of the lens, pixels.
        half_size : (width, height)
            Half of the canvas, pixels.
        """
        self.fshader["part"] = float(part)
        self.fshader["centre"] = centre
        self.fshader["radius"] = radius
        self.fshader["half_size"] = half_size


class Stencils:
    """Cuts layers; napari may exchange their visuals at any time, so `follow` is called before each drawing.

    Parameters
    ----------
    parts : CanvasParts
    """

    def __init__(self, parts: CanvasParts) -> None:
        self._canvas = parts
        self._wanted: dict[Image, Part] = {}
        self._attached: dict[Image, list[tuple[Any, Stencil]]] = {}
        self._place: tuple[tuple[float, float], float, tuple[float, float]] = ((0.0, 0.0), 1.0, (1.0, 1.0))

    def show(self, wanted: dict[Image, Part]) -> None:
        """Show layers in parts of the canvas; all others are whole again."""
        for layer in set(self._attached) - set(wanted):
            for visual, stencil in self._attached.pop(layer):
                visual.detach(stencil)
        self._wanted = dict(wanted)
        self.follow()
        self._cut()

    def move(self, x: float, y: float, radius: float, width: float, height: float) -> None:
        """Put divider and lens in a place.

        Parameters
        ----------
        x, y : float
            Shares of the canvas's width and height, from its upper-left corner.
        radius : float
            Of the lens, pixels.
        width, height : float
            Of the canvas, pixels.
        """
        self._place = ((2 * x - 1, 1 - 2 * y), radius, (width / 2, height / 2))
        self._cut()

    def follow(self) -> None:
        """Cut visuals that have come since."""
        came = False
        for layer in self._wanted:
            visuals, attached = self._canvas.visuals(layer), self._attached.get(layer, [])
            if [visual for visual, _ in attached] != visuals:
                kept = {id(visual): stencil for visual, stencil in attached}
                self._attached[layer] = [(visual, kept.get(id(visual)) or _attach(visual)) for visual in visuals]
                came = True
        if came:
            self._cut()

    def _cut(self) -> None:
        for layer, attached in self._attached.items():
            for _, stencil in attached:
                stencil.cut(self._wanted[layer], *self._place)
        self._canvas.redraw()


def _attach(visual: Any) -> Stencil:
    stencil = Stencil()
    visual.attach(stencil)
    return stencil
