"""What can go wrong, said so that a pathologist knows what to do next.

Every exception here carries two sentences: the problem and its remedy. The command line prints them and exits with
code 2; the window shows them as a notification. Nothing else is meant to reach a user.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_pathsrgan.text import printable

_CHOICES_NAMED = 10


class PathSRGANError(Exception):
    """A failure with its remedy.

    Parameters
    ----------
    problem : str
        One sentence: what is wrong, with the name of the file or the value at fault.
    remedy : str
        One sentence: what to do about it.

    Both are shown in terminals and windows, and may quote files and their names: see `text.printable`.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = printable(problem)
        self.remedy = printable(remedy)
        super().__init__(self.problem, self.remedy)

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"


class SlideNotFoundError(PathSRGANError):
    """There is no file at the path."""


class SlideUnreadableError(PathSRGANError):
    """The file is no slide, or is damaged."""


class SlideGoneError(SlideUnreadableError):
    """The file went away while it was open.

    Parameters
    ----------
    path : Path
        Where it was.
    """

    def __init__(self, path: Path) -> None:
        problem = f"{path.name} went away while it was open."
        super().__init__(problem, "Bring the file or its drive back and open it again.")
        self.path = path

    def __reduce__(self) -> tuple[type[SlideGoneError], tuple[Path]]:
        """Travel from another process."""
        return type(self), (self.path,)


class SlideChangedError(SlideUnreadableError):
    """The file was written to, or another took its place, since it was opened.

    Parameters
    ----------
    path : Path
        Where it is.
    """

    def __init__(self, path: Path) -> None:
        problem = f"{path.name} was changed or replaced by another file since it was opened."
        super().__init__(problem, "Open it again.")
        self.path = path

    def __reduce__(self) -> tuple[type[SlideChangedError], tuple[Path]]:
        """Travel from another process."""
        return type(self), (self.path,)


class SeveralSlidesError(PathSRGANError):
    """A folder holds several slides, and none of them may be chosen silently.

    Parameters
    ----------
    folder : Path
    choices : sequence of Path
        A file of each slide; opening it opens that slide.
    """

    def __init__(self, folder: Path, choices: Sequence[Path]) -> None:
        named = [path.relative_to(folder).as_posix() for path in choices[:_CHOICES_NAMED]]
        more = f" and {len(choices) - len(named)} more" if len(choices) > len(named) else ""
        problem = f"{folder.name} holds {len(choices)} slides: {', '.join(named)}{more}."
        super().__init__(problem, f"Give one of these files instead of the folder, such as {choices[0]}.")
        self.folder, self.choices = folder, tuple(choices)

    def __reduce__(self) -> tuple[type[SeveralSlidesError], tuple[Path, tuple[Path, ...]]]:
        """Travel from another process."""
        return type(self), (self.folder, self.choices)


class MissingMppError(PathSRGANError):
    """The slide does not say how wide its pixels are, and nobody told."""


class SlideTooCoarseError(PathSRGANError):
    """The slide's pixels are coarser than the model's input grid can make sense of."""


class ComputedSlideError(PathSRGANError):
    """A computed image, or a map that belongs to one, stands where a scan is needed."""


class CardMismatchError(PathSRGANError):
    """A model's card does not fit its network or the slide."""


class CheckpointError(PathSRGANError):
    """The file holds no weights that can be loaded safely into the network asked for."""


class OutputError(PathSRGANError):
    """The place to write to exists already, is read-only or is full."""


class StoreMismatchError(PathSRGANError):
    """A pyramid store belongs to another slide, another model or another version."""


class WorkerError(PathSRGANError):
    """The inference process could not be started or keeps dying."""


class DeviceError(PathSRGANError):
    """The device or precision asked for is not there."""


class OptionError(PathSRGANError):
    """An option has a value that makes no sense."""


class TrainingError(PathSRGANError):
    """A training can't go on."""


class ScreenError(PathSRGANError):
    """There is neither a screen nor a virtual one to open a window on."""


class DifferentSlidesError(PathSRGANError):
    """Two scans don't show the same slide, or nothing that tells it."""


class ReviewFileError(PathSRGANError):
    """A review's file is none, is damaged, lacks pictures or is of another version."""


class RaterKnownError(PathSRGANError):
    """A review holds ratings under this name already, and nobody said that they go on."""


class RatingNotSavedError(PathSRGANError):
    """A rating is not on disk: there is no room, or another program holds the file."""


class MissingPartError(PathSRGANError):
    """A library is not installed that only some commands need."""


class JobError(PathSRGANError):
    """There is no such job, or what is asked of it can't be done in its state."""


class LayerTooLargeError(PathSRGANError):
    """More pixels of a layer were asked for at once than can be computed while the window waits."""


class DamagedJobError(JobError):
    """A job's record can't be read, or is of another version."""
