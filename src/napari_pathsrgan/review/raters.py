"""Who rates in a review."""

from __future__ import annotations

from pathlib import Path

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.review import store


def checked_name(rater: str) -> str:
    """A rater's name without spaces around it; OptionError if nothing, or more than a line, is left."""
    name = " ".join(rater.split())
    if not name or len(name) > 60:
        raise OptionError(f"“{name[:20]}” is no name for a rater.", "Give a pseudonym, such as A or reader-1.")
    return name


def known_raters(path: Path) -> dict[str, tuple[int, int]]:
    """Who rates in a review: name, to how many are done and how many there are, warm-up included.

    Raises
    ------
    ReviewFileError
        If the file can't be used; see `store.connect`.
    """
    db = store.connect(path)
    try:
        with store.told_damage(path):
            rows = db.execute(
                "SELECT name, (SELECT count(*) FROM ratings WHERE rater = name),"
                " (SELECT count(*) FROM places WHERE rater = name) FROM raters ORDER BY name"
            )
            return {str(name): (int(done), int(total)) for name, done, total in rows}
    finally:
        db.close()
