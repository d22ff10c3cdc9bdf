"""Write a review: a file for raters with images under random names, and the organiser's key."""

from __future__ import annotations

import itertools
import math
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_pathsrgan.errors import OptionError, OutputError
from napari_pathsrgan.review import store
from napari_pathsrgan.review.design import GREY, Design, PatchSet
from napari_pathsrgan.review.image import digest, encode
from napari_pathsrgan.review.key import Entry, Key, write_key
from napari_pathsrgan.review.order import FieldBalance, balanced_fields

_DICE = secrets.SystemRandom()
"""Decides what a rater might otherwise work out from a seed: names of images, which is left, which warms up."""


def write_study(
    path: Path,
    key_file: Path,
    design: Design,
    sets: Iterable[PatchSet],
    extremes: tuple[str, str] | None = None,
    made: dict[str, Any] | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Key:
    """Write a review and its key; both or none.

    Parameters
    ----------
    path : Path
        The raters' file; must not exist.
    key_file : Path
        The organiser's; must not exist.
    design : Design
    sets : iterable of PatchSet
        ``design.fields_needed`` of them: to rate, then to warm up, then to show as examples. Taken one at a time.
    extremes : (str, str), optional
        Methods that the examples of 1 and of 5 are taken from. Without them the first page has none.
    made : dict, optional
        What the images are made from, for the key.
    progress : callable (done, total), optional

    Returns
    -------
    Key

    Raises
    ------
    OptionError
        If methods or sizes differ between fields, or there is nothing to compare.
    OutputError
        If one of the files exists or can't be written.
    """
    for file in (path, key_file):
        if file.exists():
            raise OutputError(f"{file} exists already.", "Choose another name, or remove it.")
    heap, ready = (path.with_name(f"{path.name}.{end}") for end in ("heap", "unfinished"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for rest in (heap, ready):
            rest.unlink(missing_ok=True)
        db = store.create(heap)
        try:
            key = _fill(db, design, sets, extremes, made or {}, progress)
            store.copy_study(db, ready)
        finally:
            db.close()
        write_key(key, key_file)
        ready.rename(path)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            key_file.unlink(missing_ok=True)
        raise OutputError(
            f"The review can't be written to {path} ({getattr(error, 'strerror', None) or error}).",
            "Choose a folder with room that can be written to.",
        ) from error
    finally:
        for rest in (heap, ready, heap.with_name(f"{heap.name}-journal")):
            with suppress(OSError):
                rest.unlink(missing_ok=True)
    return key


def _fill(
    db: sqlite3.Connection, design: Design, sets: Iterable[PatchSet], extremes: tuple[str, str] | None,
    made: dict[str, Any], progress: Callable[[float, float], None] | None,
) -> Key:  # fmt: skip
    study = _name()
    methods: list[str] = []
    shape: Sequence[int] = ()
    images: dict[str, Entry] = {}
    uses = _uses(design, bool(extremes))
    balances: dict[str, Iterator[FieldBalance]] = {}
    db.execute("BEGIN")
    for done, (patch, use) in enumerate(zip(_all_of(sets, len(uses)), uses, strict=True), 1):
        if not methods:
            methods, shape = sorted(patch.images), next(iter(patch.images.values())).shape
            _check_methods(methods, extremes)
            kinds = len(methods) if design.mode == "single" else math.comb(len(methods), 2)
            balances = {"rating": balanced_fields(kinds, _DICE), "warm-up": balanced_fields(1, _DICE)}
        _check_alike(patch, methods, shape)
        chosen = methods
        if use == "example":
            chosen = list(extremes or ())
        elif use == "warm-up":
            chosen = _DICE.sample(methods, 1 if design.mode == "single" else 2)
        ids = {method: _name() for method in chosen}
        for method, name in ids.items():
            stored = encode(patch.images[method], name)
            db.execute("INSERT INTO images VALUES (?, ?, ?)", (name, digest(stored), stored))
            measures = dict(patch.measures.get(method, {}))
            images[name] = Entry(method, patch.name, use, patch.label, patch.slide, measures)
        if use == "example":
            db.executemany("INSERT INTO anchors VALUES (?, ?)", zip(ids.values(), (1, 5), strict=True))
        else:
            trials = _trials(design, list(ids.values()), use, next(balances[use]))
            db.executemany("INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?)", trials)
        if progress:
            progress(done, len(uses))
    db.executemany("INSERT INTO facts VALUES (?, ?)", _facts(design, study, shape).items())
    content = store.content_hash(db)
    db.execute("INSERT INTO facts VALUES ('content', ?)", (content,))
    db.execute("COMMIT")
    return Key(study, content, methods, images, {"design": asdict(design), **made})


def _name() -> str:
    return secrets.token_hex(8)


def _uses(design: Design, examples: bool) -> list[str]:
    anchors = design.anchors if design.mode == "single" and examples else 0
    return ["rating"] * design.patches + ["warm-up"] * design.warm_up + ["example"] * anchors


def _all_of(sets: Iterable[PatchSet], count: int) -> Iterator[PatchSet]:
    found = 0
    for patch in itertools.islice(sets, count):
        found += 1
        yield patch
    if found < count:
        raise OptionError(f"The review needs {count} fields, but there are {found}.", "Ask for fewer.")


def _trials(
    design: Design, ids: list[str], use: str, balance: FieldBalance
) -> Iterator[tuple[str, str, str, str | None, int, int, int]]:
    """What is to be rated of one field: each image, or each pair, laid out as the balance of sides and turns has it."""
    field, practice = _name(), int(use == "warm-up")
    kinds: Iterable[tuple[str, str | None]] = [(name, None) for name in ids]
    if design.mode == "pair":
        kinds = itertools.combinations(ids, 2)
    for (left, right), turn, mirrored in zip(kinds, balance.turns, balance.mirrored, strict=True):
        shown = (right, left) if mirrored and right is not None else (left, right)
        yield _name(), field, str(shown[0]), shown[1], practice, turn, balance.couple


def _facts(design: Design, study: str, shape: Sequence[int]) -> dict[str, str]:
    """What raters may know. The design's own seed is not among it: fields were drawn by it."""
    return {
        "study": study,
        "title": design.title,
        "mode": design.mode,
        "question": design.asked,
        "repeats": str(design.repeats),
        "zoom": str(design.zoom),
        "grey": str(GREY),
        "rows": str(shape[0]),
        "cols": str(shape[1]),
        "seed": str(_DICE.getrandbits(32)),
    }


def _check_methods(methods: Sequence[str], extremes: tuple[str, str] | None) -> None:
    if len(methods) < 2:
        raise OptionError("There is only one method: nothing to compare.", "Give images of at least two.")
    for method in extremes or ():
        if method not in methods:
            raise OptionError(
                f"There are no images of “{method}” to show as examples.", f"Choose among {', '.join(methods)}."
            )


def _check_alike(patch: PatchSet, methods: Sequence[str], shape: Sequence[int]) -> None:
    if sorted(patch.images) != list(methods):
        lacking = sorted(set(methods) ^ set(patch.images))
        raise OptionError(
            f"{patch.name} is not there in every method: {', '.join(lacking)}.", "Give the same fields of each method."
        )
    for method, image in patch.images.items():
        if image.shape != tuple(shape):
            raise OptionError(
                f"{patch.name} of {method} has {image.shape[1]} × {image.shape[0]} pixels, others have"
                f" {shape[1]} × {shape[0]}.",
                "Cut all images to one size: a size of its own would give a method away.",
            )
