"""The folder that computed tiles are kept in between sessions, and whether anything may be kept there.

Tiles show patients' cells. So nothing is kept before the user has said yes once; the folder is readable by its owner
alone and has a bound in bytes. It is a marked folder of our own inside the one that was chosen: nothing else is ever
deleted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import platformdirs

from napari_pathsrgan.atomic_write import atomic_replace
from napari_pathsrgan.errors import OptionError, OutputError
from napari_pathsrgan.private_files import open_private, private_folder

SUBFOLDER, TAG = "pathsrgan-tiles", "CACHEDIR.TAG"
DEFAULT_MAX_BYTES = 10 * 10**9
"""Some three whole slides of a square centimetre at 20×, compressed."""
_MARK = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n"
    b"# Computed views kept by napari-pathsrgan: they can be computed anew. About this file: https://bford.info/cachedir\n"
)
_STORE = re.compile(r"[0-9a-f]{32}\.ome\.zarr")
_LEFTOVER = re.compile(r"\.[0-9a-f]{32}\.ome\.zarr\.[0-9a-f]{32}\.(deleted|partial)")
_LEFTOVER_AGE_S = 60.0
"""A store that old under such a name is nobody's any more: it is made in milliseconds."""
_WORDS = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}


@dataclass(frozen=True)
class CacheSettings:
    """What the user said about keeping computed tiles on disk; lasts from session to session.

    Attributes
    ----------
    keep : bool
        Whether tiles may be kept. False until the user has said yes.
    max_bytes : int
        Bound of all that is kept.
    """

    keep: bool = False
    max_bytes: int = DEFAULT_MAX_BYTES


def cache_settings() -> CacheSettings:
    """Read what the user said; ``PATHSRGAN_KEEP_TILES`` (1 or 0) goes before what is remembered.

    Raises
    ------
    OptionError
        If ``PATHSRGAN_KEEP_TILES`` is neither.
    """
    settings = _remembered()
    word = os.environ.get("PATHSRGAN_KEEP_TILES", "").strip().lower()
    if not word:
        return settings
    if word not in _WORDS:
        raise OptionError(f"PATHSRGAN_KEEP_TILES is {word!r}.", "Set it to 1 (keep computed views on disk) or to 0.")
    return replace(settings, keep=_WORDS[word])


