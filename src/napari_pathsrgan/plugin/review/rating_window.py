"""Rating as a command: a window of its own, without napari's."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QApplication

from napari_pathsrgan.errors import ScreenError
from napari_pathsrgan.plugin.review.rating_widget import RatingWidget
from napari_pathsrgan.plugin.widgets.screen import has_screen
from napari_pathsrgan.review.session import Session

_OPEN: set[RatingWidget] = set()
"""Windows that are open: they stay when the dock that opened them goes."""


def open_rating(path: Path, rater: str, go_on: bool = False) -> RatingWidget:
    """Open a rater's window as large as the screen.

    Parameters
    ----------
    path, rater, go_on
        See `review.session.Session`.

    Raises
    ------
    PathSRGANError
        If the session can't be opened; there is no window then.
    """
    widget = RatingWidget(Session(path, rater, go_on))
    _OPEN.add(widget)
    widget.destroyed.connect(partial(_OPEN.discard, widget))
    widget.finished.connect(widget.close)
    widget.showMaximized()
    return widget


def rate(path: Path, rater: str, go_on: bool = False) -> None:
    """Rate until the window is closed.

    Raises
    ------
    PathSRGANError
        If the session can't be opened, or there is no screen.
    """
    if not has_screen():
        raise ScreenError("There is no screen to rate on.", "Rate where there is one: the review is a single file.")
    application = QApplication.instance() or QApplication([])
    widget = open_rating(path, rater, go_on)
    application.exec()
    widget.session.close()
