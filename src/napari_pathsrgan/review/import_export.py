"""A review on other machines: a copy to rate there, and its ratings brought back."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from napari_pathsrgan.atomic_write import atomic_write, refuse_existing
from napari_pathsrgan.errors import OptionError, OutputError, ReviewFileError
from napari_pathsrgan.review import histories, store
from napari_pathsrgan.review.csv_file import write_csv
from napari_pathsrgan.review.events import REPLACED, Event, Outcome, Remark, own_events
from napari_pathsrgan.review.schema import name_key

COLUMNS = ("rater", "place", "trial", "first", "second", "warm_up", "score", "seconds", "at", "flagged", "comment")


@dataclass(frozen=True)
class Imported:
    """What a copy brought.

    Attributes
    ----------
    new : list of str
        Raters who were not there before.
    further : list of str
        Raters of whom there were fewer ratings before.
    known : list of str
        Raters all of whose ratings were there.
    kept : list of str
        Raters who rated otherwise in the copy, whose ratings here were to stay.
    replaced : list of str
        Raters whose ratings here were to be replaced by those of the copy.
    dropped : list of str
        Raters who are dropped in the copy and not here: their ratings count here.
    """

    new: list[str] = field(default_factory=list)
    further: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Resolution:
    """What to do about raters who rated otherwise in a copy, by name; others are refused.

    Attributes
    ----------
    take : collection of str
        The copy's ratings replace those here, which stay in the journal.
    keep : collection of str
        Ratings here stay, those of the copy are passed over.
    """

    take: Collection[str] = ()
    keep: Collection[str] = ()

    def __post_init__(self) -> None:
        if both := set(map(name_key, self.take)) & set(map(name_key, self.keep)):
            raise OptionError(f"“{min(both)}” can't be taken and kept.", "Say one of the two.")

    def takes(self, rater: str) -> bool:
        """Whether the copy's ratings count."""
        return name_key(rater) in map(name_key, self.take)

    def keeps(self, rater: str) -> bool:
        """Whether the ratings here count."""
        return name_key(rater) in map(name_key, self.keep)


def export_copy(path: Path, out: Path) -> None:
    """Write a review without anyone's ratings, for another rater on another machine.

    Raises
    ------
    OutputError
        If `out` exists or can't be written; nothing is left behind.
    ReviewFileError
        If the review can't be used.
    """
    refuse_existing(out)
    with closing(store.connect(path)) as db:
        store.check_images(db, path)
        try:
            with atomic_write(out) as partial:
                store.copy_study(db, partial)
        except sqlite3.Error as error:
            raise OutputError(f"The copy can't be written to {out} ({error}).", "Choose a place with room.") from error


def export_ratings(path: Path, out: Path) -> int:
    """Write the ratings as CSV; gives how many.

    Raises
    ------
    OutputError
        If `out` exists or can't be written.
    ReviewFileError
        If the review can't be used, or nothing is rated in it.
    """
    with closing(store.connect(path)) as db:
        rows = list(_csv_rows(db, path))
    if not rows:
        raise ReviewFileError(f"Nothing is rated in {path.name} yet.", "Let somebody rate: pathsrgan review rate.")
    write_ratings(out, rows)
    return len(rows)


def write_ratings(out: Path, rows: Sequence[Sequence[object]]) -> None:
    """Write rows of `COLUMNS` as CSV; OutputError if the file exists or can't be written."""
    with atomic_write(out) as partial:
        write_csv(partial, [COLUMNS, *rows])


def outcome_rows(
    rater: str, outcome: Outcome, order: Sequence[tuple[str, bool]], trials: dict[str, tuple[object, ...]]
) -> Iterator[tuple[object, ...]]:
    """What follows from a rater's events as rows of `COLUMNS`; empty where an order or a trial is not known."""
    for place, score in sorted(outcome.scores.items()):
        trial, swapped = order[place] if place < len(order) else ("", False)
        remark = outcome.remarks.get(place, Remark())
        value = "" if score.value is None else score.value
        first, second, practice = trials.get(trial, ("", "", ""))
        shown = (second, first) if swapped else (first, second)
        yield rater, place, trial, *shown, practice, value, score.seconds, score.at, int(remark.flagged), remark.comment


def trials_by_name(db: sqlite3.Connection) -> dict[str, tuple[object, ...]]:
    """Images and kind of each trial: first, second, and whether it is practice."""
    rows = db.execute("SELECT id, first, second, warm_up FROM trials")
    return {name: (first, second or "", warm_up) for name, first, second, warm_up in rows}


def _csv_rows(db: sqlite3.Connection, path: Path) -> Iterator[tuple[object, ...]]:
    trials = trials_by_name(db)
    for rater in histories.rater_names(db):
        history = histories.read_history(db, path, rater)
        yield from outcome_rows(rater, history.outcome, histories.trial_order(db, rater), trials)


