"""A review's results on disk: a page for people, tables and figures for programs."""

from __future__ import annotations

import html
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

from napari_pathsrgan.atomic_write import atomic_write
from napari_pathsrgan.review.csv_file import write_csv
from napari_pathsrgan.review.plots import plot_distribution, plot_means, plot_preferences
from napari_pathsrgan.review.statistics import SCALE

if TYPE_CHECKING:
    from napari_pathsrgan.review.results import Results
    from napari_pathsrgan.review.scores import RaterState, Scores

Rows = list[list[str]]

PAPER_MOS = {"bicubic": 1.05, "real": 4.42}
"""Ma et al. 2020, Table III, of the two methods that every study shares."""

_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1000px;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:.25rem .8rem;text-align:right}th:first-child,td:first-child{text-align:left}"
    "tr{border-bottom:1px solid #ddd}svg{max-width:100%;height:auto}small{color:#666}"
    ".plots{display:flex;flex-wrap:wrap;gap:1rem 2rem}figure{margin:0}"
    ".note{border-left:3px solid #d55e00;padding-left:.6rem}"
    "@media(max-width:600px){body{margin:1rem auto;padding:0 .5rem}table{display:block;overflow-x:auto;font-size:11px}"
    "th,td{padding:.2rem .25rem;hyphens:auto}th:first-child,td:first-child{overflow-wrap:anywhere}"
    ".plots,figure{display:block}}"
)


def table_iii(results: Results) -> Rows:
    """Lay results out as the paper's Table III: a column for each method; PSNR, SSIM and MOS below each other."""
    methods = [one.method for one in results.opinions] or [one.method for one in results.preferences]
    rows = [["", *methods]]
    for name, title, digits in (("psnr", "PSNR, dB", 2), ("ssim", "SSIM", 3)):
        if results.measures:
            rows.append([title, *(_figure(results.measures.get(m, {}).get(name), digits) for m in methods)])
    if results.opinions:
        rows.append(["MOS", *(_figure(one.mean, 2) for one in results.opinions)])
        rows.append(["95 %", *(_interval(one.low, one.high) for one in results.opinions)])
        rows.append(["paper's MOS", *(_figure(PAPER_MOS.get(method), 2) for method in methods)])
    else:
        rows.append(["preference", *(_figure(one.ability, 2) for one in results.preferences)])
        rows.append(["95 %", *(_interval(one.low, one.high) for one in results.preferences)])
    return rows


def tables(results: Results) -> list[tuple[str, Rows]]:
    """Lay everything out as titled tables of text, heads first."""
    found = [("Methods", table_iii(results))]
    if results.opinions:
        rows = [["", *map(str, SCALE), "can't judge", "ratings", "mean, rater's scale", "median time, s"]]
        rows += [
            [one.method, *map(str, one.counts), str(one.unjudged), str(one.ratings), _figure(one.mean_z, 2),
             _figure(one.median_s, 1)]
            for one in results.opinions
        ]  # fmt: skip
        found.append(("Ratings", rows))
        rows = [["", "difference", "95 %", "degrees of freedom", "p", "p, corrected"]]
        rows += [
            [f"{one.first} – {one.second}", _figure(one.difference, 2, "+"), _interval(one.low, one.high),
             _figure(one.degrees_of_freedom, 1), _p(one.p), _p(one.p_holm)]
            for one in results.comparisons
        ]  # fmt: skip
        found.append(("Methods against each other", rows))
    else:
        rows = [["", "chosen", "of"]]
        rows += [[one.method, f"{one.won:g}", f"{one.compared:g}"] for one in results.preferences]
        found.append(("Choices", rows))
    found.append(("Agreement between raters", _agreement(results)))
    if results.consistency:
        rows = [["", "repeats", "same", "at most 1 apart", "mean distance", "κ, weighted"]]
        rows += [
            [
                one.rater,
                str(one.repeats),
                f"{one.same * 100:.0f} %",
                f"{one.within_one * 100:.0f} %",
                f"{one.mean_apart:.2f}",
                _figure(one.kappa, 2),
            ]
            for one in results.consistency
        ]
        found.append(("Each rater's repeats", rows))
    rows = [["", "rated", "of", ""]]
    rows += [[one.name, str(one.done), str(one.total), _state(one)] for one in results.raters]
    found.append(("Raters", rows))
    return found


def _state(rater: RaterState) -> str:
    if rater.dropped is not None:
        return f"dropped: {rater.dropped}"
    return "" if rater.finished else "unfinished"


def _agreement(results: Results) -> Rows:
    rows = [["", "value", "95 %", "images", "raters"]]
    for method, icc in results.iccs.items():
        for name, one in (("ICC(2,1)", icc.single), ("ICC(2,k)", icc.average)):
            counts = [str(icc.targets), str(icc.raters)]
            title = f"{name}, {method or 'all methods'}"
            rows.append([title, _figure(one.value, 3), _interval(one.low, one.high), *counts])
    rows += [
        [f"Krippendorff's α, {level}", _figure(one.value, 3), _interval(one.low, one.high), "", ""]
        for level, one in results.alphas.items()
    ]
    return rows


