"""The list of jobs: state by icon and word, what is done, how far it is, how long it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, QRect, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPainter, QPalette
from qtpy.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from napari_pathsrgan.jobs.listing import describe_progress
from napari_pathsrgan.jobs.record import State
from napari_pathsrgan.plugin.widgets.plain_text import plain_tip
from napari_pathsrgan.plugin.widgets.qt_types import existing

if TYPE_CHECKING:
    from napari_pathsrgan.jobs.listing import Job

MARKS = {
    State.QUEUED: ("○", "#999999"),
    State.RUNNING: ("●", "#56b4e9"),
    State.STOPPING: ("◐", "#56b4e9"),
    State.STOPPED: ("■", "#999999"),
    State.INTERRUPTED: ("▲", "#e69f00"),
    State.FAILED: ("✕", "#d55e00"),
    State.DONE: ("✓", "#009e73"),
    State.DAMAGED: ("⊘", "#999999"),
}
"""Icon and colour of each state; the word stands beside them."""

_DARKER = 160
"""On a light ground, to be seen as well: in per cent, as `QColor.darker` has it."""

_JOB = Qt.ItemDataRole.UserRole
_GAP, _BAR = 6, 4


def mark_colour(state: State, palette: QPalette) -> QColor:
    """Colour of a state's icon on the ground there is, dark or light."""
    colour = QColor(MARKS[state][1])
    return colour if palette.window().color().lightness() < 128 else colour.darker(_DARKER)


class JobsModel(QAbstractListModel):
    """The jobs as Qt's views want them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.jobs: list[Job] = []

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802
        """Count the jobs."""
        return 0 if parent is not None and parent.isValid() else len(self.jobs)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Give a job, or a description for those who can't see the row."""
        if not index.isValid() or index.row() >= len(self.jobs):
            return None
        job = self.jobs[index.row()]
        if role == _JOB:
            return job
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return f"{job.record.title}: {job.state}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip("\n".join(filter(None, (job.record.title, job.state, describe_progress(job)))))
        return None

    def show(self, jobs: list[Job]) -> None:
        """Show these; rows that stay are not touched."""
        if [job.id for job in jobs] != [job.id for job in self.jobs]:
            self.beginResetModel()
            self.jobs = jobs
            self.endResetModel()
            return
        before, self.jobs = self.jobs, jobs
        for row, (old, new) in enumerate(zip(before, jobs, strict=True)):
            if old != new:
                self.dataChanged.emit(self.index(row), self.index(row))


class _JobPainter(QStyledItemDelegate):
    """Paints a job in two lines and, while it runs, a bar."""

    def sizeHint(self, option: QStyleOptionViewItem, _index: QModelIndex) -> QSize:  # noqa: N802
        """Take the width there is, and the height of two lines."""
        return QSize(80, 2 * QFontMetrics(option.font).height() + 2 * _GAP + _BAR + 4)

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw icon, title and state above what it does."""
        assert painter is not None
        job: Job = index.data(_JOB)
        icon = MARKS[job.state][0]
        palette, metrics = option.palette, QFontMetrics(option.font)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if chosen:
            painter.fillRect(option.rect, palette.highlight())
        text = palette.windowText().color()
        inner = option.rect.adjusted(_GAP, _GAP, -_GAP, -_GAP)
        indent = metrics.horizontalAdvance("●  ")
        line = QRect(inner.left(), inner.top(), inner.width(), metrics.height())
        painter.setFont(option.font)
        painter.setPen(text if chosen else mark_colour(job.state, palette))
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft, icon)
        bold = QFont(option.font)
        bold.setBold(True)
        painter.setFont(bold)
        painter.setPen(text)
        title = line.adjusted(indent, 0, 0, 0)
        painter.drawText(
            title,
            Qt.AlignmentFlag.AlignLeft,
            QFontMetrics(bold).elidedText(job.record.title, Qt.TextElideMode.ElideMiddle, title.width()),
        )
        painter.setFont(option.font)
        below = title.translated(0, metrics.height() + 2)
        state = " · ".join(filter(None, (str(job.state), describe_progress(job))))
        painter.drawText(
            below,
            Qt.AlignmentFlag.AlignLeft,
            metrics.elidedText(state, Qt.TextElideMode.ElideRight, below.width()),
        )
        if job.state.active and job.progress is not None and job.state is not State.QUEUED:
            _draw_bar(painter, QRectF(below.left(), below.bottom() + 3, below.width(), _BAR), job.progress.share)
        painter.restore()


def _draw_bar(painter: QPainter, whole: QRectF, share: float) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    for colour, part in ((QColor(128, 128, 128, 90), 1.0), (QColor(60, 157, 208), share)):
        painter.setBrush(colour)
        painter.drawRoundedRect(QRectF(whole.x(), whole.y(), whole.width() * part, whole.height()), 2, 2)


class JobListView(QListView):
    """The jobs, the newest first, one of which is chosen.

    Attributes
    ----------
    chosen : Signal(str)
        Name of the job; empty where none is.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs = JobsModel(self)
        self.setModel(self._jobs)
        self.setItemDelegate(_JobPainter(self))
        self.setUniformItemSizes(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setMinimumHeight(80)
        self.setAccessibleName("Jobs")
        self._chosen = ""
        existing(self.selectionModel()).currentChanged.connect(self._on_current)

    @property
    def jobs(self) -> list[Job]:
        """All jobs shown."""
        return self._jobs.jobs

    @property
    def current(self) -> Job | None:
        """The job that is chosen."""
        return next((job for job in self.jobs if job.id == self._chosen), None)

    def show_jobs(self, jobs: list[Job]) -> None:
        """Show these; the one chosen stays chosen, and where there is none it is the newest."""
        self._jobs.show(jobs)
        if self.current is None:
            self._chosen = jobs[0].id if jobs else ""
            self.chosen.emit(self._chosen)
        self._mark()

    def choose(self, job_id: str) -> None:
        """Choose a job."""
        self._chosen = job_id
        self._mark()
        self.chosen.emit(job_id)

    def _mark(self) -> None:
        row = next((row for row, job in enumerate(self.jobs) if job.id == self._chosen), -1)
        if row >= 0 and self.currentIndex().row() != row:
            self.setCurrentIndex(self._jobs.index(row))

    def _on_current(self, index: QModelIndex, _before: QModelIndex) -> None:
        job: Job | None = index.data(_JOB) if index.isValid() else None
        if job is not None and job.id != self._chosen:
            self._chosen = job.id
            self.chosen.emit(job.id)
