"""The organiser's key: which method each picture of a review comes from. Raters never get this file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from napari_pathsrgan.errors import ReviewFileError

FORMAT, VERSION = "napari-pathsrgan review key", 1


@dataclass(frozen=True)
class Entry:
    """Where a picture comes from.

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
        ``psnr`` and ``ssim`` against the real picture, where there is one.
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
    methods : list of str
    pictures : dict of str to Entry
        By name of the picture in the review file.
    made : dict
        Design, sources and versions, in plain values.
    """

    study: str
    methods: list[str]
    pictures: dict[str, Entry]
    made: dict[str, Any]

    def dumps(self) -> str:
        """Write as JSON."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1, ensure_ascii=False)


def key_path(review: Path) -> Path:
    """Where the key of a review lies unless told: ``study.review`` has ``study.key.json`` beside it."""
    return review.with_name(f"{review.stem}.key.json")


def read_key(path: Path) -> Key:
    """Read a key.

    Raises
    ------
    ReviewFileError
        If it is missing, damaged, no key or of another version.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format"] != FORMAT:
            raise ValueError(record["format"])
        if record["version"] != VERSION:
            raise ReviewFileError(
                f"{path.name} is a review's key of version {record['version']}, but this program knows {VERSION}.",
                "Use the program's version that wrote it.",
            )
        pictures = {name: Entry(**entry) for name, entry in record["pictures"].items()}
        return Key(record["study"], record["methods"], pictures, record["made"])
    except OSError as error:
        raise ReviewFileError(
            f"The organiser's key {path} can't be read ({error.strerror}).",
            "Give its path with --key; without it nobody knows which picture is whose.",
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ReviewFileError(
            f"{path.name} is no review's key, or is damaged.", "Give the file that pathsrgan review new has written."
        ) from error