def write_report(folder: Path, results: Results, scores: Scores) -> list[Path]:
    """Write report.html, report.json, methods.csv and ratings.csv into a new folder; all of them or nothing.

    Parameters
    ----------
    folder : Path
        Must not exist.
    results, scores
        What was computed, and of what.

    Returns
    -------
    list of Path

    Raises
    ------
    OutputError
        If the folder exists or can't be written.
    MissingPartError
        If matplotlib isn't installed.
    """
    page, record = _page(results), json.dumps(results.record(), indent=1, ensure_ascii=False, allow_nan=False)
    names = ("report.html", "report.json", "methods.csv", "ratings.csv")
    with atomic_write(folder) as growing:
        growing.mkdir(parents=True)
        (growing / names[0]).write_text(page, encoding="utf-8")
        (growing / names[1]).write_text(record, encoding="utf-8")
        write_csv(growing / names[2], _method_rows(results))
        write_csv(growing / names[3], _rating_rows(scores))
    return [folder / name for name in names]


def _method_rows(results: Results) -> Rows:
    """Lay methods out for programs: a row each, a number in each column, empty where there is none."""
    if results.opinions:
        heads = ["mos", "mos_low", "mos_high", "paper_mos", "mean_z", *(f"rated_{score}" for score in SCALE)]
        heads += ["ratings", "cannot_judge", "median_seconds"]
        values: dict[str, list[float | None]] = {
            one.method: [one.mean, one.low, one.high, PAPER_MOS.get(one.method), one.mean_z, *one.counts, one.ratings,
                         one.unjudged, one.median_s]
            for one in results.opinions
        }  # fmt: skip
    else:
        heads = ["preference", "preference_low", "preference_high", "chosen", "compared"]
        values = {one.method: [one.ability, one.low, one.high, one.won, one.compared] for one in results.preferences}
    rows = [["method", "psnr_db", "ssim", *heads]]
    for method, numbers in values.items():
        measures = results.measures.get(method, {})
        rows.append([method, *map(_number, (measures.get("psnr"), measures.get("ssim"), *numbers))])
    return rows


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"


def _rating_rows(scores: Scores) -> Rows:
    heads = ["rater", "place", "patch", "class", "method", "second method", "score", "seconds", "repeat", "flagged"]
    rows = [[*heads, "comment"]]
    for one in scores.ratings:
        methods = [*one.methods, ""][:2]
        score = "" if one.score is None else str(one.score)
        rows.append(
            [one.rater, str(one.place), one.patch, one.label, *methods, score, f"{one.seconds:.3f}",
             str(int(one.repeat)), str(int(one.flagged)), one.comment]
        )  # fmt: skip
    return rows


def _page(results: Results) -> str:
    plots = (
        [("Mean opinion scores", plot_means(results.opinions)), ("Ratings given", plot_distribution(results.opinions))]
        if results.opinions
        else [("What was preferred", plot_preferences(results.preferences))]
    )
    title = html.escape(results.title)
    notes = "".join(f'<p class="note">{html.escape(note)}</p>\n' for note in results.notes)
    drawn = "".join(f"<figure><h2>{html.escape(name)}</h2>\n{image}</figure>\n" for name, image in plots)
    shown = "".join(f"<h2>{html.escape(name)}</h2>\n{_html_table(rows)}\n" for name, rows in tables(results))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>
<style>{_STYLE}</style></head><body>
<h1>{title}</h1>
<p>Computed images, not for diagnosis.</p>
{notes}<div class="plots">{drawn}</div>{shown}
<p><small>{_legend(results)}</small></p>
</body></html>
"""


def _legend(results: Results) -> str:
    if results.mode == "pair":
        return (
            "Preference: log odds against an average method (Bradley &amp; Terry 1952); 95 %: bootstrap over raters and"
            " fields; “no difference” is half a choice for each. α: 1 is agreement, 0 is chance."
        )
    return (
        "MOS: mean of first ratings, each slide (or field, if slides are not known) and rater with the same weight."
        " 95 %: for other raters and other slides; of means by a generalised confidence interval (Weerahandi 1993), of"
        " differences by t. p: t test with random raters and slides, the error from the interactions of method with"
        " both (Dorfman, Berbaum &amp; Metz 1992), degrees of freedom by Hillis 2007; corrected for the number of"
        " comparisons (Holm). ICC(2,1), ICC(2,k): agreement of one rater and of the raters' mean (Shrout &amp; Fleiss"
        " 1979), over the images that the given number of raters all rated. α and κ: 1 is agreement, 0 is chance; α's"
        " interval is a bootstrap over fields. Rater's scale: in standard deviations of that rater's own ratings."
        " PSNR and SSIM against the real images. The paper's MOS is of other slides and other raters."
    )


def _html_table(rows: Rows) -> str:
    heads, *lines = rows
    top = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    body = "".join(f"<tr>{''.join(f'<td>{_typeset(cell)}</td>' for cell in line)}</tr>\n" for line in lines)
    return f"<table><tr>{top}</tr>\n{body}</table>"


def _typeset(cell: str) -> str:
    """Write a cell of a table with minus signs for what programs are told by hyphens."""
    return re.sub(r"(^| )-(?=[0-9])", "\\1−", html.escape(cell))


def _figure(value: float | None, digits: int, sign: str = "") -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:{sign}.{digits}f}"


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{_figure(low, 2)} to {_figure(high, 2)}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
