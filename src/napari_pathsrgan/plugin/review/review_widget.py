"""The dock *Review*: rate one, make one, see how far raters are and what they found."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QInputDialog,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_pathsrgan.errors import PathSRGANError, RaterKnownError, ReviewFileError
from napari_pathsrgan.plugin.review.new_review_form import NewReviewForm
from napari_pathsrgan.plugin.review.rating_window import open_rating
from napari_pathsrgan.plugin.widgets.command_process import CommandProcess
from napari_pathsrgan.plugin.widgets.dock import DockWidget
from napari_pathsrgan.plugin.widgets.message_strip import MessageStrip
from napari_pathsrgan.plugin.widgets.narrow_layout import Scrolled, Section, follow_letters, narrow_form
from napari_pathsrgan.plugin.widgets.plain_text import plain_message_box, plain_tip
from napari_pathsrgan.plugin.widgets.qt_types import existing
from napari_pathsrgan.review.key import find_key
from napari_pathsrgan.review.raters import known_raters

if TYPE_CHECKING:
    import napari

    from napari_pathsrgan.plugin.review.rating_widget import RatingWidget

_REVIEWS = "Reviews (*.review);;All files (*)"
_RESCUED = "Reviews (*.review);;Tables of ratings (*.csv)"


class ReviewWidget(DockWidget):
    """For raters: a file, a pseudonym, a button. For the organiser: a design, the state of each rater, the report.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Images are rated in a window of their own, where no layers reveal the method.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.path: Path | None = None
        self.window_to_rate: RatingWidget | None = None
        self._made: Path | None = None
        self._page: Path | None = None
        self.process = CommandProcess(self)
        self.process.ended.connect(self._on_ended)
        self._build()
        self._show_path()

    def _build(self) -> None:
        self.setMinimumWidth(260)
        self.messages = MessageStrip()
        self.file = QPushButton("Choose a review …")
        self.file.clicked.connect(self._ask)
        self.rater = QLineEdit()
        self.rater.setPlaceholderText("a pseudonym, always the same")
        self.rater.returnPressed.connect(self.rate)
        self.rater.textChanged.connect(self._enable)
        self.begin = QPushButton("Rate")
        self.begin.clicked.connect(self.rate)
        form = narrow_form()
        form.addRow("Review", self.file)
        form.addRow("Your name", self.rater)
        form.addRow(self.begin)
        self.states = QTableWidget(0, 3)
        self.states.setHorizontalHeaderLabels(["Rater", "Rated", "Of"])
        self.states.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.states.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.states.itemSelectionChanged.connect(self._enable)
        self.states.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        existing(self.states.verticalHeader()).hide()
        header = existing(self.states.horizontalHeader())
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.states.setMinimumHeight(120)
        self.copy = _button(
            "Export copy …",
            "For a rater elsewhere: one file with the images and nobody's ratings",
        )
        self.copy.clicked.connect(self._ask_copy)
        self.bring = _button("Import ratings …", "Adds the ratings of a copy that was rated elsewhere")
        self.bring.clicked.connect(self._ask_bring)
        self.drop = _button(
            "Leave out a rater …", "The ratings of the rater selected above stay in the file but don't count"
        )
        self.drop.clicked.connect(self._ask_drop)
        self.rescue = _button("Rescue ratings …", "Saves what can be read of a damaged review file")
        self.rescue.clicked.connect(self._ask_rescue)
        self.report = _button("Report", "Scores, tests and agreement as a page, beside the review; needs your key")
        self.report.clicked.connect(self.make_report)
        organise = QWidget()
        lines = QVBoxLayout(organise)
        lines.setContentsMargins(0, 0, 0, 0)
        for part in (self.states, self.copy, self.bring, self.drop, self.rescue, self.report):
            lines.addWidget(part)
        follow_letters(self.rater, self.states, header)
        self.raters = Section("Raters and results")
        self.raters.addWidget(organise)
        self.form = NewReviewForm()
        self.form.asked.connect(lambda arguments: self._run(arguments, made=Path(arguments[2])))
        self.new = Section("New review")
        self.new.addWidget(self.form)
        body = QWidget()
        inside = QVBoxLayout(body)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addLayout(form)
        inside.addWidget(self.raters)
        inside.addWidget(self.new)
        inside.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.messages)
        layout.addWidget(Scrolled(body))

    def open(self, path: Path) -> None:
        """Take a review; says so in the dock where it can't."""
        try:
            known_raters(path)
        except PathSRGANError as error:
            self.messages.show_problem(error)
            return
        self.path = path
        self.messages.hide()
        self._show_path()

    def rate(self) -> None:
        """Open the rater's window; asks whether to continue where there are ratings under the name."""
        if self.path is None or not self.begin.isEnabled():
            return
        try:
            try:
                self._open_window(go_on=False)
            except RaterKnownError as error:
                if self._asks_to_go_on(error):
                    self._open_window(go_on=True)
        except PathSRGANError as error:
            self.messages.show_problem(error)

    def make_report(self) -> None:
        """Compute the report in a process of its own, and open it."""
        if self.path is None:
            return
        key: list[str] = []
        try:
            known = find_key(self.path)
        except PathSRGANError as error:
            self.messages.show_problem(error)
            return
        if known is None:
            chosen, _ = QFileDialog.getOpenFileName(self, "Your key to this review", "", "Keys (*.key.json)")
            if not chosen:
                return
            key = ["--key", chosen]
        folder = self.path.with_name(f"{self.path.stem}-report")
        for number in itertools.count(2):
            if not folder.exists():
                break
            folder = self.path.with_name(f"{self.path.stem}-report-{number}")
        self._run(["review", "report", str(self.path), "--out", str(folder), *key], page=folder / "report.html")

    def teardown(self, window_stays: bool) -> None:
        """Stop what runs; a rater's window stays open."""
        self.process.end()

    def _open_window(self, go_on: bool) -> None:
        self.window_to_rate = open_rating(existing(self.path), self.rater.text(), go_on)
        self.window_to_rate.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.window_to_rate.destroyed.connect(self._forget_window)
        self.begin.setEnabled(False)

    def _forget_window(self) -> None:
        self.window_to_rate = None
        self._show_path()

    def _asks_to_go_on(self, error: RaterKnownError) -> bool:
        box = plain_message_box(self, error.problem, "Was that you? Otherwise choose another name.")
        go_on = box.addButton("Continue there", QMessageBox.ButtonRole.AcceptRole)
        box.addButton("Another name", QMessageBox.ButtonRole.RejectRole)
        box.exec()
        return box.clickedButton() is go_on

    def _enable(self) -> None:
        """Enable what can be done now."""
        there, free = self.path is not None, not self.process.running
        self.begin.setEnabled(there and bool(self.rater.text().strip()) and self.window_to_rate is None)
        for button in (self.copy, self.bring, self.report):
            button.setEnabled(there and free)
        self.drop.setEnabled(there and free and self._selected_rater() is not None)
        self.rescue.setEnabled(free)

    def _selected_rater(self) -> str | None:
        rows = existing(self.states.selectionModel()).selectedRows()
        return existing(self.states.item(rows[0].row(), 0)).text() if rows else None

    def _show_path(self) -> None:
        """Show the review's name, and how far its raters are."""
        self._enable()
        if self.path is None:
            return
        self.file.setText(self.path.name)
        self.file.setToolTip(plain_tip(f"{self.path}\nClick to choose another"))
        try:
            states = known_raters(self.path)
        except PathSRGANError as error:
            self.messages.show_problem(error)
            return
        self.states.setRowCount(len(states))
        for row, (name, (done, total, dropped)) in enumerate(states.items()):
            for column, text in enumerate((name, str(done), str(total))):
                item = QTableWidgetItem(text)
                if dropped is not None:
                    item.setFlags(Qt.ItemFlag.NoItemFlags)
                    item.setToolTip(plain_tip(f"Left out of the results: {dropped}"))
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.states.setItem(row, column, item)

    def _run(self, arguments: list[str], made: Path | None = None, page: Path | None = None) -> None:
        """Run a command; then show the review that it made, or open the page that it wrote."""
        self._made, self._page = made, page
        self.messages.show_notice("Working …")
        self.form.set_busy(True)
        self.process.run(arguments)
        self._show_path()

    def _on_ended(self, well: bool, text: str) -> None:
        self.form.set_busy(False)
        if not well:
            self.messages.show_problem(ReviewFileError(text, ""))
        elif self._page is not None:
            self.messages.show_notice(f"Written: {self._page}")
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._page)))
        else:
            self.messages.show_notice(text)
            self.path = self._made or self.path
        self._show_path()

    def _ask(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Choose a review", "", _REVIEWS)
        if chosen:
            self.open(Path(chosen))

    def _ask_copy(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Where the copy goes", f"{existing(self.path).stem}-copy.review", _REVIEWS
        )
        if chosen:
            self._run(["review", "export", str(self.path), chosen])

    def _ask_bring(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, "Copies that were rated", "", _REVIEWS)
        if chosen:
            self._run(["review", "import", str(self.path), *chosen])

    def _ask_drop(self) -> None:
        rater = self._selected_rater()
        if rater is None:
            return
        question = plain_tip(f"Why {rater} is left out, for the report:")
        reason, agreed = QInputDialog.getText(self, "Leave out a rater", question)
        if agreed and reason.strip():
            self._run(["review", "drop", str(self.path), rater, f"--reason={reason}"])

    def _ask_rescue(self) -> None:
        damaged, _ = QFileDialog.getOpenFileName(self, "The damaged review", "", _REVIEWS)
        if not damaged:
            return
        suggested = str(Path(damaged).with_name(f"{Path(damaged).stem}-rescued.review"))
        chosen, _ = QFileDialog.getSaveFileName(self, "Where what can be read goes", suggested, _RESCUED)
        if chosen:
            sound = [] if self.path is None or self.path == Path(damaged) else ["--study", str(self.path)]
            self._run(["review", "rescue", damaged, chosen, *sound])


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
