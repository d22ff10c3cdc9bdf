"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.whole_output import written_whole


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_was_written_gets_its_name_at_the_end(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.x"
    with written_whole(path) as growing:
        if kind == "folder":
            growing.mkdir()
        (growing if kind == "file" else growing / "part").write_text("all of it")
        assert not path.exists()
    assert (path if kind == "file" else path / "part").read_text() == "all of it"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt(), ValueError("no")])
def test_what_fails_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def write() -> None:
        with written_whole(tmp_path / "a") as growing:
            growing.mkdir()
            (growing / "part").write_text("half of it")
            raise error

    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
        write()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_in_nobodys_way(tmp_path: Path) -> None:
    with written_whole(tmp_path / "a") as first:
        first.write_text("")
    (tmp_path / "a").rename(first)  # as if killed before the end
    with written_whole(tmp_path / "a") as second:
        assert not second.exists()
        second.mkdir()
    assert (tmp_path / "a").is_dir()


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(OutputError, match="a exists already"), written_whole(tmp_path / "a"):
        pytest.fail("There is something at that place.")
    assert (tmp_path / "a").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "problem"),
    [(errno.ENOSPC, "no room left to write a"), (errno.EROFS, "read-only"), (errno.EACCES, "read-only"),
     (errno.EIO, "a cannot be written")],
)  # fmt: skip
def test_the_reason_is_told(tmp_path: Path, number: int, problem: str) -> None:
    with pytest.raises(OutputError, match=problem), written_whole(tmp_path / "a"):
        raise OSError(number, "Input/output error")
