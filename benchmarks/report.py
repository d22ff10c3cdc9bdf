"""Run benchmarks, one after the other, and write the table of docs/performance.md from what they print.

Nothing else writes that table. The machine should be idle; a run takes twenty minutes on two cores and, the first time,
a few more to make the slides. A benchmark that fails is a row that says so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measure import load, machine, machine_line, say
from sample_slides import SLIDES_OPTION

BENCHMARKS = ("network", "first_tile", "panning", "memory", "exactness")
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def run(name: str, slides: Path) -> dict[str, Any]:
    """Run one benchmark in a process of its own.

    Returns
    -------
    dict
        ``figures``, see `measure.command`; none where it failed, which it then said on standard error.
    """
    say(f"{name} …")
    script = Path(__file__).with_name(f"{name}.py")
    command = [sys.executable, str(script), "--json", "--slides", str(slides)]
    answer = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if answer.returncode:
        return {"figures": []}
    report: dict[str, Any] = json.loads(answer.stdout)
    return report


def table(reports: dict[str, dict[str, Any]], facts: dict[str, Any]) -> str:
    """Write the figures of all benchmarks as Markdown."""
    day = datetime.now(tz=UTC).date().isoformat()
    lines = [
        f"Measured on {day}: {machine_line(facts)}.",
        "",
        "| script | what | figure | goal | met | made from |",
        "|---|---|---|---|---|---|",
    ]
    for name, report in reports.items():
        if not report["figures"]:
            lines.append(f"| {name} | did not finish | | | **no** | |")
        for figure in report["figures"]:
            met = {None: "", True: "yes", False: "**no**"}[figure["met"]]
            value = f"{figure['value']:.5g}" if figure["unit"] == "%" else f"{figure['value']:.3g}"
            cells = (name, figure["name"], f"{value} {figure['unit']}".strip(), figure["goal"], met, figure["detail"])
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def fill(page: str, figures: str) -> str:
    """Put the figures between the page's two markers.

    Raises
    ------
    ValueError
        If the page lacks a marker.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no place for figures: it needs the lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}"


def main() -> None:
    """Run what was asked for and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(SLIDES_OPTION[0], **SLIDES_OPTION[1])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, help="print the figures of some; the page stays")
    options = parser.parse_args()
    load_before = load()
    reports = {name: run(name, options.slides) for name in options.only or BENCHMARKS}
    figures = table(reports, machine(load_before))
    print(figures)
    if not options.only:
        PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")


if __name__ == "__main__":
    main()
