"""An evaluation on disk: a table for people, scores for programs, and patches to look at."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from napari_pathsrgan.atomic_write import atomic_write
from napari_pathsrgan.evaluation.on_pairs import BICUBIC, METRICS, PatchScore, Summary
from napari_pathsrgan.slides.resample import enlarge

if TYPE_CHECKING:
    from napari_pathsrgan.evaluation.metrics import PatchModel
    from napari_pathsrgan.registration.pairs import PairsFile
    from napari_pathsrgan.types import Pixels

TITLES = {
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "ssim_paper": "SSIM 7×7",
    "psnr_shifted": "PSNR ±1 px, dB",
    "perceptual": "Perceptual",
    "spectrum_error": "Spectrum error, dB",
    "consistency": "Consistency, dB",
}
COLUMNS = ("4× scan", "Bicubic 20×", "SR-10× computed", "10× scan", "SR-20× computed", "20× scan")

_CROP_LR_PX = 64
_GAP_PX, _HEAD_PX, _SIDE_PX = 6, 30, 96
_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1700px;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .8rem;text-align:right}"
    "th:nth-child(-n+3),td:nth-child(-n+3){text-align:left}tr{border-bottom:1px solid #ddd}img{max-width:100%}"
    "small{color:#666}"
)


def cell(summary: Summary, name: str) -> str:
    """Write one mean with its interval, or a dash."""
    if name not in summary.means:
        return "–"
    digits = 3 if name.startswith(("ssim", "perceptual")) else 2
    text = f"{summary.means[name]:.{digits}f}"
    if name in summary.intervals:
        low, high = summary.intervals[name]
        text += f" ({low:.{digits}f}–{high:.{digits}f})"
    return text


def table(summaries: Sequence[Summary]) -> list[list[str]]:
    """Lay summaries out as rows of text, the heads first."""
    rows = [["Slide", "View", "Picture", "Patches", *TITLES.values()]]
    for one in summaries:
        view = one.view.replace("x", "×")
        rows.append(
            [
                one.slide or one.scanner or "all",
                view,
                one.method,
                str(one.patches),
                *(cell(one, name) for name in METRICS),
            ]
        )
    return rows


def contact_sheet(model: PatchModel, pairs: PairsFile, rows: Sequence[int]) -> Pixels:
    """Put patches one below the other: 4×, bicubic, SR-10×, real 10×, SR-20×, real 20×, all at the 20× scan's size.

    Parameters
    ----------
    model : PatchModel
    pairs : PairsFile
    rows : sequence of int
        N rows of the pairs file.

    Returns
    -------
    (N · 262 + 30, 1686, 3) uint8
        The 75 µm of each patch with the most structure. Pixels coarser than those of 20× are shown as squares.
    """
    side = 4 * _CROP_LR_PX
    width = _SIDE_PX + len(COLUMNS) * (side + _GAP_PX)
    sheet = Image.new("RGB", (width, _HEAD_PX + len(rows) * (side + _GAP_PX)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for column, title in enumerate(COLUMNS):
        draw.text(
            (_SIDE_PX + column * (side + _GAP_PX), 6), title.replace("×", "x"), "black", font
        )  # the font has none
    slides = pairs.table["slide"]
    for line, row in enumerate(rows):
        lr, mr, hr = pairs[row]
        computed_mr, computed_hr = model.apply(lr)
        busiest = _busiest(lr)
        top = _HEAD_PX + line * (side + _GAP_PX)
        draw.text((4, top), f"{str(slides[row])[:11]}\nrow {row}", "black", font)
        for column, picture in enumerate((lr, enlarge(lr, 4), computed_mr, mr, computed_hr, hr)):
            crop = Image.fromarray(_cropped(picture, busiest, picture.shape[0] // lr.shape[0]))
            shown = crop.resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(shown, (_SIDE_PX + column * (side + _GAP_PX), top))
    return np.asarray(sheet, np.uint8)


def _busiest(lr: Pixels) -> tuple[int, int]:
    """Where in a 4× patch the crop with the most structure begins, row and column."""
    grey = cv2.cvtColor(lr, cv2.COLOR_RGB2GRAY).astype(np.float32)
    size = (_CROP_LR_PX, _CROP_LR_PX)
    first = slice(_CROP_LR_PX // 2, grey.shape[0] - _CROP_LR_PX // 2 + 1)
    spread = (cv2.sqrBoxFilter(grey, -1, size) - cv2.blur(grey, size) ** 2)[first, first]
    row, col = np.unravel_index(int(spread.argmax()), spread.shape)
    return int(row), int(col)


def _cropped(picture: Pixels, corner_lr: tuple[int, int], scale: int) -> Pixels:
    (top, left), side = (scale * part for part in corner_lr), scale * _CROP_LR_PX
    return np.ascontiguousarray(picture[top : top + side, left : left + side])


def write_report(
    folder: Path,
    about: dict[str, Any],
    scores: Sequence[PatchScore],
    summaries: Sequence[Summary],
    sheet: Pixels,
) -> list[Path]:
    """Write scores.json, report.html and contact_sheet.png into a new folder; all of them or nothing.

    Parameters
    ----------
    folder : Path
        Must not exist.
    about : dict
        What was evaluated on what, in plain values.
    scores, summaries
        See `on_pairs`.
    sheet : (H, W, 3) uint8

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    OutputError
        If the folder exists or can't be written.
    """
    names = ("report.html", "contact_sheet.png", "scores.json")
    record = {
        "about": about,
        "summaries": [asdict(one) for one in summaries],
        "patches": [asdict(one) for one in scores],
    }
    with atomic_write(folder) as growing:
        growing.mkdir(parents=True)
        (growing / names[0]).write_text(_page(about, summaries), encoding="utf-8")
        Image.fromarray(sheet).save(growing / names[1])
        (growing / names[2]).write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
    return [folder / name for name in names]


def _page(about: dict[str, Any], summaries: Sequence[Summary]) -> str:
    heads, *rows = table(summaries)
    lines = "".join(f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in row)}</tr>\n" for row in rows)
    facts = "".join(f"<li>{html.escape(name)}: {html.escape(str(value))}</li>" for name, value in about.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>PathSRGAN: {html.escape(str(about.get("model", "")))}</title>
<style>{_STYLE}</style></head><body>
<h1>{html.escape(str(about.get("model", "")))} on {html.escape(str(about.get("pairs", "")))}</h1>
<p>Computed pictures, not for diagnosis.</p>
<ul>{facts}</ul>
<table><tr>{"".join(f"<th>{html.escape(head)}</th>" for head in heads)}</tr>
{lines}</table>
<p><small>Means over slides; in brackets their 95 % interval for other slides (t over slide means). Clean: through a
perfect simulated scanner; drawn: through simulated ones with faults; scanned: really. SSIM: Gaussian window of 1.5 px;
SSIM 7×7: as in the authors' code. PSNR ±1 px: the best of nine shifts. Perceptual distance and spectrum error: the
smaller the better. Consistency: the 20× picture scanned at 4× again, against the 4× scan; “real” is what
the 20× scan itself reaches.</small></p>
<h2>Patches, from the least gain over {BICUBIC} to the most</h2>
<img src="contact_sheet.png" alt="{html.escape(", ".join(COLUMNS))}">
</body></html>
"""
