"""A rater's window: the image alone on grey, five buttons, and nothing that reveals the method."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from napari_pathsrgan.errors import PathSRGANError, RatingNotSavedError
from napari_pathsrgan.plugin.review.intro_pages import FirstPage, LastPage
from napari_pathsrgan.plugin.review.rating_page import RatingPage
from napari_pathsrgan.plugin.widgets.message_strip import MessageStrip
from napari_pathsrgan.plugin.widgets.qt_types import existing

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QCloseEvent, QKeyEvent

    from napari_pathsrgan.review.session import Session

RETRY_MS = 2000
_STYLE = (
    "#rating {{ background: rgb({grey}, {grey}, {grey}); }}"
    "#rating QScrollArea, #rating QScrollArea > QWidget > QWidget {{ background: transparent; border: none; }}"
    "#rating QLabel {{ color: white; }} #rating #title {{ font-size: 20pt; }} #rating #words {{ font-size: 12pt; }}"
    "#rating QPushButton {{ background: #d8d8d8; color: black; border: 1px solid #585858; border-radius: 4px;"
    " padding: 6px 14px; }}"
    "#rating QPushButton:hover {{ background: #f0f0f0; }}"
    "#rating QPushButton:disabled {{ background: #a0a0a0; color: #686868; }}"
    "#rating QPushButton:checked {{ background: white; border: 3px solid black; }}"
    "#rating #score {{ font-size: 14pt; }} #rating QLineEdit {{ background: white; color: black; padding: 4px; }}"
    "#rating QScrollBar {{ background: transparent; width: 12px; }}"
    "#rating QScrollBar::handle {{ background: #d8d8d8; border-radius: 4px; min-height: 40px; margin: 2px; }}"
    "#rating QScrollBar::add-line, #rating QScrollBar::sub-line {{ height: 0; }}"
    "#pathsrganMessage {{ background: #303030; }}"
)
_ARROWS = {Qt.Key.Key_Left: 1, Qt.Key.Key_Down: 2, Qt.Key.Key_Right: 3}


class RatingWidget(QWidget):
    """Shows what a session has to rate, and records the ratings.

    Parameters
    ----------
    session : Session
        Owned by the widget from now on: it closes with it.

    Attributes
    ----------
    shown : Signal(int)
        An image appeared: its place in the rater's order; −1 for the last page.
    finished : Signal()
        The rater has closed the last page.
    """

    shown = Signal(int)
    finished = Signal()

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self._since: float | None = None
        self._spent_s = 0.0
        self._build()
        self._retry = QTimer(self)
        self._retry.setInterval(RETRY_MS)
        self._retry.timeout.connect(self.try_again)

    # ------------------------------------------------------------------ what there is to see

    def _build(self) -> None:
        facts = self.session.facts
        self.setObjectName("rating")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet(_STYLE.format(grey=facts["grey"]))
        self.setWindowTitle(facts["title"])
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.messages = MessageStrip()
        anchors = [(score, self.session.image(name)) for score, name in self.session.anchors]
        going_on = self.session.place != 0
        self.first = FirstPage(
            facts["title"], facts["question"], self.session.mode, anchors, int(facts["zoom"]), going_on
        )
        self.first.begun.connect(self.begin)
        self.page = RatingPage(facts, self.session.mode)
        self._connect(self.page)
        self.last = LastPage()
        self.last.back_asked.connect(self.go_back)
        self.last.closed.connect(self.finished)
        self.pages = QStackedWidget()
        for page in (self.first, self.page, self.last):
            self.pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.messages)
        layout.addWidget(self.pages, 1)
        self.first.begin.setFocus()

    def _connect(self, page: RatingPage) -> None:
        for score, button in page.scores.items():
            button.clicked.connect(lambda _=False, score=score: self.rate(score))
        page.unjudged.clicked.connect(lambda: self.rate(None))
        page.back.clicked.connect(self.go_back)
        page.forward.clicked.connect(self.go_forward)
        page.comment.clicked.connect(self.open_comment)
        page.words.returnPressed.connect(self.keep_comment)
        page.flag.clicked.connect(self.set_flag)
        page.pause.clicked.connect(self.set_pause)

    def begin(self) -> None:
        """Leave the first page."""
        self._show()

    def _show(self) -> None:
        """Show what the session is at, and start the clock."""
        progress = self.session.progress
        self.setFocus()
        if self.session.place is None:
            self.last.thank(self.session.rater, progress.total)
            self.pages.setCurrentWidget(self.last)
            self.shown.emit(-1)
            return
        trial = self.session.trial
        self.page.show_trial(trial, progress)
        self._show_images()
        self.pages.setCurrentWidget(self.page)
        self._spent_s, self._since = 0.0, time.monotonic()
        self.shown.emit(trial.place)

    def _show_images(self) -> None:
        try:
            self.page.view.show_images([self.session.image(name) for name in self.session.trial.images])
        except PathSRGANError as error:
            self.page.view.show_note(str(error))

    # ------------------------------------------------------------------ what a rater does

    @property
    def rating(self) -> bool:
        """Whether an image can be rated now."""
        return self.pages.currentIndex() == 1 and not self.session.waiting and not self.page.pause.isChecked()

    def rate(self, score: int | None) -> None:
        """Rate what is shown; the next appears when this is on disk."""
        if not self.rating:
            self._mark()
            return
        spent = self._spent_s + (0.0 if self._since is None else time.monotonic() - self._since)
        try:
            self.session.rate(score, spent)
        except RatingNotSavedError as error:
            self._tell(error)
            self._mark()
            return
        self._saved()

    def try_again(self) -> None:
        """Write the rating that could not be written."""
        try:
            self.session.retry()
        except RatingNotSavedError as error:
            self._tell(error)
            return
        self._saved()

    def _saved(self) -> None:
        self._retry.stop()
        self.messages.hide()
        self._show()

    def _tell(self, error: PathSRGANError) -> None:
        """Say that something isn't saved; a rating is tried again until it is."""
        if self.session.waiting:
            self.messages.show_problem(error, "Try again", self.try_again)
            self._retry.start()
        else:
            self.messages.show_problem(error)

    def _mark(self) -> None:
        if self.session.place is not None:
            self.page.mark(self.session.trial)

    def go_back(self) -> None:
        """Show the one before, to look again or to correct."""
        if not self.session.waiting and not self.page.pause.isChecked() and self.session.back():
            self._show()

    def go_forward(self) -> None:
        """Show the first that isn't rated."""
        if self.rating:
            self.session.forward()
            self._show()

    def set_flag(self, flagged: bool) -> None:
        """Mark what is shown as odd, or take the mark away."""
        if self.rating:
            self._do(lambda: self.session.flag(flagged))
        self._mark()

    def set_pause(self, paused: bool) -> None:
        """Hide the image and stop the clock, or resume."""
        if self.session.waiting:
            self.page.pause.setChecked(False)
            return
        self._do(lambda: self.session.pause(paused))
        self.page.show_paused(paused)
        if paused:
            self._spent_s += 0.0 if self._since is None else time.monotonic() - self._since
            self._since = None
        else:
            self._since = time.monotonic()
            self._show_images()

    def open_comment(self) -> None:
        """Open the line for a comment."""
        if self.rating:
            self.page.words.setText(self.session.trial.comment)
            self.page.words.show()
            self.page.words.setFocus()

    def keep_comment(self) -> None:
        """Keep what is in the line."""
        if self._do(lambda: self.session.comment(self.page.words.text().strip())):
            self._mark()
            self.page.words.hide()
            self.setFocus()

    def _do(self, act: Callable[[], None]) -> bool:
        """Have the session write something; says so where it can't."""
        try:
            act()
        except RatingNotSavedError as error:
            self._tell(error)
            return False
        return True

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Rate and do the rest by keys; a key that is held counts once."""
        if event is None or event.isAutoRepeat():
            return
        key = event.key()
        on_patch = self.pages.currentIndex() == 1
        if on_patch and self.page.words.isVisible():
            if key == Qt.Key.Key_Escape:
                self.page.words.hide()
                self.setFocus()
        elif not on_patch and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            (self.begin if self.pages.currentIndex() == 0 else self.finished.emit)()
        elif key == Qt.Key.Key_Backspace:
            self.go_back()
        elif on_patch:
            self._on_key(key)

    def _on_key(self, key: int) -> None:
        score = key - Qt.Key.Key_0
        if self.session.mode == "pair":
            score = _ARROWS.get(Qt.Key(key), score)
        if score in self.page.scores:
            self.rate(score)
        elif key == Qt.Key.Key_0:
            self.rate(None)
        elif key == Qt.Key.Key_F:
            self.set_flag(not self.session.trial.flagged)
        elif key == Qt.Key.Key_C:
            self.open_comment()
        elif key == Qt.Key.Key_Space:
            self.set_pause(not self.page.pause.isChecked())
        elif key == Qt.Key.Key_Tab:
            self.go_forward()

    def focusNextPrevChild(self, following: bool) -> bool:  # noqa: N802
        """Leave Tab to the keys above."""
        return self.pages.currentIndex() != 1 and super().focusNextPrevChild(following)

    def closeEvent(self, event: QCloseEvent | None) -> None:  # noqa: N802
        """Close the file; an unsaved rating is tried once more, and the window stays if it can't be saved."""
        if self.session.waiting:
            self.try_again()
            if self.session.waiting:
                existing(event).ignore()
                return
        self._retry.stop()
        self.session.close()
        super().closeEvent(event)
