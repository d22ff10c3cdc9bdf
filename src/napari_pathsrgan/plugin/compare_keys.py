"""Keys for comparing, bound while the dock is there. None is one of napari's, nor one that the user has given to it.

Letters alone belong to napari's layers (V, 1 to 7 …), Ctrl with letters to its window; Shift with a letter is free but
for four, Ctrl with a digit but for 0, which fits the view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from napari.settings import get_settings
from napari.utils.key_bindings import coerce_keybinding

from napari_pathsrgan.plugin.comparison import CompareMode, Comparison
from napari_pathsrgan.plugin.overlays import CAMERA_PIXEL_UM

if TYPE_CHECKING:
    import napari

MODE_KEYS = {
    CompareMode.SIDE_BY_SIDE: "Shift+B",
    CompareMode.ONE: "Shift+O",
    CompareMode.SWIPE: "Shift+S",
    CompareMode.LENS: "Shift+E",
    CompareMode.FLICKER: "Shift+F",
    CompareMode.DIFFERENCE: "Shift+D",
}
ZOOM_KEYS = {4: "Ctrl+1", 10: "Ctrl+2", 20: "Ctrl+3", 40: "Ctrl+4"}
WHOLE_KEY, NEXT_KEY, HOLD_KEY = "Shift+W", "N", "H"


def zoom_to(viewer: napari.Viewer, magnification: float) -> None:
    """Show a magnification: a pixel of the screen is as wide as a pixel of such a scan, 5.86 µm / magnification."""
    viewer.scene.camera.zoom = magnification / CAMERA_PIXEL_UM


class CompareKeys:
    """Binds the keys.

    Parameters
    ----------
    viewer : napari.Viewer
    comparison : Comparison

    Attributes
    ----------
    taken : frozenset of str
        Keys that somebody else has; they are left alone.
    """

    def __init__(self, viewer: napari.Viewer, comparison: Comparison) -> None:
        self._viewer = viewer
        self._bound: list[str] = []
        used = used_keys(viewer)
        actions = _actions(comparison)
        self.taken = frozenset(key for key in actions if coerce_keybinding(key) in used)
        for key, act in actions.items():
            if key not in self.taken:
                viewer.bind_key(key, act)
                self._bound.append(key)

    def release(self) -> None:
        """Give the keys back."""
        for key in self._bound:
            self._viewer.bind_key(key, None)
        self._bound = []

    def lines(self) -> list[tuple[str, str]]:
        """What each key does, for the dock."""
        zooms = " ".join(f"{power}×" for power in ZOOM_KEYS)
        keys = [
            *((key, mode.value) for mode, key in MODE_KEYS.items()),
            (NEXT_KEY, "Next picture"),
            (HOLD_KEY, "Hold: the other picture"),
            (f"{ZOOM_KEYS[4]} … {ZOOM_KEYS[40][-1]}", f"Zoom to {zooms}"),
            (WHOLE_KEY, "Whole slide"),
        ]
        return [(key, f"{what} (taken by another)" if key in self.taken else what) for key, what in keys]


def used_keys(viewer: napari.Viewer) -> set[Any]:
    """Keys that napari, another plugin or the user has given a meaning."""
    of_napari = {key for keys in get_settings().shortcuts.shortcuts.values() for key in keys}
    return of_napari | set(viewer.keymap) | {key for kind in type(viewer).__mro__ for key in _of_class(kind)}


def _of_class(kind: type) -> Any:
    return getattr(kind, "class_keymap", ())


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
        **{key: to(mode) for mode, key in MODE_KEYS.items()},
        **{key: zoom(magnification) for magnification, key in ZOOM_KEYS.items()},
        WHOLE_KEY: lambda viewer: viewer.fit_to_view(),
        NEXT_KEY: lambda _viewer: comparison.next_picture(),
        HOLD_KEY: hold,
    }
