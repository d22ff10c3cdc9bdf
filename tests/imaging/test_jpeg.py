"""JPEG headers: quality to the point, subsampling, and nothing from data that is none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from napari_pathsrgan.imaging.jpeg import read_jpeg

IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8))


def written(**options: object) -> bytes:
    file = io.BytesIO()
    IMAGE.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [1, 5, 30, 49, 50, 51, 75, 90, 98, 100])
def test_the_quality_is_found_exactly(quality: int) -> None:
    facts = read_jpeg(written(quality=quality))
    assert facts is not None
    assert facts.quality == quality


@pytest.mark.parametrize(("number", "name"), [(0, "444"), (1, "422"), (2, "420")])
def test_the_subsampling_is_found(number: int, name: str) -> None:
    facts = read_jpeg(written(quality=80, subsampling=number))
    assert facts is not None
    assert facts.subsampling == name


def test_tables_that_are_not_the_standards_have_no_quality() -> None:
    facts = read_jpeg(written(qtables=[list(range(1, 65)), list(range(2, 66))]))
    assert facts is not None
    assert facts.quality is None
    assert facts.luminance is not None
    assert sorted(facts.luminance) == list(range(1, 65))


def test_tables_may_be_kept_apart_as_in_a_tiff() -> None:
    whole = written(quality=63)
    start = whole.index(b"\xff\xc0")
    tables, rest = whole[:start] + b"\xff\xd9", b"\xff\xd8" + whole[start:]
    facts = read_jpeg(rest, tables)
    assert facts is not None
    assert (facts.quality, facts.subsampling) == (63, "420")


def test_a_grey_image_has_no_subsampling() -> None:
    file = io.BytesIO()
    IMAGE.convert("L").save(file, "JPEG", quality=40)
    facts = read_jpeg(file.getvalue())
    assert facts is not None
    assert (facts.quality, facts.subsampling) == (40, None)


@pytest.mark.parametrize("length", [0, 1, 3, 20, 60, 150, 200])
def test_a_cut_header_gives_what_it_holds_or_nothing(length: int) -> None:
    facts = read_jpeg(written(quality=30)[:length])
    assert facts is None or facts.quality == 30


def test_what_is_no_jpeg_gives_nothing() -> None:
    assert read_jpeg(b"II*\0" + b"\xff\xdb" * 50) is None
    assert read_jpeg(b"") is None


def test_mutated_headers_never_raise() -> None:
    rng = np.random.default_rng(0)
    whole = bytearray(written(quality=70)[:700])
    for _ in range(500):
        damaged = bytearray(whole)
        for place in rng.integers(2, len(damaged), 6):
            damaged[place] = int(rng.integers(0, 256))
        facts = read_jpeg(bytes(damaged))
        assert facts is None or facts.quality is None or 1 <= facts.quality <= 100
