"""Who rates in a review, and who no longer counts."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.review import histories, store
from napari_pathsrgan.review.events import DROPPED, MAX_COMMENT, Event
from napari_pathsrgan.review.schema import name_key


class RaterProgress(NamedTuple):
    """How far a rater is, practice included; and why they were dropped, if they were."""

    done: int
    total: int
    dropped: str | None = None


def checked_name(rater: str) -> str:
    """A rater's name without spaces around it; OptionError if nothing, or more than a line, is left."""
    name = " ".join(rater.split())
    if not name or len(name) > 60 or not name.isprintable():
        shown = "".join(one for one in name[:20] if one.isprintable())
        raise OptionError(f"“{shown}” is no name for a rater.", "Give a pseudonym, such as A or reader-1.")
    return name


def known_raters(path: Path) -> dict[str, RaterProgress]:
    """How far everybody is who rates in a review, by name.

    Raises
    ------
    ReviewFileError
        If the file can't be used; see `store.connect`.
    """
    db = store.connect(path)
    try:
        with store.explain_damage(path):
            rows = db.execute(
                "SELECT name, (SELECT count(*) FROM ratings WHERE rater = name),"
                " (SELECT count(*) FROM places WHERE rater = name) FROM raters ORDER BY name"
            ).fetchall()
            return {
                str(name): RaterProgress(int(done), int(total), histories.dropped_reason(db, name))
                for name, done, total in rows
            }
    finally:
        db.close()


def drop_rater(path: Path, rater: str, reason: str) -> str:
    """Leave a rater out of the results; what they did stays in the file.

    Parameters
    ----------
    path : Path
        The review file; this rater's ratings may be damaged.
    rater, reason : str
        The reason stays in the report.

    Returns
    -------
    str
        The rater's name as it is written in the file.

    Raises
    ------
    OptionError
        If nobody of this name has rated, they were dropped before, or there is no reason.
    """
    reason = " ".join(reason.split())
    if not 0 < len(reason) <= MAX_COMMENT or not reason.isprintable():
        raise OptionError("There is no reason.", "Say why in a line, with --reason; it stays in the report.")
    db = store.connect(path)
    try:
        with store.written(db, path, "That a rater is dropped"):
            name = _present(histories.rater_names(db), rater, path)
            if (before := histories.dropped_reason(db, name)) is not None:
                raise OptionError(f"“{name}” was dropped before ({before}).", "There is nothing to do.")
            histories.append(db, name, [Event(None, DROPPED, reason, None, histories.now())])
            db.execute("UPDATE raters SET held_by = ? WHERE name = ?", (histories.new_hold(), name))
            return name
    finally:
        db.close()


def _present(names: list[str], rater: str, path: Path) -> str:
    for name in names:
        if name_key(name) == name_key(rater.strip()):
            return name
    raise OptionError(
        f"“{rater}” has not rated in {path.name}.", f"Choose among {', '.join(names)}." if names else "Nobody has."
    )
