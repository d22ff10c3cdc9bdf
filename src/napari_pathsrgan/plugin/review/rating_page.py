"""The page an image is rated on: the image alone on grey, large buttons for the scores, small ones for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_pathsrgan.plugin.review.image_view import PatchView
from napari_pathsrgan.plugin.widgets.plain_text import PlainLabel

if TYPE_CHECKING:
    from napari_pathsrgan.review.trial import Progress, Trial

WORDS = {1: "Bad", 2: "Poor", 3: "Fair", 4: "Good", 5: "Excellent"}
CHOICES = {1: "Left", 2: "No difference", 3: "Right"}
_CHOICE_KEYS = {1: "← or 1", 2: "↓ or 2", 3: "→ or 3"}


class RatingPage(QWidget):
    """Shows what there is to rate, and what was said of it; does nothing by itself.

    Parameters
    ----------
    facts : mapping of str to str
        The review's; see `review.session.Session`.
    mode : {"single", "pair"}

    Attributes
    ----------
    view : PatchView
    scores : dict of int to QPushButton
    back, forward, comment, flag, unjudged, pause : QPushButton
    words : QLineEdit
        Where a comment is written.
    """

    def __init__(self, facts: Mapping[str, str], mode: str) -> None:
        super().__init__()
        rows, cols, zoom, grey = (int(facts[name]) for name in ("rows", "cols", "zoom", "grey"))
        self.view = PatchView(rows, cols, 2 if mode == "pair" else 1, zoom, grey)
        self.scores: dict[int, QPushButton] = {}
        self._begun = False
        scores = QHBoxLayout()
        scores.addStretch()
        for score, word in (WORDS if mode == "single" else CHOICES).items():
            button = _button(f"{score}\n{word}", f"Key {score if mode == 'single' else _CHOICE_KEYS[score]}")
            button.setObjectName("score")
            button.setCheckable(True)
            button.setMinimumSize(124, 68)
            scores.addWidget(button)
            self.scores[score] = button
        scores.addStretch()
        self.words = QLineEdit()
        self.words.setPlaceholderText("Your comment; Enter keeps it, Esc does not")
        self.words.setMaxLength(2000)
        room = self.words.sizePolicy()
        room.setRetainSizeWhenHidden(True)  # the image stays where it is when the line opens
        self.words.setSizePolicy(room)
        self.words.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 8, 16, 12)
        layout.addWidget(self.view, 1)
        layout.addLayout(scores)
        layout.addWidget(self.words)
        layout.addLayout(self._build_below())

    def _build_below(self) -> QHBoxLayout:
        self.count = PlainLabel()
        self.count.setObjectName("words")
        self.back = _button("Back", "Back to the one before (⌫)")
        self.forward = _button("Forward", "To the first that isn't rated (Tab)")
        self.comment = _button("Comment", "Say something about it (C)")
        self.flag = _button("Flag", "Mark it as odd (F)")
        self.unjudged = _button("Can't judge", "Continue without a rating (0)")
        self.pause = _button("Pause", "Hide it and stop the clock (Space)")
        below = QHBoxLayout()
        below.addWidget(self.count)
        below.addStretch()
        for button in (self.back, self.forward, self.comment, self.flag, self.unjudged, self.pause):
            button.setFixedHeight(2 * self.fontMetrics().height() + 2)  # a ✓ is taller, and would move the image
            below.addWidget(button)
        for button in (self.flag, self.unjudged, self.pause):
            button.setCheckable(True)
        return below

    def show_trial(self, trial: Trial, progress: Progress) -> None:
        """Show how far it is, and what was said of it before; the images come by `view`."""
        place = f"{progress.number} of {progress.total}"
        self.count.setText(f"Practice (not counted): {place}" if progress.warm_up else place)
        self.mark(trial)
        self._begun = trial.place > 0
        self.forward.setVisible(trial.rated)
        self.show_paused(False)
        self.words.hide()

    def mark(self, trial: Trial) -> None:
        """Leave buttons as the session has it: a click alone must not look like a rating."""
        for score, button in self.scores.items():
            button.setChecked(trial.rated and score == trial.score)
        self.unjudged.setChecked(trial.rated and trial.score is None)
        self.flag.setChecked(trial.flagged)
        self.comment.setText("Comment ✓" if trial.comment else "Comment")

    def show_paused(self, paused: bool) -> None:
        """Show that nothing can be rated, or can again."""
        self.pause.setChecked(paused)
        self.pause.setText("Resume" if paused else "Pause")
        for button in (*self.scores.values(), self.forward, self.comment, self.flag, self.unjudged):
            button.setEnabled(not paused)
        self.back.setEnabled(self._begun and not paused)
        if paused:
            self.view.show_note("Paused. Space resumes.")


def _button(text: str, tip: str) -> QPushButton:
    """A button that leaves the keys to the window."""
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button
