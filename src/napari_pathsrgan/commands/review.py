"""Commands about reviews: status, report, export, import, drop, rescue; see also `review_new`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from napari_pathsrgan.commands.command import POSITIONAL, Command, CommandGroup, Options, PathTo
from napari_pathsrgan.commands.output import columns, print_result
from napari_pathsrgan.errors import OptionError

if TYPE_CHECKING:
    from napari_pathsrgan.review.import_export import Imported

GROUP = CommandGroup("review", "Let people rate images blind, and report what their ratings say.")

ReviewFile = Annotated[Path, POSITIONAL, PathTo("file", "Reviews (*.review)")]
_OneEach = Parameter(consume_multiple=False)


class StatusOptions(Options):
    """Which review.

    Attributes
    ----------
    review : Path
        The raters' file.
    """

    review: ReviewFile


def status(options: StatusOptions, as_json: bool) -> None:
    """Tell how far each rater is."""
    from napari_pathsrgan.review.raters import known_raters

    raters = known_raters(options.review)
    rows = [("Rater", "Rated", "Of", "")]
    rows += [
        (name, str(done), str(total), "" if dropped is None else f"dropped: {dropped}")
        for name, (done, total, dropped) in raters.items()
    ]
    record = [
        {"rater": name, "rated": done, "of": total, "dropped": dropped}
        for name, (done, total, dropped) in raters.items()
    ]
    print_result(record, columns(rows) if raters else ["Nobody has begun."], as_json)


class ReportOptions(StatusOptions):
    """Whose images they were, and where the report goes.

    Attributes
    ----------
    review : Path
        The raters' file, with their ratings in it.
    key : Path, optional
        The organiser's key; otherwise the one in your private folder of keys.
    out : Path, optional
        Folder to make for report.html, report.json, methods.csv and ratings.csv.
    finished_only : bool
        Leave out raters who have not rated everything.
    """

    key: Annotated[Path | None, PathTo("file")] = None
    out: Annotated[Path | None, PathTo("new")] = None
    finished_only: bool = False


def report(options: ReportOptions, as_json: bool) -> None:
    """Report what the ratings say: scores with intervals, tests between methods, agreement of the raters."""
    from napari_pathsrgan.errors import OutputError, ReviewFileError
    from napari_pathsrgan.review.key import find_key, keys_folder, read_key
    from napari_pathsrgan.review.report import tables, write_report
    from napari_pathsrgan.review.results import compute_results
    from napari_pathsrgan.review.scores import read_scores

    if options.out is not None and options.out.exists():
        raise OutputError(f"{options.out} exists already.", "Choose another folder with --out, or remove it.")
    key = options.key or find_key(options.review)
    if key is None:
        raise ReviewFileError(
            f"The organiser's key to {options.review.name} is not in {keys_folder()}.",
            "Give its path with --key; without it nobody knows which image is whose.",
        )
    scores = read_scores(options.review, read_key(key), options.finished_only)
    results = compute_results(scores)
    for note in results.notes:
        print(note, file=sys.stderr)
    lines: list[str] = []
    for title, rows in tables(results):
        lines += ([""] if lines else []) + [title, *columns(rows)]
    written = [] if options.out is None else write_report(options.out, results, scores)
    if written:
        lines += ["", *map(str, written)]
    print_result(results.record() | {"written": written}, lines, as_json)


class ExportOptions(StatusOptions):
    """What is written.

    Attributes
    ----------
    out : Path
        What to write; must not exist.
    """

    out: Annotated[Path, POSITIONAL, PathTo("new")]


def export(options: ExportOptions, as_json: bool) -> None:
    """Write a copy without ratings for a rater elsewhere; or, to a name ending in .csv, the ratings."""
    from napari_pathsrgan.review.import_export import export_copy, export_ratings

    review, out = options.review, options.out
    if out.suffix.lower() == ".csv":
        count = export_ratings(review, out)
        print_result({"ratings": count, "out": out}, [f"{count} ratings in {out}"], as_json)
        return
    export_copy(review, out)
    print_result({"out": out}, [f"Written: {out}"], as_json)


class ImportOptions(StatusOptions):
    """What is imported, and what happens to raters who rated otherwise in a copy than in the review.

    Attributes
    ----------
    copies : tuple of Path
        Copies of it that were rated.
    take : tuple of str
        Raters whose ratings in the copy replace those in the review.
    keep : tuple of str
        Raters whose ratings in the review stay.
    """

    copies: Annotated[tuple[Path, ...], POSITIONAL, PathTo("file")] = ()
    take: Annotated[tuple[str, ...], _OneEach] = ()
    keep: Annotated[tuple[str, ...], _OneEach] = ()


def import_copies(options: ImportOptions, as_json: bool) -> None:
    """Bring the ratings of copies back into a review, all of them or nothing; what is there already stays as it is."""
    from napari_pathsrgan.review.import_export import Resolution, import_ratings

    if not options.copies:
        raise OptionError("There is no copy to import.", "Give the files that raters sent back.")
    found = import_ratings(options.review, options.copies, Resolution(options.take, options.keep))
    record = [{"file": copy, **asdict(one)} for copy, one in zip(options.copies, found, strict=True)]
    print_result(
        record, [f"{copy.name}: {_summary(one)}" for copy, one in zip(options.copies, found, strict=True)], as_json
    )


def _summary(found: Imported) -> str:
    groups = [
        ("new", found.new), ("further ratings", found.further), ("known already", found.known),
        ("replaced", found.replaced), ("kept", found.kept), ("dropped in the copy, counted here", found.dropped),
    ]  # fmt: skip
    return "; ".join(f"{title}: {', '.join(names)}" for title, names in groups if names) or "nobody has rated in it"


class DropOptions(StatusOptions):
    """Who is left out, and why.

    Attributes
    ----------
    rater : str
        Whom to leave out.
    reason : str
        Why, in a line.
    """

    rater: Annotated[str, POSITIONAL]
    reason: str


def drop(options: DropOptions, as_json: bool) -> None:
    """Leave a rater out of the results; their ratings stay in the file, and the reason in the report."""
    from napari_pathsrgan.review.raters import drop_rater

    name = drop_rater(options.review, options.rater, options.reason)
    print_result(
        {"rater": name, "dropped": options.reason}, [f"{name} is left out of the results: {options.reason}"], as_json
    )


class RescueOptions(StatusOptions):
    """What is rescued.

    Attributes
    ----------
    review : Path
        The damaged file; it stays as it is.
    out : Path
        A review file to write, to go on with or to import; or, with a name ending in .csv, a table of the ratings.
    study : Path, optional
        A sound copy of the same review, for images and trials that are damaged as well.
    """

    out: Annotated[Path, POSITIONAL, PathTo("new")]
    study: Annotated[Path | None, PathTo("file")] = None


def rescue(options: RescueOptions, as_json: bool) -> None:
    """Save what can be read of a damaged review file's ratings."""
    from napari_pathsrgan.review.rescue import rescue as save

    ratings = save(options.review, options.out, options.study).ratings
    lines = [f"{name}: {count} rating{'' if count == 1 else 's'}" for name, count in ratings.items()]
    print_result({"ratings": ratings, "out": options.out}, [*lines, f"Written: {options.out}"], as_json)


STATUS = Command(name="review status", options=StatusOptions, run=status)
REPORT = Command(name="review report", options=ReportOptions, run=report, extra="review")
EXPORT = Command(name="review export", options=ExportOptions, run=export)
IMPORT = Command(name="review import", options=ImportOptions, run=import_copies)
DROP = Command(name="review drop", options=DropOptions, run=drop)
RESCUE = Command(name="review rescue", options=RescueOptions, run=rescue)
