"""A review's two files, copies of it, and what comes back."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_pathsrgan.errors import OptionError, OutputError, ReviewFileError
from napari_pathsrgan.review import study
from napari_pathsrgan.review.design import Design
from napari_pathsrgan.review.image import decode, encode
from napari_pathsrgan.review.import_export import export_copy, import_ratings
from napari_pathsrgan.review.key import Key, find_key, new_key_path, read_key
from napari_pathsrgan.review.raters import known_raters
from napari_pathsrgan.review.scores import read_scores
from napari_pathsrgan.review.session import Session
from napari_pathsrgan.review.study import write_study

from .conftest import METHODS, patch_sets

Make = Callable[..., tuple[Path, Key]]


def rate(path: Path, rater: str, count: int | None = None, score: int = 3) -> None:
    """Rate so many more images; all by default."""
    with Session(path, rater, go_on=True) as session:
        while session.place is not None and count != 0:
            session.rate(score, 1.0)
            count = None if count is None else count - 1


def table(path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as db:
        return db.execute(query).fetchall()


def progress(path: Path) -> dict[str, tuple[int, int]]:
    return {name: (done, total) for name, (done, total, _) in known_raters(path).items()}


def test_images_are_kept_to_the_pixel_and_none_compresses_better() -> None:
    smooth = np.full((40, 30, 3), 200, np.uint8)
    rough = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    stored = [encode(image, f"{number:016}") for number, image in enumerate((smooth, rough, smooth))]
    assert {len(one) for one in stored} == {40 * 30 * 3}
    assert len({len(zlib.compress(one)) for one in stored}) == 1
    assert stored[0] != stored[2]  # equal images can't be told from others either
    np.testing.assert_array_equal(decode(stored[0], f"{0:016}", 40, 30), smooth)
    np.testing.assert_array_equal(decode(stored[1], f"{1:016}", 40, 30), rough)
    with pytest.raises(ValueError, match="damaged"):
        decode(stored[1][:-500], "1", 40, 30)


def test_the_key_knows_every_image_and_the_review_no_method(make_review: Make) -> None:
    path, key = make_review(patches=4)
    assert read_key(path.with_suffix(".key.json")) == key
    assert key.methods == list(METHODS)
    uses = [entry.use for entry in key.images.values()]
    assert (uses.count("rating"), uses.count("warm-up"), uses.count("example")) == (16, 1, 2)
    assert len({entry.patch for entry in key.images.values()}) == 4 + 1 + 1
    content = path.read_bytes().replace(b"SQLite", b"").replace(b"sqlite", b"")
    for word in (*METHODS, "field-", "case-", "HSIL"):
        assert word.encode() not in content
    assert {row[0] for row in table(path, "SELECT id FROM images")} == set(key.images)
    assert sorted(p.name for p in path.parent.iterdir()) == ["study.key.json", "study.review"]


def test_nothing_is_overwritten_and_nothing_half_written(make_review: Make, tmp_path: Path) -> None:
    path, _ = make_review()
    with pytest.raises(OutputError, match="exists already"):
        make_review()
    path.unlink()
    with pytest.raises(OutputError, match=r"study\.key\.json exists already"):
        make_review()
    new = tmp_path / "new" / "x.review"
    with pytest.raises(OptionError, match="needs 25 fields, but there are 7"):
        write_study(new, new.with_suffix(".key.json"), Design(), patch_sets(7), ("bicubic", "real"))
    assert list(new.parent.iterdir()) == []
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    with pytest.raises(OutputError, match="can't be written"):
        write_study(blocked / "x.review", blocked / "x.key.json", Design(), patch_sets(99))


def test_sets_that_differ_are_refused(tmp_path: Path) -> None:
    def write(*sets: study.PatchSet, extremes: tuple[str, str] | None = None) -> None:
        path = tmp_path / "x.review"
        write_study(path, path.with_suffix(".key.json"), Design(patches=2, warm_up=0, anchors=0), sets, extremes)

    first, second = patch_sets(2)
    lacking = replace(second, images={name: second.images[name] for name in METHODS[:-1]})
    with pytest.raises(OptionError, match="field-1 is not there in every method: real"):
        write(first, lacking)
    small = replace(second, images={**second.images, "lite": np.zeros((32, 30, 3), np.uint8)})
    with pytest.raises(OptionError, match="field-1 of lite has 30 × 32 pixels, others have 32 × 32"):
        write(first, small)
    with pytest.raises(OptionError, match="nothing to compare"):
        write(*patch_sets(2, methods=("lite",)))
    with pytest.raises(OptionError, match="no images of “edsr”"):
        write(first, second, extremes=("bicubic", "edsr"))


def test_a_copy_has_no_ratings_and_its_own_come_back(make_review: Make, tmp_path: Path) -> None:
    path, key = make_review()
    rate(path, "A")
    copy = tmp_path / "away" / "for-b.review"
    copy.parent.mkdir()
    export_copy(path, copy)
    assert known_raters(copy) == {}
    assert b"began" not in copy.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        export_copy(path, copy)
    rate(copy, "B", 5)
    assert import_ratings(path, [copy])[0].new == ["B"]
    assert progress(path) == {"A": (23, 23), "B": (5, 23)}
    rate(copy, "B", score=4)
    assert import_ratings(path, [copy])[0].further == ["B"]
    before = table(path, "SELECT * FROM journal")
    assert import_ratings(path, [copy])[0].known == ["B"]
    assert table(path, "SELECT * FROM journal") == before
    assert progress(path) == {"A": (23, 23), "B": (23, 23)}
    assert table(path, "SELECT score, count(*) FROM ratings WHERE rater = 'B' GROUP BY 1") == [(3, 5), (4, 18)]
    assert len(read_scores(path, key).ratings) == 2 * 22


def test_ratings_that_contradict_each_other_are_refused(make_review: Make, tmp_path: Path) -> None:
    path, _ = make_review()
    copy = tmp_path / "copy.review"
    export_copy(path, copy)
    rate(path, "A", 3, score=2)
    rate(copy, "A", 3, score=5)
    rate(copy, "0", 3)
    with pytest.raises(ReviewFileError, match=r"“A” of copy\.review has rated otherwise"):
        import_ratings(path, [copy])
    assert progress(path) == {"A": (3, 23)}
    other, _ = make_review(name="other.review")
    with pytest.raises(ReviewFileError, match="another review"):
        import_ratings(path, [other])


def test_scores_join_ratings_and_methods(make_review: Make) -> None:
    path, key = make_review(patches=4, repeats=3)
    with pytest.raises(ReviewFileError, match=r"Nothing is rated in study\.review yet\."):
        read_scores(path, key)
    with Session(path, "A") as session:
        while session.place is not None:
            method = key.images[session.trial.images[0]].method
            session.rate(2 + METHODS.index(method), 1.0)
    rate(path, "B", 4)
    scores = read_scores(path, key)
    assert [(rater.name, rater.done, rater.total, rater.finished) for rater in scores.raters] == [
        ("A", 19, 19, True), ("B", 3, 19, False)]  # fmt: skip
    assert [rater.name for rater in scores.unfinished] == ["B"]
    own = [one for one in scores.ratings if one.rater == "A"]
    assert len(own) == 19
    assert sum(one.repeat for one in own) == 3
    assert all(one.score == 2 + METHODS.index(one.methods[0]) for one in own)
    assert {one.label for one in own} == {"NILM", "HSIL"}
    assert scores.measures["lite"] == {"psnr": 21.0, "ssim": pytest.approx(0.7)}
    assert "real" not in scores.measures
    assert {one.rater for one in read_scores(path, key, finished_only=True).ratings} == {"A"}
    with pytest.raises(ReviewFileError, match="another review"):
        read_scores(path, replace(key, study="x"))


def test_keys_that_are_none_are_refused(make_review: Make) -> None:
    path, _ = make_review()
    file = path.with_suffix(".key.json")
    record = json.loads(file.read_text())
    for change, sentence in (
        ({"version": 5}, "version 5"),
        ({"format": "x"}, "is no review's key"),
        ({"images": 3}, "no"),
    ):
        file.write_text(json.dumps(record | change))
        with pytest.raises(ReviewFileError, match=sentence):
            read_key(file)
    file.write_text("{")
    with pytest.raises(ReviewFileError, match="damaged"):
        read_key(file)
    file.unlink()
    with pytest.raises(ReviewFileError, match="nobody knows which image is whose"):
        read_key(file)


def test_keys_lie_apart_from_reviews_and_are_the_organisers_alone(
    make_review: Make, keys: Path, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        files = []
        for number in range(2):  # of one name in two folders
            (tmp_path / str(number)).mkdir()
            review = tmp_path / str(number) / "ward.review"
            files.append((review, new_key_path(review)))
            write_study(*files[-1], Design(patches=2, warm_up=0, anchors=0, repeats=0), patch_sets(9))
    finally:
        os.umask(before)
    assert sorted(path.name for path in keys.iterdir()) == ["ward-2.key.json", "ward.key.json"]
    assert {path.stat().st_mode & 0o777 for path in keys.iterdir()} == {0o600}
    assert keys.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "0").iterdir()] == ["ward.review"]
    for review, key in files:
        moved = review.rename(review.with_name("renamed.review"))
        assert find_key(moved) == key
    assert find_key(make_review()[0]) is None
