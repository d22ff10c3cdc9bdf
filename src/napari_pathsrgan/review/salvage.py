"""Ratings as far as they can be read from a damaged review file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from napari_pathsrgan.errors import ReviewFileError
from napari_pathsrgan.review import pages
from napari_pathsrgan.review.events import (
    ORGANISER_ACTS,
    RATER_ACTS,
    Event,
    InvalidEventError,
    Remark,
    Score,
    check_event,
    replay,
)
from napari_pathsrgan.review.schema import MAX_ROWS, name_key

RESCUE = "Save its ratings with `pathsrgan review rescue FILE OUT`, and go on with a copy from the organiser."
_NAME_CHARACTERS = 60


@dataclass
class RaterRows:
    """What can be read of one rater, as it lies in the tables.

    Attributes
    ----------
    name : str
    journal : dict of int to Event
        By number.
    ratings : dict of int to Score
        By place.
    remarks : dict of int to Remark
    """

    name: str
    journal: dict[int, Event] = field(default_factory=dict)
    ratings: dict[int, Score] = field(default_factory=dict)
    remarks: dict[int, Remark] = field(default_factory=dict)

    def events(self, mode: str, places: int = MAX_ROWS) -> list[Event]:
        """What the rater did: the journal, and ratings of which only the outcome is left."""
        found = [event for _, event in sorted(self.journal.items()) if _is_valid(event, places, mode)]
        known = replay(found, places, mode)
        lost = [_rated(place, score) for place, score in sorted(self.ratings.items()) if place not in known.scores]
        found += [event for event in lost if _is_valid(event, places, mode)]
        if found and not any(event.act == "began" for event in found):
            found.insert(0, Event(None, "began", "", None, min(event.at for event in found)))
        for place, remark in sorted(self.remarks.items()):
            if found and place not in known.remarks and place < places:
                found += _remark_events(place, remark, found[-1].at)
        return found

    def scores(self, mode: str) -> dict[int, Score]:
        """Ratings by place."""
        return replay(self.events(mode), MAX_ROWS, mode).scores


def readable_raters(path: Path) -> list[RaterRows]:
    """Raters of whom anything can be read, sorted by name.

    Parameters
    ----------
    path : Path
        A review file, however damaged; it is read page by page, and never as a database.
    """
    found: dict[str, RaterRows] = {}
    for row in pages.readable_rows(path):
        _take(row, found)
    return [one for _, one in sorted(found.items()) if one.journal or one.ratings]


def describe_readable(path: Path) -> str:
    """Say in a sentence how many ratings can be rescued from a file."""
    counts = [len(one.scores("single")) for one in readable_raters(path)]
    ratings, raters = sum(counts), sum(count > 0 for count in counts)
    if not ratings:
        return "No ratings can be read from it."
    return f"{ratings} rating{'s' if ratings > 1 else ''} by {raters} rater{'s' if raters > 1 else ''} can be read."


def damaged(path: Path, problem: str) -> ReviewFileError:
    """The error about a file of which ratings may be rescued; `problem` follows the file's name."""
    return ReviewFileError(f"{path.name} {problem}. {describe_readable(path)}", RESCUE)


def _take(row: pages.Row, found: dict[str, RaterRows]) -> None:
    """Sort a row to its rater, if it's a rater's; which table it is of follows from its values."""
    match row.values:
        case (None, str(name), int() | None as place, str(act), str(value), int() | float() | None as seconds, str(at)):
            if act in RATER_ACTS | ORGANISER_ACTS and _is_name(name):
                of = None if seconds is None else float(seconds)
                _rater(name, found).journal[row.number] = Event(place, act, value, of, at)
        case (str(name), int(place), int() | None as score, int() | float() as seconds, str(at)):
            if _is_name(name):
                _keep_score(_rater(name, found), place, Score(score, float(seconds), at))
        case (str(name), int(place), 0 | 1 as flagged, str(comment)):
            if _is_name(name):
                _rater(name, found).remarks[place] = Remark(bool(flagged), comment)


def _keep_score(rater: RaterRows, place: int, score: Score) -> None:
    """Of two ratings at one place, one is on a page that is no longer used: the later one counts."""
    before = rater.ratings.get(place)
    if before is None or score.at > before.at:
        rater.ratings[place] = score


def _rater(name: str, found: dict[str, RaterRows]) -> RaterRows:
    return found.setdefault(name_key(name), RaterRows(name))


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _NAME_CHARACTERS and name.isprintable()


def _is_valid(event: Event, places: int, mode: str) -> bool:
    try:
        check_event(event, places, mode)
    except InvalidEventError:
        return False
    return True


def _rated(place: int, score: Score) -> Event:
    return Event(place, "rated", "" if score.value is None else str(score.value), score.seconds, score.at)


def _remark_events(place: int, remark: Remark, at: str) -> list[Event]:
    said = [Event(place, "flagged", "", None, at)] if remark.flagged else []
    return [*said, Event(place, "commented", remark.comment, None, at)] if remark.comment else said
