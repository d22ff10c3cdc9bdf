"""Whatever a rater can reach besides the pixels themselves does not tell the methods apart."""

from __future__ import annotations

import bz2
import io
import lzma
import random
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QWidget
from scipy.stats import binom
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from napari_pathsrgan.plugin.review.rating_widget import RatingWidget
from napari_pathsrgan.review import study
from napari_pathsrgan.review.key import Key
from napari_pathsrgan.review.session import Session

Make = Callable[..., tuple[Path, Key]]


def digits(name: str) -> list[int]:
    return list(bytes.fromhex(name))


def stored_about(db: sqlite3.Connection, name: str, content: bytes) -> list[float]:
    """What the file holds of an image besides its pixels: place, lengths, and how well it compresses."""
    (row, digest, stored) = db.execute("SELECT rowid, sha256, pixels FROM images WHERE id = ?", (name,)).fetchone()
    squeezed = [len(zlib.compress(stored, 9)), len(bz2.compress(stored)), len(lzma.compress(stored))]
    levels = np.bincount(np.frombuffer(stored, np.uint8) >> 4, minlength=16)
    places = [content.find(name.encode()), content.find(stored[:200])]
    return [row, *digits(name), *digest[:8], len(stored), *squeezed, *levels, *places]


def words_of(widget: QWidget) -> set[str]:
    """Everything that can be read in a window, or asked of it by a program."""
    found = {widget.windowTitle()}
    for part in [widget, *widget.findChildren(QWidget)]:
        found |= {part.objectName(), part.toolTip(), part.statusTip(), part.whatsThis()}
        found |= {part.accessibleName(), part.accessibleDescription(), part.windowTitle()}
        text = getattr(part, "text", "")
        found.add(text() if callable(text) else text)
        found |= {str(part.property(bytes(name).decode())) for name in part.dynamicPropertyNames()}
    return found


def seen_by_raters(path: Path, qtbot: QtBot) -> dict[str, list[float]]:
    """What is known of each image: from the file, and from the window of two raters while it is shown."""
    content = path.read_bytes()
    known: dict[str, list[float]] = {}
    for number, rater in enumerate("AB"):
        widget = RatingWidget(Session(path, rater))
        qtbot.addWidget(widget)
        widget.begin()
        db = widget.session._db
        while widget.session.place is not None:
            trial = widget.session.trial
            for side, name in enumerate(trial.images):
                (row_trial, field, trial_name) = db.execute(
                    "SELECT trials.rowid, field, id FROM trials JOIN places ON trial = id"
                    " WHERE rater = ? AND place = ?",
                    (rater, trial.place),
                ).fetchone()
                rect = widget.page.view.image_rects()[side]
                if name not in known:
                    known[name] = stored_about(db, name, content)
                if len(known[name]) < 60 + (number + 1) * 30:
                    known[name] += [
                        trial.place, side, row_trial, *digits(field), *digits(trial_name),
                        rect.x(), rect.y(), rect.width(), rect.height(),
                        widget.page.view.width(), widget.page.view.height(),
                        zlib.crc32(repr(sorted(words_of(widget) - {widget.page.count.text()})).encode()),
                        widget.page.count.text().count(" "),
                    ]  # fmt: skip
            widget.rate(1 if widget.session.mode == "single" else 2)
        widget.close()
    length = max(map(len, known.values()))
    return {name: values + [-1.0] * (length - len(values)) for name, values in known.items()}


def right_guesses(features: np.ndarray, methods: list[str]) -> int:
    """How many methods a forest of trees guesses right of images it has not learnt from."""
    forest = RandomForestClassifier(60, max_features=None, random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return int(np.sum(cross_val_predict(forest, features, methods, cv=folds) == np.array(methods)))


@pytest.mark.parametrize("mode", ["single", "pair"])
def test_methods_cannot_be_told_apart(
    mode: str, make_review: Make, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(6)
    monkeypatch.setattr(study, "_name", lambda: rng.bytes(8).hex())  # for the same outcome every time
    monkeypatch.setattr(study, "_DICE", random.Random(6))
    path, key = make_review(patches=40 if mode == "single" else 25, side=24, warm_up=0, anchors=0, mode=mode)
    known = seen_by_raters(path, qtbot)
    names = [name for name, entry in key.images.items() if name in known and entry.use == "rating"]
    methods = [key.images[name].method for name in names]
    features = np.array([known[name] for name in names], np.float64)
    by_chance = binom.ppf(0.999, len(names), 0.25)
    assert right_guesses(features, methods) <= by_chance
    # The same program is not blind: were images compressed, their lengths would do.
    with Session(path, "A", go_on=True) as session:
        lengths = [compressed_length(session.image(name)) for name in names]
    assert right_guesses(np.column_stack([features, lengths]), methods) > 0.8 * len(names)


def compressed_length(image: np.ndarray) -> int:
    """How long an image would be as a file of its own."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return len(file.getvalue())
