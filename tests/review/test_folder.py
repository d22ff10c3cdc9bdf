"""Fields from a folder of images."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.review.design import Design
from napari_pathsrgan.review.folder import fields_of_folder, is_folder_of_methods

SMALL = Design(patches=4, warm_up=1, anchors=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two methods, eight fields: six of one class."""
    for level, method in enumerate(("edsr", "srgan")):
        for number in range(8):
            path = tmp_path / "images" / method / ("NILM" if number < 6 else "HSIL") / f"{number}.png"
            path = path.with_suffix(".tif") if level else path
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8, 3), 10 * number + level, np.uint8)).save(path)
    (tmp_path / "images" / "notes").mkdir()
    return tmp_path / "images"


def test_images_of_one_name_are_one_field(folder: Path) -> None:
    assert is_folder_of_methods(folder)
    fields = list(fields_of_folder(folder, SMALL))
    assert len(fields) == 6
    for field in fields:
        number = int(field.name.rpartition("/")[2])
        assert {method: image[0, 0, 0] for method, image in field.images.items()} == {
            "edsr": 10 * number, "srgan": 10 * number + 1}  # fmt: skip
    assert Counter(field.label for field in fields) == {"NILM": 4, "HSIL": 2}


def test_a_image_that_lacks_or_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "srgan" / "NILM" / "3.tif").unlink()
    with pytest.raises(OptionError, match="images/srgan lacks 1 of 8 images, such as NILM/3"):
        next(fields_of_folder(folder, SMALL))
    (folder / "edsr" / "NILM" / "3.png").unlink()
    for file in folder.rglob("*.png"):
        file.write_bytes(b"no image")
    with pytest.raises(OptionError, match=r"\.png can't be read as an image"):
        next(fields_of_folder(folder, SMALL))


def test_what_is_no_folder_of_methods(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path, tmp_path / "none"):
        assert not is_folder_of_methods(path)
