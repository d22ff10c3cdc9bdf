"""Verbs about reviews: new, rate, status, report, export, import."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from cyclopts import App, Parameter

from napari_pathsrgan.cli import window
from napari_pathsrgan.cli.new_review import new
from napari_pathsrgan.cli.report import Json, columns, tell
from napari_pathsrgan.errors import OptionError

app = App(name="review", help="Let people rate pictures blind, and tell what their ratings say.")
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
    rows = [("Rater", "Rated", "Of")] + [(name, str(done), str(total)) for name, (done, total) in raters.items()]
    record = [{"rater": name, "rated": done, "of": total} for name, (done, total) in raters.items()]
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
        The raters' file; for ratings also a damaged one.
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


@app.command(name="import")
def import_copy(review: Path, /, *copies: Path, json: Json = False) -> None:
    """Bring the ratings of copies back into a review; what is there already is passed over.

    Parameters
    ----------
    review
        The raters' file.
    copies
        Copies of it that were rated.
    """
    from napari_pathsrgan.review.exchange import import_ratings

    if not copies:
        raise OptionError("There is no copy to import.", "Give the files that raters sent back.")
    record, lines = [], []
    for copy in copies:
        found = import_ratings(review, copy)
        record.append({"file": copy, "new": found.new, "further": found.further, "known": found.known})
        words = [("new", found.new), ("further ratings", found.further), ("known already", found.known)]
        said = [f"{word}: {', '.join(names)}" for word, names in words if names]
        lines.append(f"{copy.name}: {'; '.join(said) or 'nobody has rated in it'}")
    tell(record, lines, json)
