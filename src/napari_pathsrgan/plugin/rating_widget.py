"""A rater's window: the picture alone on grey, five buttons, and nothing that tells whose it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from napari_pathsrgan.errors import PathSRGANError, RatingNotSavedError
from napari_pathsrgan.plugin.notifications import MessageStrip
from napari_pathsrgan.plugin.patch_view import PatchView
from napari_pathsrgan.plugin.rating_pages import CHOICES, WORDS, FirstPage, LastPage

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
    "#rating QPushButton:hover {{ background: #f0f0f0; }} #rating QPushButton:disabled {{ color: #888888; }}"
    "#rating QPushButton:checked {{ background: white; border: 3px solid black; }}"
    "#rating #score {{ font-size: 14pt; }} #rating QLineEdit {{ background: white; color: black; padding: 4px; }}"
    "#pathsrganMessage {{ background: #303030; }}"
)
_ARROWS = {Qt.Key.Key_Left: 1, Qt.Key.Key_Down: 2, Qt.Key.Key_Right: 3}


class RatingWidget(QWidget):
    """Shows what a session has to rate, and tells it what is said.

    Parameters
    ----------
    session : Session
        Owned by the widget from now on: it closes with it.

    Attributes
    ----------
    shown : Signal(int)
        A picture appeared: its place in the rater's order; −1 for the last page.
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
        zoom, grey = int(facts["zoom"]), int(facts["grey"])
        self.setObjectName("rating")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet(_STYLE.format(grey=grey))
        self.setWindowTitle(facts["title"])
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.messages = MessageStrip()
        self.view = PatchView(
            int(facts["rows"]), int(facts["cols"]), 2 if self.session.mode == "pair" else 1, zoom, grey
        )
        anchors = [(score, self.session.picture(name)) for score, name in self.session.anchors]
        going_on = self.session.place != 0
        self.first = FirstPage(facts["title"], facts["question"], self.session.mode, anchors, zoom, going_on)
        self.first.begun.connect(self.begin)
        self.last = LastPage()
        self.last.back_asked.connect(self.go_back)
        self.last.closed.connect(self.finished)
        self.pages = QStackedWidget()
        for page in (self.first, self._build_rating(), self.last):
            self.pages.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.messages)
        layout.addWidget(self.pages, 1)
        self.first.begin.setFocus()

    def _build_rating(self) -> QWidget:
        page = QWidget()
        self.scores = {}
        scores = QHBoxLayout()
        scores.addStretch()
        for score, word in (WORDS if self.session.mode == "single" else CHOICES).items():
            button = _button(f"{score}\n{word}", f"Key {score}" if self.session.mode == "single" else "")
            button.setObjectName("score")
            button.setCheckable(True)
            button.setMinimumSize(124, 68)
            button.clicked.connect(lambda _=False, score=score: self.rate(score))
            scores.addWidget(button)
            self.scores[score] = button
        scores.addStretch()
        self.count = QLabel()
        self.count.setObjectName("words")
        self.back = _button("Back", "Back to the one before (⌫)")
        self.forward = _button("Forward", "To the first that isn't rated (Tab)")
        self.comment = _button("Comment", "Say something about it (C)")
        self.flag = _button("Flag", "Mark it as odd (F)")
        self.flag.setCheckable(True)
        self.unjudged = _button("Can't judge", "Go on without a rating (0)")
        self.unjudged.setCheckable(True)
        self.pause = _button("Pause", "Hide it and stop the clock (Space)")
        self.pause.setCheckable(True)
        for button, slot in (
            (self.back, self.go_back), (self.forward, self.go_forward), (self.comment, self.open_comment),
            (self.unjudged, lambda: self.rate(None)),
        ):  # fmt: skip
            button.clicked.connect(slot)
        self.flag.clicked.connect(self.set_flag)
        self.pause.clicked.connect(self.set_pause)
        below = QHBoxLayout()
        below.addWidget(self.count)
        below.addStretch()
        for button in (self.back, self.forward, self.comment, self.flag, self.unjudged, self.pause):
            below.addWidget(button)
        self.words = QLineEdit()
        self.words.setPlaceholderText("Your comment; Enter keeps it, Esc does not")
        self.words.setMaxLength(2000)
        room = self.words.sizePolicy()
        room.setRetainSizeWhenHidden(True)  # the picture stays where it is when the line opens
        self.words.setSizePolicy(room)
        self.words.returnPressed.connect(self.keep_comment)
        self.words.hide()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(16, 8, 16, 12)
        layout.addWidget(self.view, 1)
        layout.addLayout(scores)
        layout.addWidget(self.words)
        layout.addLayout(below)
        return page

    def begin(self) -> None:
        """Leave the first page."""
        self._show()

    def _show(self) -> None:
        """Show what the session is at, and start the clock."""
        progress = self.session.progress
        self.words.hide()
        self.setFocus()
        if self.session.place is None:
            self.last.thank(self.session.rater, progress.total)
            self.pages.setCurrentWidget(self.last)
            self.shown.emit(-1)
            return
        trial = self.session.trial
        place = f"{progress.number} of {progress.total}"
        self.count.setText(f"To warm up: {place}; does not count yet" if progress.warm_up else place)
        for score, button in self.scores.items():
            button.setChecked(trial.rated and score == trial.score)
        self.unjudged.setChecked(trial.rated and trial.score is None)
        self.flag.setChecked(trial.flagged)
        self.comment.setText("Comment ✓" if trial.comment else "Comment")
        self.back.setEnabled(trial.place > 0)
        self.forward.setVisible(trial.rated)
        self.pause.setChecked(False)
        self._show_pictures()
        self.pages.setCurrentIndex(1)
        self._spent_s, self._since = 0.0, time.monotonic()
        self.shown.emit(trial.place)

    def _show_pictures(self) -> None:
        try:
            self.view.show_pictures([self.session.picture(name) for name in self.session.trial.pictures])
        except ValueError:
            self.view.show_note("This picture is damaged.\nChoose “Can't judge” to go on, and tell the organiser.")
        except PathSRGANError as error:
            self.view.show_note(str(error))

    # ------------------------------------------------------------------ what a rater does

    @property
    def rating(self) -> bool:
        """Whether a picture can be rated now."""
        return self.pages.currentIndex() == 1 and not self.session.waiting and not self.pause.isChecked()

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
        """Leave buttons as the session has it: a click alone must not look like a rating."""
        if self.session.place is None:
            return
        trial = self.session.trial
        for score, button in self.scores.items():
            button.setChecked(trial.rated and score == trial.score)
        self.unjudged.setChecked(trial.rated and trial.score is None)

    def go_back(self) -> None:
        """Show the one before, to look again or to correct."""
        if not self.session.waiting and self.session.back():
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
        self.flag.setChecked(self.session.trial.flagged)

    def set_pause(self, paused: bool) -> None:
        """Hide the picture and stop the clock, or go on."""
        if self.session.waiting:
            self.pause.setChecked(False)
            return
        self._do(lambda: self.session.pause(paused))
        self.pause.setChecked(paused)
        self.pause.setText("Go on" if paused else "Pause")
        if paused:
            self._spent_s += 0.0 if self._since is None else time.monotonic() - self._since
            self._since = None
            self.view.show_note("Paused. Space goes on.")
        else:
            self._since = time.monotonic()
            self._show_pictures()

    def open_comment(self) -> None:
        """Open the line for a comment."""
        if self.rating:
            self.words.setText(self.session.trial.comment)
            self.words.show()
            self.words.setFocus()

    def keep_comment(self) -> None:
        """Keep what is in the line."""
        if self._do(lambda: self.session.comment(self.words.text().strip())):
            self.comment.setText("Comment ✓" if self.session.trial.comment else "Comment")
            self.words.hide()
            self.setFocus()

    def _do(self, act: Callable[[], None]) -> bool:
        """Have the session write something; says so where it can't."""
        try:
            act()
        except RatingNotSavedError as error:
            self._tell(error)
            return False
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Rate and do the rest by keys; a key that is held counts once."""
        if event.isAutoRepeat():
            return
        key = event.key()
        on_patch = self.pages.currentIndex() == 1
        if on_patch and self.words.isVisible():
            if key == Qt.Key.Key_Escape:
                self.words.hide()
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
            score = _ARROWS.get(key, score)
        if score in self.scores:
            self.rate(score)
        elif key == Qt.Key.Key_0:
            self.rate(None)
        elif key == Qt.Key.Key_F:
            self.set_flag(not self.session.trial.flagged)
        elif key == Qt.Key.Key_C:
            self.open_comment()
        elif key == Qt.Key.Key_Space:
            self.set_pause(not self.pause.isChecked())
        elif key == Qt.Key.Key_Tab:
            self.go_forward()

    def focusNextPrevChild(self, following: bool) -> bool:  # noqa: N802
        """Leave Tab to the keys above."""
        return self.pages.currentIndex() != 1 and super().focusNextPrevChild(following)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Let go of the file; an unsaved rating is tried once more, and the window stays if it can't be saved."""
        if self.session.waiting:
            self.try_again()
            if self.session.waiting:
                event.ignore()
                return
        self._retry.stop()
        self.session.close()
        super().closeEvent(event)


def _button(text: str, tip: str) -> QPushButton:
    """A button that leaves the keys to the window."""
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button
