"""The verb about this machine: doctor."""

from __future__ import annotations

from dataclasses import asdict

from napari_pathsrgan.commands.report import Json, columns, tell

_MARKS = {True: "✓", False: "✕"}
_WITHOUT_IT = {"all": "", "window": "the window won't open", "speed": "slower"}


def doctor(*, json: Json = False) -> int:
    """Say what device, readers, Qt, OpenGL and weights there are, and what is missing."""
    from napari_pathsrgan.doctor import examine

    examination = examine()
    findings = examination.findings
    rows = [(_MARKS[finding.ok], finding.topic, finding.name, finding.found) for finding in findings]
    lines = columns(rows)
    for finding in findings:
        if not finding.ok:
            consequence = _WITHOUT_IT[finding.need]
            lines.append(f"✕ {finding.name}{f' ({consequence})' if consequence else ''}: {finding.remedy}")
    lines.append("Nothing essential is missing." if examination.healthy else "Something essential is missing.")
    record = {"healthy": examination.healthy, "findings": [asdict(finding) for finding in findings]}
    tell(record, lines, json)
    return 0 if examination.healthy else 2