def import_ratings(path: Path, copies: Sequence[Path], resolution: Resolution = Resolution()) -> list[Imported]:
    """Bring the ratings of copies into a review: all of them, or nothing.

    What raters did in a copy is taken event by event from its journal, each rater's apart. Nothing changes for those
    who did the same in both, and nothing of the copy but its raters' events is taken.

    Parameters
    ----------
    path : Path
        A review file.
    copies : sequence of Path
        Review files of the same review.
    resolution : Resolution
        For raters who rated otherwise in both.

    Returns
    -------
    list of Imported
        One for each copy.

    Raises
    ------
    ReviewFileError
        If a file can't be used, or shows anything else than this review; or if raters of the same name rated otherwise
        in both, and nothing says what to do then. Nothing is changed.
    OutputError
        If there is no room.
    """
    with ExitStack() as opened:
        target = opened.enter_context(closing(store.connect(path)))
        sources = [(copy, opened.enter_context(closing(store.connect(copy)))) for copy in copies]
        for copy, source in sources:
            _check_same(target, source, path, copy)
        try:
            target.execute("BEGIN IMMEDIATE")
            conflicts: list[str] = []
            found = [_import_copy(target, source, path, copy, resolution, conflicts) for copy, source in sources]
            if conflicts:
                raise _conflict(conflicts)
            target.execute("COMMIT")
        except sqlite3.Error as error:
            raise OutputError(
                f"The ratings can't be written to {path.name} ({error}); nothing was changed.",
                "Free some space, or wait for the other program that uses it, and try again.",
            ) from error
    return found  # what was not committed is taken back


def _check_same(target: sqlite3.Connection, source: sqlite3.Connection, path: Path, copy: Path) -> None:
    mine, theirs = store.facts(target), store.facts(source)
    if mine["study"] != theirs["study"]:
        raise ReviewFileError(
            f"{copy.name} belongs to another review than {path.name}.", "Give a copy made of this review."
        )
    if mine["content"] != theirs["content"]:
        raise ReviewFileError(
            f"{copy.name} shows other images or trials than {path.name}: one of them was changed.",
            "Give a copy made of this review.",
        )
    store.check_images(source, copy)


def _import_copy(
    target: sqlite3.Connection, source: sqlite3.Connection, path: Path, copy: Path, resolution: Resolution,
    conflicts: list[str],
) -> Imported:  # fmt: skip
    found = Imported()
    here = {name_key(name): name for name in histories.rater_names(target)}
    for name in histories.rater_names(source):
        theirs = histories.read_history(source, copy, name)
        rater = here.get(name_key(name), name)
        mine = histories.read_history(target, path, rater) if name_key(name) in here else None
        _import_rater(target, rater, mine, theirs, resolution, found)
        if rater not in {*found.new, *found.further, *found.known, *found.kept, *found.replaced}:
            conflicts.append(_difference(rater, copy, mine, theirs))
        if theirs.dropped is not None and (mine is None or mine.dropped is None):
            found.dropped.append(rater)
    return found


def _import_rater(
    target: sqlite3.Connection, rater: str, mine: histories.History | None, theirs: histories.History,
    resolution: Resolution, found: Imported,
) -> None:  # fmt: skip
    """Bring in one rater, and note where; a conflict that nothing resolves is noted nowhere."""
    known, coming = own_events(mine.events) if mine else [], own_events(theirs.events)
    if mine is None:
        histories.enrol(target, rater)
        histories.append_and_apply(target, rater, coming)
        found.new.append(rater)
    elif known[: len(coming)] == coming:
        found.known.append(rater)
    elif coming[: len(known)] == known:
        histories.append_and_apply(target, rater, coming[len(known) :])
        found.further.append(rater)
    elif resolution.keeps(rater):
        found.kept.append(rater)
    elif resolution.takes(rater):
        begin = Event(None, REPLACED, "", None, histories.now())
        histories.append_and_apply(target, rater, [begin, *coming])
        found.replaced.append(rater)


def _difference(rater: str, copy: Path, mine: histories.History | None, theirs: histories.History) -> str:
    here = mine.outcome.scores if mine else {}
    there = theirs.outcome.scores
    places = [place for place in sorted({*here, *there}) if here.get(place) != there.get(place)]
    return f"“{rater}” of {copy.name} has rated otherwise than “{rater}” here ({len(places)} of {len(here)} differ)"


def _conflict(conflicts: Sequence[str]) -> ReviewFileError:
    return ReviewFileError(
        f"{'; '.join(conflicts)}: two people, or one in two files. Nothing was changed.",
        "Choose for each: --keep RATER leaves the ratings here, --take RATER replaces them by the copy's.",
    )
