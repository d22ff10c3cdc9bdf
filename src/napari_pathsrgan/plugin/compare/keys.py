"""Keys for comparing, bound while the dock is there. None is one of napari's, nor one that the user has given to it.

Letters alone belong to napari's layers (V, 1 to 7 …), Ctrl with letters to its window; Shift with a letter is free but
for four, Ctrl with a digit but for 0, which fits the view.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from napari.settings import get_settings
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QAction, QKeySequence, QShortcut

from napari_pathsrgan.plugin.compare.canvas import CAMERA_PIXEL_UM, CanvasAccess
from napari_pathsrgan.plugin.compare.modes import CompareMode, compare_modes
from napari_pathsrgan.plugin.widgets.qt_types import existing

if TYPE_CHECKING:
    import napari

    from napari_pathsrgan.plugin.compare.comparison import Comparison

ZOOM_KEYS = {4: "Ctrl+1", 10: "Ctrl+2", 20: "Ctrl+3", 40: "Ctrl+4"}
WHOLE_KEY, NEXT_KEY, HOLD_KEY, LAYERS_KEY = "Shift+W", "N", "H", "Shift+H"


def zoom_to(viewer: napari.Viewer, magnification: float) -> None:
    """Show a magnification: a pixel of the screen is as wide as a pixel of such a scan, 5.86 µm / magnification."""
    viewer.scene.camera.zoom = magnification / CAMERA_PIXEL_UM


class CompareKeys(QObject):
    """Binds the keys, and gives way to whoever else has one.

    It checks when it is made, when the user changes keys in napari's settings, and whenever `give_way` is called.

    Parameters
    ----------
    viewer : napari.Viewer
    comparison : Comparison

    Attributes
    ----------
    changed : Signal()
        Other keys are taken than before.
    taken : frozenset of str
        Keys that somebody else has; they are left alone.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, comparison: Comparison) -> None:
        super().__init__()
        self._viewer = viewer
        self._actions = _actions(comparison)
        self._bound: dict[str, Callable[[Any], Any]] = {}
        self.taken: frozenset[str] = frozenset()
        self._settings = get_settings().shortcuts.events.shortcuts
        self._settings.connect(self.give_way)
        self.give_way()

    def give_way(self, _event: Any = None) -> None:
        """Leave alone what somebody else has by now, and bind what nobody has."""
        for key in [key for key, act in self._bound.items() if self._holder(key) is not act]:
            del self._bound[key]  # another plugin has put its own in the place of ours
        used = used_keys(self._viewer, except_for=self._bound.values())
        taken = frozenset(key for key in self._actions if coerce_keybinding(key) in used)
        for key, act in self._actions.items():
            if key in taken and key in self._bound:
                self._viewer.bind_key(key, None)
                del self._bound[key]
            elif key not in taken and key not in self._bound:
                self._viewer.bind_key(key, act)
                self._bound[key] = act
        if taken != self.taken:
            self.taken = taken
            self.changed.emit()

    def release(self) -> None:
        """Give the keys back, but for those that are another's by now."""
        self._settings.disconnect(self.give_way)
        for key, act in self._bound.items():
            if self._holder(key) is act:
                self._viewer.bind_key(key, None)
        self._bound = {}

    def _holder(self, key: str) -> Any:
        return self._viewer.keymap.get(coerce_keybinding(key))

    def lines(self) -> list[tuple[str, str]]:
        """What each key does, for the dock."""
        zooms = " ".join(f"{power}×" for power in ZOOM_KEYS)
        keys = [
            *((mode.key, mode.name) for mode in compare_modes()),
            (NEXT_KEY, "Next image"),
            (HOLD_KEY, "Hold: the other image"),
            (f"{ZOOM_KEYS[4]} … {ZOOM_KEYS[40][-1]}", f"Zoom to {zooms}"),
            (WHOLE_KEY, "Whole slide"),
            (LAYERS_KEY, "Hide or show the layer list"),
        ]
        lines = []
        for key, what in keys:
            own = ZOOM_KEYS.values() if key.startswith(ZOOM_KEYS[4]) else (key,)
            lost = [one for one in own if one in self.taken]
            which = "" if lost == [key] else f"{', '.join(lost)} "
            lines.append((key, f"{what} ({which}taken by another)" if lost else what))
        return lines


def used_keys(viewer: napari.Viewer, except_for: Collection[Any] = ()) -> set[Any]:
    """Keys that napari, another plugin or the user has given a meaning.

    Of napari's settings, of the viewer, of layers of any kind and of those that are there, whose keys go before the
    viewer's while they are selected; and of the window's menus, whose keys never come as far as the canvas.

    Parameters
    ----------
    viewer : napari.Viewer
    except_for : collection of callables
        What is bound to the viewer by oneself.
    """
    of_settings = {key for keys in get_settings().shortcuts.shortcuts.values() for key in keys}
    of_viewer = {key for key, act in viewer.keymap.items() if act not in except_for}
    kinds = {*type(viewer).__mro__, *(base for kind in _kinds(Layer) for base in kind.__mro__)}
    of_kinds = {key for kind in kinds for key in getattr(kind, "class_keymap", ())}
    of_layers = {key for layer in viewer.layers for key in layer.keymap}
    return of_settings | of_viewer | of_kinds | of_layers | _of_menus(viewer)


def _kinds(kind: type[Any]) -> list[type[Any]]:
    below: list[type[Any]] = kind.__subclasses__()
    return [kind, *(deeper for one in below for deeper in _kinds(one))]


def _of_menus(viewer: napari.Viewer) -> set[Any]:
    """Keys of what is in the menus, and of what other docks wait for in the whole window."""
    window = existing(CanvasAccess(viewer).widget.window())
    held = [
        *(key for action in window.findChildren(QAction) for key in action.shortcuts()),
        *(shortcut.key() for shortcut in window.findChildren(QShortcut)),
    ]
    return {coerce_keybinding(key.toString(QKeySequence.SequenceFormat.PortableText)) for key in held}


def _actions(comparison: Comparison) -> dict[str, Callable[[Any], Any]]:
    """What each key does; plain functions, since napari asks for their names."""

    def hold(_viewer: Any) -> Iterator[None]:
        comparison.hold(True)
        yield
        comparison.hold(False)

    def to(mode: CompareMode) -> Callable[[Any], None]:
        return lambda _viewer: comparison.set_mode(mode)

    def zoom(magnification: int) -> Callable[[Any], None]:
        return lambda viewer: zoom_to(viewer, magnification)

    return {
        **{mode.key: to(mode) for mode in compare_modes()},
        **{key: zoom(magnification) for magnification, key in ZOOM_KEYS.items()},
        WHOLE_KEY: lambda viewer: viewer.fit_to_view(),
        NEXT_KEY: lambda _viewer: comparison.next_image(),
        HOLD_KEY: hold,
        LAYERS_KEY: lambda _viewer: comparison.hide_layer_docks(not comparison.layer_docks_hidden),
    }
