"""The command doctor: what this machine has and lacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from napari_pathsrgan.commands.command import Command, Options
from napari_pathsrgan.commands.output import columns, print_result
from napari_pathsrgan.commands.registry import commands

if TYPE_CHECKING:
    from napari_pathsrgan.doctor import Finding

_MARKS = {True: "✓", False: "✕"}
_WITHOUT_IT = {
    "all": "",
    "window": "the window won't open",
    "speed": "slower",
    "command": "the commands that need it won't run",
}


def doctor(_: Options, as_json: bool) -> int:
    """Say what device, readers, Qt, OpenGL, weights and optional packages there are, and what is missing."""
    from napari_pathsrgan.doctor import Examination, examine

    examination = Examination((*examine().findings, *_extras()))
    findings = examination.findings
    lines = columns([(_MARKS[finding.ok], finding.topic, finding.name, finding.found) for finding in findings])
    for finding in findings:
        if not finding.ok:
            consequence = _WITHOUT_IT[finding.need]
            lines.append(f"✕ {finding.name}{f' ({consequence})' if consequence else ''}: {finding.remedy}")
    lines.append("Nothing essential is missing." if examination.healthy else "Something essential is missing.")
    record = {"healthy": examination.healthy, "findings": [asdict(finding) for finding in findings]}
    print_result(record, lines, as_json)
    return 0 if examination.healthy else 2


def _extras() -> Iterator[Finding]:
    """Look for the optional packages that commands need."""
    from napari_pathsrgan.doctor import Finding

    for extra in sorted({command.extra for command in commands().values()} - {""}):
        users = ", ".join(name for name, command in commands().items() if command.extra == extra)
        missing = [package for package in _packages(extra) if not _is_installed(package)]
        found = f"{users}: {'without ' + ', '.join(missing) if missing else 'ready'}"
        remedy = f"Install it: pip install 'napari-pathsrgan[{extra}]'" if missing else ""
        yield Finding("Commands", extra, found, not missing, "command", remedy)


def _packages(extra: str) -> list[str]:
    from packaging.requirements import Requirement

    needed = map(Requirement, requires("napari-pathsrgan") or ())
    return [
        one.name
        for one in needed
        if one.marker and one.marker.evaluate({"extra": extra}) and not one.marker.evaluate({"extra": ""})
    ]


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


COMMAND = Command(name="doctor", options=Options, run=doctor)
