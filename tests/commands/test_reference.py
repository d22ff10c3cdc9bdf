"""The table of commands in the README is that of the registry."""

from __future__ import annotations

import re
from pathlib import Path

from napari_pathsrgan.commands.registry import commands

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_lists_every_command() -> None:
    listed: set[str] = set()
    table = README.read_text(encoding="utf-8").partition("| `pathsrgan …` | |\n")[2].partition("\n\n")[0]
    for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        names = [part.split() for part in re.findall(r"`([^`]+)`", row)]
        group = f"{names[0][0]} " if len(names) > 1 else ""
        listed |= {f"{group}{words[words[0] == group.strip()]}" for words in names}
    assert {name for name, command in commands().items() if not command.hidden} == listed
