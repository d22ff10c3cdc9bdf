"""Folders and files that their owner alone can read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.private_files import copy_privately, open_private, private_folder


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.usefixtures("umask")
def test_folders_and_files_are_private_at_any_umask(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "a" / "b")
    assert (mode(folder), mode(folder.parent)) == (0o700, 0o700)
    with open_private(folder / "file", "w") as file:
        file.write("text")
    copy_privately(folder / "file", folder / "copy")
    assert [(path.read_text(), mode(path)) for path in folder.iterdir()] == [("text", 0o600)] * 2


def test_rights_that_were_too_wide_are_corrected(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o777)
    assert mode(private_folder(folder)) == 0o700
    (folder / "file").touch(0o644)
    with open_private(folder / "file", "a"):
        assert mode(folder / "file") == 0o600


def test_a_folder_for_all_users_and_the_home_folder_keep_their_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    for folder in (tmp_path / "shared", home):
        before = mode(folder)
        with pytest.raises(OutputError, match="also used by others"):
            private_folder(folder)
        assert mode(folder) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 65534, 65534)
    with pytest.raises(OutputError, match="belongs to another user"):
        private_folder(tmp_path / "theirs")


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="not a folder"):
        private_folder(tmp_path / "file")


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_links_and_pipes_are_not_written_through(kind: str, tmp_path: Path) -> None:
    place, target = tmp_path / "file", tmp_path / "target"
    target.write_text("mine")
    if kind == "link":
        place.symlink_to(target)
    else:
        os.mkfifo(place)
    with pytest.raises(OSError, match=r"regular|symbolic|No such device"):
        open_private(place, "w")
    assert target.read_text() == "mine"
