"""The organiser's key: which method each image of a review comes from. Raters never get this file."""

from __future__ import annotations

import itertools
import json
import os
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import TypeAdapter

from napari_pathsrgan.bounded_json import read_json
from napari_pathsrgan.errors import ReviewFileError
from napari_pathsrgan.private_files import open_private, private_folder
from napari_pathsrgan.review import store

_MOST_BYTES, _MOST_VALUES = 64 * 2**20, 4_000_000
FORMAT, VERSION = "napari-pathsrgan review key", 3


@dataclass(frozen=True)
class Entry:
    """Where an image comes from.

    Attributes
    ----------
    method : str
    patch : str
        Name of its field.
    use : str
        "rating", "warm-up" or "example".
    label, slide : str
        Class and slide of the field.
    measures : dict of str to float
        ``psnr`` and ``ssim`` against the real image, where there is one.
    """

    method: str
    patch: str
    use: str
    label: str = ""
    slide: str = ""
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Key:
    """What a review hides.

    Attributes
    ----------
    study : str
        Tells which review it belongs to.
    content : str
        Hash of what the review shows; see `store.content_hash`.
    methods : list of str
    images : dict of str to Entry
        By name of the image in the review file.
    made : dict
        Design, sources and versions, in plain values.
    """

    study: str
    content: str
    methods: list[str]
    images: dict[str, Entry]
    made: dict[str, Any]

    def dumps(self) -> str:
        """Write as JSON."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1, ensure_ascii=False)


def keys_folder() -> Path:
    """Folder of the organiser's keys, for this user alone; ``PATHSRGAN_KEYS`` overrides it."""
    told = os.environ.get("PATHSRGAN_KEYS")
    return Path(told).absolute() if told else platformdirs.user_data_path("napari-pathsrgan") / "review-keys"


def new_key_path(review: Path) -> Path:
    """Give a free place for the key of a new review, away from the file that raters get; nothing is made there."""
    names = (f"{review.stem}{f'-{number}' if number > 1 else ''}.key.json" for number in itertools.count(1))
    return next(path for path in map(keys_folder().joinpath, names) if not path.exists())


def write_key(key: Key, path: Path) -> None:
    """Write a key, for this user alone.

    Raises
    ------
    OutputError
        If it goes to the folder of keys, and that is not this user's alone.
    OSError
        If there is something already, or it can't be written.
    """
    if path.parent == keys_folder():
        private_folder(path.parent)
    with open_private(path, "x") as file:
        file.write(key.dumps())


def find_key(review: Path) -> Path | None:
    """Find the key of a review in `keys_folder`, whatever the two files are called; None if it is not there.

    Raises
    ------
    ReviewFileError
        If the review can't be read.
    """
    with closing(store.connect(review)) as db:
        study = store.facts(db).get("study")
    for path in sorted(keys_folder().glob("*.key.json")):
        with suppress(ReviewFileError):
            if read_key(path).study == study:
                return path
    return None


def read_key(path: Path) -> Key:
    """Read a key.

    Raises
    ------
    ReviewFileError
        If it is missing, damaged, no key or of another version.
    """
    try:
        record = read_json(path, _MOST_BYTES, _MOST_VALUES)
        if record["format"] != FORMAT or not isinstance(record["version"], int):
            raise ValueError("It is no key.")
        if record["version"] != VERSION:
            raise ReviewFileError(
                f"{path.name} is a review's key of version {record['version']}, but this program knows {VERSION}.",
                "Use the program's version that wrote it.",
            )
        return _KEY.validate_python(record)
    except OSError as error:
        raise ReviewFileError(
            f"The organiser's key {path} can't be read ({error.strerror}).",
            "Give its path with --key; without it nobody knows which image is whose.",
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise ReviewFileError(
            f"{path.name} is no review's key, or is damaged.", "Give the file that pathsrgan review new has written."
        ) from error


_KEY = TypeAdapter(Key)
