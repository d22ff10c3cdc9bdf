"""What can be read of a damaged review file, written to a new one."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from napari_pathsrgan.atomic_write import atomic_write, refuse_existing
from napari_pathsrgan.errors import OutputError, PathSRGANError, ReviewFileError
from napari_pathsrgan.review import histories, store
from napari_pathsrgan.review.events import replay
from napari_pathsrgan.review.import_export import outcome_rows, trials_by_name, write_ratings
from napari_pathsrgan.review.pages import readable_rows
from napari_pathsrgan.review.salvage import RaterRows, readable_raters
from napari_pathsrgan.review.schema import MAX_ROWS


@dataclass(frozen=True)
class Rescued:
    """What was rescued: for each rater, how many ratings."""

    ratings: dict[str, int]


def rescue(path: Path, out: Path, study: Path | None = None) -> Rescued:
    """Write what can be read of a review file's ratings to a new file; the damaged one stays as it is.

    Parameters
    ----------
    path : Path
        A review file, however damaged.
    out : Path
        A review file to go on with, or to import; or the ratings as a table, where its name ends in .csv.
    study : Path, optional
        A sound copy of the same review, from which images and trials are taken where `path` has lost them.

    Raises
    ------
    ReviewFileError
        If no ratings can be read, or images and trials are lost and there is no sound copy.
    OutputError
        If `out` exists or can't be written.
    """
    refuse_existing(out)
    if not path.is_file():
        raise ReviewFileError(f"There is no file {path}.", "Check the path.")
    raters = readable_raters(path)
    if not raters:
        raise ReviewFileError(f"No ratings can be read from {path.name}.", "Check that it is the right file.")
    if out.suffix.lower() == ".csv":
        return _rescue_table(raters, out, study)
    if study is not None:
        _check_study(path, study)
    return _rescue_review(path, raters, out, study)


def _check_study(path: Path, study: Path) -> None:
    """Refuse a copy of another review, if the damaged file still says which it is of."""
    own = {row.values[1] for row in readable_rows(path) if len(row.values) == 2 and row.values[0] == "content"}
    with closing(store.connect(study)) as db:
        if own and store.facts(db)["content"] not in own:
            raise ReviewFileError(f"{study.name} is a copy of another review.", "Give a sound copy of the same review.")


def _rescue_table(raters: list[RaterRows], out: Path, study: Path | None) -> Rescued:
    rows: list[tuple[object, ...]] = []
    with closing(sqlite3.connect(":memory:") if study is None else store.connect(study)) as db:
        trials = {} if study is None else trials_by_name(db)
        mode = "single" if study is None else store.facts(db)["mode"]
        for rater in raters:
            order: list[tuple[str, bool]] = [] if study is None else histories.trial_order(db, rater.name)
            outcome = replay(rater.events(mode), MAX_ROWS, mode)
            rows += outcome_rows(rater.name, outcome, order, trials)
    write_ratings(out, rows)
    return Rescued({rater.name: sum(row[0] == rater.name for row in rows) for rater in raters})


def _rescue_review(path: Path, raters: list[RaterRows], out: Path, study: Path | None) -> Rescued:
    try:
        with atomic_write(out) as partial:
            _copy_study(study or path, partial, study is None)
            with closing(store.connect(partial)) as db:
                store.check_images(db, partial)
                mode = store.facts(db)["mode"]
                db.execute("BEGIN IMMEDIATE")
                found = {rater.name: _rescue_rater(db, rater, mode) for rater in raters}
                db.execute("COMMIT")
    except sqlite3.Error as error:
        raise OutputError(f"{out} can't be written ({error}).", "Choose a place with room.") from error
    return Rescued(found)


def _rescue_rater(db: sqlite3.Connection, rater: RaterRows, mode: str) -> int:
    histories.enrol(db, rater.name)
    places = store.number(db, "SELECT count(*) FROM places WHERE rater = ?", rater.name)
    events = rater.events(mode, places)
    histories.append_and_apply(db, rater.name, events)
    return len(replay(events, places, mode).scores)


def _copy_study(source: Path, partial: Path, own: bool) -> None:
    """Write images and trials of a sound copy, or those of the damaged file itself where they are whole."""
    try:
        with closing(store.open_study(source)) as db:
            store.copy_study(db, partial)
    except (PathSRGANError, sqlite3.Error, UnicodeDecodeError) as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if own:
            raise ReviewFileError(
                f"The images of {source.name} are damaged too.",
                "Name a sound copy of the same review with --study, or save the ratings alone: to a name in .csv.",
            ) from error
        raise
