"""The cache's folder: ours alone, bounded, and empty until the user says yes."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import platformdirs
import pytest

from napari_pathsrgan.errors import OptionError, OutputError
from napari_pathsrgan.inference import cache_folder
from napari_pathsrgan.inference.cache_folder import (
    DEFAULT_MAX_BYTES,
    CacheFolder,
    CacheSettings,
    cache_settings,
    folder_in_use,
    remember_cache_settings,
)


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PATHSRGAN_CACHE", "PATHSRGAN_KEEP_TILES"):
        monkeypatch.delenv(variable, raising=False)
    for name in ("user_cache_path", "user_config_path"):
        monkeypatch.setattr(platformdirs, name, lambda *_, name=name: tmp_path / "home" / name)


@pytest.fixture
def cache(tmp_path: Path) -> CacheFolder:
    folder = CacheFolder(tmp_path / "chosen")
    folder.prepare()
    return folder


def add_store(cache: CacheFolder, digit: str, n_bytes: int = 1000, used: float = 0.0) -> Path:
    store = cache.store_path(digit * 32)
    (store / "0").mkdir(parents=True)
    (store / "0" / "tile").write_bytes(bytes(n_bytes))
    os.utime(store, (used, used))
    return store


def everything_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


# ---- whether anything is kept ----------------------------------------------------------------------------------------


def test_nothing_is_kept_until_the_user_has_said_yes_and_that_is_remembered(tmp_path: Path) -> None:
    assert cache_settings() == CacheSettings(keep=False, max_bytes=DEFAULT_MAX_BYTES)
    assert folder_in_use() is None
    assert not (tmp_path / "home").exists(), "asking writes nothing"
    remember_cache_settings(keep=True)
    assert folder_in_use() == tmp_path / "home" / "user_cache_path"
    remember_cache_settings(max_bytes=5)
    assert cache_settings() == CacheSettings(keep=True, max_bytes=5)
    remember_cache_settings(keep=False)
    assert folder_in_use() is None
    (settings,) = everything_in(tmp_path / "home")
    assert settings.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("word", "keep"), [("1", True), ("yes", True), ("0", False), ("NO", False), ("", True)])
def test_the_environment_goes_before_what_is_remembered(monkeypatch: pytest.MonkeyPatch, word: str, keep: bool) -> None:
    remember_cache_settings(keep=word in ("", "0", "NO"))
    monkeypatch.setenv("PATHSRGAN_KEEP_TILES", word)
    assert cache_settings().keep is keep


def test_another_word_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHSRGAN_KEEP_TILES", "maybe")
    with pytest.raises(OptionError, match=r"'maybe'. Set it to 1"):
        cache_settings()


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"keep": true}', '{"keep": 1, "max_bytes": 1}', '{"keep": "yes", "max_bytes": 1}'],
)
def test_damaged_settings_are_no_yes(content: str) -> None:
    remember_cache_settings(keep=True)
    cache_folder._settings_file().write_text(content)
    assert not cache_settings().keep


def test_an_absurd_bound_is_refused_or_ignored() -> None:
    with pytest.raises(OptionError, match="-1 bytes"):
        remember_cache_settings(max_bytes=-1)
    remember_cache_settings(keep=True)
    cache_folder._settings_file().write_text(json.dumps({"keep": True, "max_bytes": -5}))
    assert cache_settings() == CacheSettings(keep=True)


def test_settings_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(OutputError, match="PATHSRGAN_KEEP_TILES"):
        remember_cache_settings(keep=True)


# ---- whose the folder is ---------------------------------------------------------------------------------------------


def test_the_folder_is_marked_and_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = CacheFolder(tmp_path / "chosen")
        folder.prepare()
    finally:
        os.umask(before)
    assert (folder.path / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55")
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.path.chmod(0o755)
    folder.prepare()
    assert folder.path.stat().st_mode & 0o777 == 0o700


def test_clearing_removes_our_stores_and_nothing_else(tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    names = ("thesis.docx", "raw/case.svs", f"{'a' * 32}.ome.zarr/tile", "my.ome.zarr/zarr.json")
    for name in names:
        (chosen / name).parent.mkdir(exist_ok=True)
        (chosen / name).write_text("mine")
    cache = CacheFolder(chosen)
    cache.prepare()
    add_store(cache, "a")
    (cache.path / "notes.txt").write_text("mine")
    (cache.path / "export.ome.zarr").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "slide.svs").write_text("mine")
    cache.store_path("b" * 32).symlink_to(elsewhere)
    cache.clear()
    assert everything_in(chosen) == {*(chosen / name for name in names), cache.path / "notes.txt",
                                     cache.path / "CACHEDIR.TAG"}  # fmt: skip
    assert (cache.path / "export.ome.zarr").is_dir()
    assert (elsewhere / "slide.svs").exists()


@pytest.mark.parametrize("kind", ["other files", "a link", "a file"])
def test_what_is_not_ours_is_neither_used_nor_cleared(tmp_path: Path, kind: str) -> None:
    cache, mine = CacheFolder(tmp_path / "chosen"), tmp_path / "mine"
    for folder in (tmp_path / "chosen", mine):
        folder.mkdir()
    if kind == "other files":
        cache.path.mkdir()
        add_store(cache, "a")
    elif kind == "a link":
        CacheFolder(mine).prepare()
        add_store(CacheFolder(mine), "a")
        cache.path.symlink_to(CacheFolder(mine).path)
    else:
        cache.path.write_text("mine")
    before = everything_in(tmp_path)
    with pytest.raises(OutputError, match="PATHSRGAN_CACHE"):
        cache.prepare()
    cache.clear()
    cache.remove(cache.store_path("a" * 32))
    assert cache.size_bytes() == 0
    assert everything_in(tmp_path) == before


def test_what_killed_processes_left_is_removed_unless_it_is_young(cache: CacheFolder) -> None:
    names = [f".{'a' * 32}.ome.zarr.{digit * 32}.{state}" for digit, state in ("1d", "2d", "3p")
             for state in [{"d": "deleted", "p": "partial"}[state]]]  # fmt: skip
    for name in (*names, ".other.deleted"):
        (cache.path / name).mkdir()
        os.utime(cache.path / name, (0, 0))
    os.utime(cache.path / names[1])
    cache.remove_leftovers()
    assert {path.name for path in cache.path.iterdir()} == {"CACHEDIR.TAG", ".other.deleted", names[1]}


# ---- how much --------------------------------------------------------------------------------------------------------


def test_the_oldest_slides_leave_first_and_open_ones_stay(cache: CacheFolder) -> None:
    old, open_one, new = (add_store(cache, digit, 1000, used) for digit, used in (("b", 10), ("a", 5), ("c", 20)))
    assert cache.stores() == [open_one, old, new]
    assert cache.size_bytes() == 3000
    assert cache.trim(2000, {open_one}) == 2000
    assert set(cache.stores()) == {open_one, new}
    assert cache.trim(0, {open_one}) == 1000
    assert cache.stores() == [open_one]


def test_counting_never_fails_while_another_process_clears(cache: CacheFolder) -> None:
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            store = cache.store_path("a" * 32)
            for number in range(40):
                (store / str(number)).mkdir(parents=True, exist_ok=True)
                (store / str(number) / "0").write_bytes(b"1")
            cache.remove(store)

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        assert all(0 <= cache.size_bytes() <= 40 for _ in range(300))
    finally:
        stop.set()
        thread.join()
