"""Tables as CSV that a spreadsheet opens without running anything of what strangers wrote into them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV; text that a spreadsheet would take for a formula begins with an apostrophe.

    Parameters
    ----------
    path : Path
    rows : iterable of sequences
        Numbers stay numbers, also negative ones that are text already.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([_as_text(cell) for cell in row] for row in rows)


def _as_text(cell: object) -> object:
    is_formula = isinstance(cell, str) and cell.lstrip(" \n\v\f").startswith(_FORMULA_STARTS) and not _is_number(cell)
    return f"'{cell}" if is_formula else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
