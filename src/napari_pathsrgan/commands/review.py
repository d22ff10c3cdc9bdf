"""Commands about reviews: new, rate, status, report, export, import, drop, rescue."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from napari_pathsrgan.commands import window
from napari_pathsrgan.commands.new_review import new
from napari_pathsrgan.commands.report import Json, columns, tell
from napari_pathsrgan.errors import OptionError

if TYPE_CHECKING:
    from napari_pathsrgan.review.exchange import Imported

app = App(name="review", help="Let people rate pictures blind, and report what their ratings say.")
app.command(new)
app.command(window.rate)


@Parameter(name="*")
@dataclass(frozen=True)
class ReportOptions:
    """Whose pictures they were, and where the report goes.

    Parameters
    ----------
    key : Path, optional
        The organiser's key; otherwise the one in your private folder of keys.
    out : Path, optional
        Folder to make for report.html, report.json, methods.csv and ratings.csv.
    finished_only : bool
        Leave out raters who have not rated everything.
    """

    key: Path | None = None
    out: Path | None = None
    finished_only: bool = False


_USUAL = ReportOptions()


@app.command
def status(review: Path, /, *, json: Json = False) -> None:
    """Tell how far each rater is.

    Parameters
    ----------
    review
        The raters' file.
    """
    from napari_pathsrgan.review.raters import known_raters

    raters = known_raters(review)
    rows = [("Rater", "Rated", "Of", "")]
    rows += [
        (name, str(done), str(total), "" if dropped is None else f"dropped: {dropped}")
        for name, (done, total, dropped) in raters.items()
    ]
    record = [
        {"rater": name, "rated": done, "of": total, "dropped": dropped}
        for name, (done, total, dropped) in raters.items()
    ]
    tell(record, columns(rows) if raters else ["Nobody has begun."], json)


@app.command
def report(review: Path, /, *, options: ReportOptions = _USUAL, json: Json = False) -> None:
    """Tell what the ratings say: scores with intervals, tests between methods, agreement of the raters.

    Parameters
    ----------
    review
        The raters' file, with their ratings in it.
    """
    from napari_pathsrgan.errors import OutputError, ReviewFileError
    from napari_pathsrgan.review.key import find_key, keys_folder, read_key
    from napari_pathsrgan.review.report import tables, write_report
    from napari_pathsrgan.review.results import compute_results
    from napari_pathsrgan.review.scores import read_scores

    if options.out is not None and options.out.exists():
        raise OutputError(f"{options.out} exists already.", "Choose another folder with --out, or remove it.")
    key = options.key or find_key(review)
    if key is None:
        raise ReviewFileError(
            f"The organiser's key to {review.name} is not in {keys_folder()}.",
            "Give its path with --key; without it nobody knows which image is whose.",
        )
    scores = read_scores(review, read_key(key), options.finished_only)
    results = compute_results(scores)
    for note in results.notes:
        print(note, file=sys.stderr)
    lines: list[str] = []
    for title, rows in tables(results):
        lines += ([""] if lines else []) + [title, *columns(rows)]
    written = [] if options.out is None else write_report(options.out, results, scores)
    if written:
        lines += ["", *map(str, written)]
    tell(results.record() | {"written": written}, lines, json)


@app.command
def export(review: Path, out: Path, /, *, json: Json = False) -> None:
    """Write a copy without ratings for a rater elsewhere; or, to a name ending in .csv, the ratings.

    Parameters
    ----------
    review
        The raters' file.
    out
        What to write; must not exist.
    """
    from napari_pathsrgan.review.exchange import export_copy, export_ratings

    if out.suffix.lower() == ".csv":
        count = export_ratings(review, out)
        tell({"ratings": count, "out": out}, [f"{count} ratings in {out}"], json)
        return
    export_copy(review, out)
    tell({"out": out}, [f"Written: {out}"], json)


@Parameter(name="*")
@dataclass(frozen=True)
class ImportOptions:
    """What to do about raters who rated otherwise in a copy than in the review.

    Parameters
    ----------
    take : tuple of str
        Raters whose ratings in the copy replace those in the review.
    keep : tuple of str
        Raters whose ratings in the review stay.
    """

    take: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    keep: Annotated[tuple[str, ...], Parameter(negative=())] = ()


_REFUSE = ImportOptions()


@app.command(name="import")
def import_copies(review: Path, /, *copies: Path, options: ImportOptions = _REFUSE, json: Json = False) -> None:
    """Bring the ratings of copies back into a review, all of them or nothing; what is there already stays as it is.

    Parameters
    ----------
    review
        The raters' file.
    copies
        Copies of it that were rated.
    """
    from napari_pathsrgan.review.exchange import Resolution, import_ratings

    if not copies:
        raise OptionError("There is no copy to import.", "Give the files that raters sent back.")
    found = import_ratings(review, copies, Resolution(options.take, options.keep))
    record = [{"file": copy, **asdict(one)} for copy, one in zip(copies, found, strict=True)]
    tell(record, [f"{copy.name}: {_summary(one)}" for copy, one in zip(copies, found, strict=True)], json)


def _summary(found: Imported) -> str:
    groups = [
        ("new", found.new), ("further ratings", found.further), ("known already", found.known),
        ("replaced", found.replaced), ("kept", found.kept), ("dropped in the copy, counted here", found.dropped),
    ]  # fmt: skip
    return "; ".join(f"{title}: {', '.join(names)}" for title, names in groups if names) or "nobody has rated in it"


@app.command
def drop(review: Path, rater: str, /, *, reason: str, json: Json = False) -> None:
    """Leave a rater out of the results; their ratings stay in the file, and the reason in the report.

    Parameters
    ----------
    review
        The raters' file.
    rater
        Whom to leave out.
    reason
        Why, in a line.
    """
    from napari_pathsrgan.review.raters import drop_rater

    name = drop_rater(review, rater, reason)
    tell({"rater": name, "dropped": reason}, [f"{name} is left out of the results: {reason}"], json)


@app.command
def rescue(review: Path, out: Path, /, *, study: Path | None = None, json: Json = False) -> None:
    """Save what can be read of a damaged review file's ratings.

    Parameters
    ----------
    review
        The damaged file; it stays as it is.
    out
        A review file to write, to go on with or to import; or, with a name ending in .csv, a table of the ratings.
    study
        A sound copy of the same review, for images and trials that are damaged as well.
    """
    from napari_pathsrgan.review.rescue import rescue as save

    ratings = save(review, out, study).ratings
    lines = [f"{name}: {count} rating{'' if count == 1 else 's'}" for name, count in ratings.items()]
    tell({"ratings": ratings, "out": out}, [*lines, f"Written: {out}"], json)