def remember_cache_settings(keep: bool | None = None, max_bytes: int | None = None) -> None:
    """Remember what the user said, in the user's folder for settings.

    Parameters
    ----------
    keep : bool, optional
    max_bytes : int, optional
        See `CacheSettings`; what is left out stays as it was.

    Raises
    ------
    OptionError
        If the bound is negative.
    OutputError
        If the settings can't be written.
    """
    if max_bytes is not None and max_bytes < 0:
        raise OptionError(f"A cache can't hold {max_bytes} bytes.", "Give 0 or more.")
    before, path = _remembered(), _settings_file()
    settings = CacheSettings(
        before.keep if keep is None else keep, before.max_bytes if max_bytes is None else max_bytes
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_replace(path) as partial, open_private(partial, "x") as stream:
            json.dump(asdict(settings), stream)
    except OSError as error:
        raise OutputError(
            f"The setting cannot be remembered in {path} ({error.strerror}).", "Set PATHSRGAN_KEEP_TILES instead."
        ) from error


def default_folder() -> Path:
    """Folder that the cache's own one is made in; ``PATHSRGAN_CACHE`` overrides it."""
    chosen = os.environ.get("PATHSRGAN_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("napari-pathsrgan")


def folder_in_use() -> Path | None:
    """The default folder where the user has said that tiles may be kept; else None."""
    return default_folder() if cache_settings().keep else None


class CacheFolder:
    """Stores of computed tiles in a marked folder of our own.

    Parameters
    ----------
    parent : Path
        What the user chose; other files may be there.

    Attributes
    ----------
    path : Path
        The cache's own folder, which `prepare` makes.
    """

    def __init__(self, parent: Path) -> None:
        self.path = parent / SUBFOLDER

    def prepare(self) -> None:
        """Make the folder and mark it, for its owner alone; whatever the umask.

        Raises
        ------
        OutputError
            If something else has its name, or it can't be made.
        """
        try:
            if self.path.is_symlink() or (self.path.exists() and not self._is_ours() and any(self.path.iterdir())):
                raise OutputError(
                    f"{self.path} is not a cache of napari-pathsrgan.", "Choose another folder with PATHSRGAN_CACHE."
                )
            private_folder(self.path)
            if not self._is_ours():
                with open_private(self.path / TAG, "wb") as stream:
                    stream.write(_MARK)
        except OSError as error:
            raise OutputError(
                f"Computed views can't be kept in {self.path} ({error.strerror}).",
                "Choose another folder with PATHSRGAN_CACHE.",
            ) from error

    def store_path(self, name: str) -> Path:
        """Where the store of a name of 32 hexadecimal digits lies."""
        return self.path / f"{name}.ome.zarr"

    def stores(self) -> list[Path]:
        """List the stores, the one used longest ago first."""
        found = [Path(entry) for entry in self._folders(_STORE)]
        return sorted(found, key=_last_use)

    def size_bytes(self) -> int:
        """Count the bytes of all stores; what another process removes meanwhile counts or not."""
        return sum(map(store_bytes, self.stores()))

    def remove(self, store: Path) -> None:
        """Remove a store: first its name, so that nobody meets half of one, then what is in it."""
        if store.parent != self.path or not _STORE.fullmatch(store.name) or not self._is_ours() or store.is_symlink():
            return
        doomed = store.with_name(f".{store.name}.{uuid.uuid4().hex}.deleted")
        with suppress(OSError):  # another process was quicker
            store.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def clear(self) -> None:
        """Remove every store, and what killed processes left of some; nothing else."""
        for store in self.stores():
            self.remove(store)
        self.remove_leftovers()

    def remove_leftovers(self) -> None:
        """Remove stores that were being made or deleted when a process was killed."""
        for folder in self._folders(_LEFTOVER):
            if time.time() - _last_use(Path(folder)) > _LEFTOVER_AGE_S:
                shutil.rmtree(folder, ignore_errors=True)

    def trim(self, max_bytes: int, in_use: set[Path]) -> int:
        """Remove whole stores, the one used longest ago first, until what is left fits.

        Parameters
        ----------
        max_bytes : int
        in_use : set of Path
            Stores that stay.

        Returns
        -------
        int
            Bytes that are left.
        """
        sizes = {store: store_bytes(store) for store in self.stores()}
        total = sum(sizes.values())
        for store, size in sizes.items():
            if total > max_bytes and store not in in_use:
                self.remove(store)
                total -= size
        return total

    def _is_ours(self) -> bool:
        try:
            return not self.path.is_symlink() and (self.path / TAG).read_bytes().startswith(_MARK)
        except OSError:
            return False

    def _folders(self, pattern: re.Pattern[str]) -> Iterator[str]:
        if not self._is_ours():
            return
        with suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                if pattern.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    yield entry.path


def store_bytes(folder: Path | str) -> int:
    """Count the bytes of the files in a folder and below it; files that go away meanwhile are left out."""
    total = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    total += store_bytes(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def mark_used(store: Path) -> None:
    """Say that a store is used now, by the time of its folder."""
    with suppress(OSError):
        os.utime(store)


def _last_use(store: Path) -> float:
    try:
        return store.stat().st_mtime
    except OSError:
        return 0.0


def _settings_file() -> Path:
    return platformdirs.user_config_path("napari-pathsrgan") / "cache.json"


def _remembered() -> CacheSettings:
    try:
        found = json.loads(_settings_file().read_text(encoding="utf-8"))
        keep, max_bytes = found["keep"], found["max_bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return CacheSettings()
    if not isinstance(max_bytes, int) or isinstance(max_bytes, bool) or max_bytes < 0:
        max_bytes = DEFAULT_MAX_BYTES
    return CacheSettings(keep is True, max_bytes)
