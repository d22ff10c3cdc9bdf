"""Gains of models by scanner on disk: a table for people, scores for programs, a chart."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_pathsrgan.atomic_write import atomic_write
from napari_pathsrgan.errors import OptionError

if TYPE_CHECKING:
    from napari_pathsrgan.evaluation.scanners import ScannerScore, ScannerSummary

_HEADS = ("Scanner", "Model", "Fields", "20× gain, dB", "Worst field, dB", "10× gain, dB", "Perceptual, × bicubic")
_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #ddd}"
    "th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}img{max-width:100%}"
)


def table(summaries: Sequence[ScannerSummary]) -> list[list[str]]:
    """Lay summaries out as rows of text, the heads first."""
    rows = [list(_HEADS)]
    for one in summaries:
        ratio = "–" if one.perceptual is None else f"{one.perceptual:.3f}"
        gains = [f"{gain:+.2f}" for gain in (one.gain_20x, one.worst_20x, one.gain_10x)]
        rows.append([one.scanner, one.model, str(one.fields), *gains, ratio])
    return rows


def write_report(
    folder: Path, about: Mapping[str, Any], scores: Sequence[ScannerScore], summaries: Sequence[ScannerSummary]
) -> list[Path]:
    """Write ``scores.json``, ``chart.png`` and ``report.html`` into a new folder, all or nothing.

    Raises
    ------
    OptionError
        If matplotlib is not installed.
    OutputError
        If the folder exists or cannot be written.
    """
    with atomic_write(folder) as partial:
        partial.mkdir(parents=True)
        record = {"about": dict(about), "summaries": [asdict(one) for one in summaries]}
        record["scores"] = [asdict(one) for one in scores]
        (partial / "scores.json").write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
        _chart(partial / "chart.png", summaries)
        heads, *rows = table(summaries)
        lines = [_row("th", heads), *(_row("td", row) for row in rows)]
        page = (
            f"<!doctype html><meta charset=utf-8><title>Gain by scanner</title><style>{_STYLE}</style>"
            f"<h1>Gain over bicubic enlargement, by scanner</h1><p>{html.escape(str(dict(about)))}</p>"
            f"<img src=chart.png alt='Gain at 20× by scanner'><table>{''.join(lines)}</table>"
        )
        (partial / "report.html").write_text(page, encoding="utf-8")
    return [folder / name for name in ("report.html", "chart.png", "scores.json")]


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _chart(path: Path, summaries: Sequence[ScannerSummary]) -> None:
    """Draw the mean gain at 20×, a group of bars for each scanner and a bar for each model."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise OptionError(
            "The chart needs matplotlib.", "Install it: pip install 'napari-pathsrgan[review]'."
        ) from error
    kinds = list(dict.fromkeys(one.scanner for one in summaries))
    models = list(dict.fromkeys(one.model for one in summaries))
    figure = Figure(figsize=(8, 1 + 0.2 * len(kinds) * (len(models) + 1)), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(models)
    for number, model in enumerate(models):
        own = {one.scanner: one.gain_20x for one in summaries if one.model == model}
        places = [at + (number - (len(models) - 1) / 2) * width for at in range(len(kinds))]
        axes.barh(places, [own[kind] for kind in kinds], height=width, label=model)
    axes.set_yticks(range(len(kinds)), kinds)
    axes.invert_yaxis()
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_xlabel("PSNR over bicubic enlargement at 20×, dB")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)
