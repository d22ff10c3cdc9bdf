"""A command, run by a dock in a process of its own: the window stays free, and torch stays out."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QObject, QProcess, QProcessEnvironment, Signal

from napari_pathsrgan.child_processes import child_environment, python_command

_END_MS = 3000


class CommandProcess(QObject):
    """Runs one `pathsrgan` command at a time.

    Attributes
    ----------
    ended : Signal(bool, str)
        Whether it went well; what it printed, or the sentence that says what is wrong.
    """

    ended = Signal(bool, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process = QProcess(self)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)

    @property
    def running(self) -> bool:
        """Whether a command is at work."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def run(self, arguments: Sequence[str]) -> None:
        """Start a command; nothing happens while another runs."""
        if not self.running:
            environment = QProcessEnvironment()
            for name, value in child_environment().items():
                environment.insert(name, value)
            self._process.setProcessEnvironment(environment)
            program, *options = python_command("-m", "napari_pathsrgan", *arguments)
            self._process.start(program, options)

    def end(self) -> None:
        """Stop the command that runs, and wait for it; `ended` is not sent."""
        if self.running:
            self._process.blockSignals(True)
            self._process.terminate()
            if not self._process.waitForFinished(_END_MS):
                self._process.kill()
                self._process.waitForFinished(_END_MS)
            self._process.blockSignals(False)

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        said = self._process.readAllStandardOutput().data().decode(errors="replace").strip()
        wrong = self._process.readAllStandardError().data().decode(errors="replace").strip()
        well = status == QProcess.ExitStatus.NormalExit and code == 0
        self.ended.emit(well, said if well else wrong.rpartition("\n")[2] or "The process was ended from outside.")

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.ended.emit(False, "Python can't be started for this.")
