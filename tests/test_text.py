from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_pathsrgan.bounded_json import parse_json, read_json
from napari_pathsrgan.errors import PathSRGANError
from napari_pathsrgan.text import is_printable, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Präparat 3 µm – 病理", "Präparat 3 µm – 病理"),
        ("\x1b[2J\x1b]0;title\x07", "�[2J�]0;title�"),
        ("a\nb\tc\rd", "a b c d"),
        ("abc\u202egnp.exe", "abc�gnp.exe"),
        ("\ud800", "�"),
        ("\u2066x\u2069\ufeff\u2028", "�x�� "),
        ("क्\u200dष", "क्\u200dष"),
        ("case-17.\u200bsvs", "case-17.\u200bsvs"),
        ("", ""),
    ],
)
def test_text_from_files_is_shown_without_what_steers_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert is_printable(shown)
    assert is_printable(text) == (text == shown)


def test_long_text_ends_in_an_ellipsis() -> None:
    assert printable("a" * 10_000_000, 10) == "aaaaaaaaa…"


def test_errors_quote_names_of_files_safely() -> None:
    error = PathSRGANError("a\x1b[31m.svs is empty.", "Copy\nit again.")
    assert str(error) == "a�[31m.svs is empty. Copy it again."
    assert error.args == (error.problem, error.remedy)


def test_json_is_bounded_in_bytes_values_and_depth(tmp_path: Path) -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": [1, 2]}', 10) == {"a": [1, 2]}
    for content in (b"[1, 2, 3, 4]", b"[" * 100_000, b"{", b"\xff", b"9" * 5000):
        with pytest.raises(ValueError):  # noqa: PT011 – sentences differ
            parse_json(content, 3 if content[1:2] == b"1" else 1_000_000)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b" " * 100)
    for name, error in (("fifo", OSError), ("large", ValueError)):
        with pytest.raises(error, match=r"regular file|larger"):
            read_json(tmp_path / name, 99, 10)
