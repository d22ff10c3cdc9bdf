"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from napari_pathsrgan.atomic_write import atomic_replace, atomic_write, only_writer
from napari_pathsrgan.errors import OutputError


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_was_written_gets_its_name_at_the_end(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.x"
    with atomic_write(path) as growing:
        if kind == "folder":
            growing.mkdir()
        (growing if kind == "file" else growing / "part").write_text("all of it")
        assert not path.exists()
    assert (path if kind == "file" else path / "part").read_text() == "all of it"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt(), ValueError("no")])
def test_what_fails_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def write() -> None:
        with atomic_write(tmp_path / "a") as growing:
            growing.mkdir()
            (growing / "part").write_text("half of it")
            raise error

    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
        write()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_in_nobodys_way(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a") as first:
        first.write_text("")
    (tmp_path / "a").rename(first)  # as if killed before the end
    with atomic_write(tmp_path / "a") as second:
        assert not second.exists()
        second.mkdir()
    assert (tmp_path / "a").is_dir()


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    with pytest.raises(OutputError, match="a exists already"), atomic_write(tmp_path / "a"):
        pytest.fail("There is something at that place.")
    assert (tmp_path / "a").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "problem"),
    [(errno.ENOSPC, "no room left to write a"), (errno.EROFS, "read-only"), (errno.EACCES, "read-only"),
     (errno.EIO, "a cannot be written")],
)  # fmt: skip
def test_the_reason_is_told(tmp_path: Path, number: int, problem: str) -> None:
    with pytest.raises(OutputError, match=problem), atomic_write(tmp_path / "a"):
        raise OSError(number, "Input/output error")


def test_an_output_has_one_writer_at_a_time(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_write(tmp_path / "new" / "a") as growing:
            growing.write_text("second")

    with only_writer(tmp_path / "new" / "a"), ThreadPoolExecutor(1) as pool:
        with pytest.raises(OutputError, match=r"a is being written by another process. Wait for it to end"):
            pool.submit(write).result()
        with atomic_write(tmp_path / "new" / "a") as growing:  # the writer's own blocks may be nested
            growing.write_text("first")
        with pytest.raises(OutputError, match="being written"):
            pool.submit(write).result()
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a"]
    assert (tmp_path / "new" / "a").read_text() == "first"


def test_another_process_is_kept_out_and_a_killed_one_keeps_nobody_out(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from napari_pathsrgan.atomic_write import only_writer\n"
        "with only_writer(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "a"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(OutputError, match="another process"), only_writer(tmp_path / "a"):
            pytest.fail("Two writers at once.")
        holder.kill()
        holder.wait()
    with only_writer(tmp_path / "a"):
        assert not (tmp_path / "a").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), only_writer(tmp_path / "file" / "a"):
        pytest.fail("There is no such folder.")


def test_an_output_whose_folder_is_moved_away_is_an_error(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_write(tmp_path / "out" / "a") as growing:
            growing.write_text("all of it")
            (tmp_path / "out").rename(tmp_path / "elsewhere")

    with pytest.raises(OutputError, match="moved away"):
        write()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_new_output_replaces_the_old_one_when_it_is_whole(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.x"
    for content in ("old", "new"):
        with atomic_replace(path) as partial:
            if kind == "folder":
                partial.mkdir()
            (partial if kind == "file" else partial / "part").write_text(content)
            assert path.exists() == (content == "new")
    assert (path if kind == "file" else path / "part").read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_replacement_that_fails_leaves_the_old_output(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "out.x"
    path.write_text("old")

    def write() -> None:
        with atomic_replace(path) as partial:
            partial.write_text("half of it")
            raise error

    with pytest.raises(type(error)):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
