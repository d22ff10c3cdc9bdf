from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_pathsrgan.errors import MissingMppError, SlideUnreadableError
from napari_pathsrgan.slides.open_slide import open_slide

from .synthetic import noise

PIXELS = noise(150, 120)


def micrometres(mpp: float) -> dict[str, object]:
    return {"axes": "YXS", "PhysicalSizeX": mpp, "PhysicalSizeY": mpp}


def write_edited(path: Path, edit: Callable[[str], str | bytes]) -> Path:
    """Write an OME-TIFF whose XML is changed afterwards."""
    tifffile.imwrite(path, PIXELS, photometric="rgb", tile=(64, 64), ome=True, metadata=micrometres(1.465))
    with tifffile.TiffFile(path) as file:
        xml = edit(file.ome_metadata or "")
    tifffile.tiffcomment(path, xml.encode() if isinstance(xml, str) else xml)
    return path


@pytest.mark.parametrize("name", ["macro", "Label image", "series 1"])
def test_the_largest_image_is_the_slide_and_others_are_beside_it(tmp_path: Path, name: str) -> None:
    beside = noise(40, 30, 7)
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(beside, photometric="rgb", metadata=micrometres(16.4) | {"Name": name})
        file.write(PIXELS, photometric="rgb", tile=(64, 64), subifds=1, metadata=micrometres(1.465))
        file.write(PIXELS[::2, ::2].copy(), photometric="rgb", tile=(64, 64), subfiletype=1)
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(1.465)
        assert slide.level_shapes == ((150, 120), (75, 60))
        assert list(slide.associated_images) == [name]
        np.testing.assert_array_equal(slide.associated_images[name], beside)
        np.testing.assert_array_equal(slide.read_level(0, 0, 0, 150, 120), PIXELS)


def test_a_label_is_not_the_slide_even_if_it_is_larger(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(noise(300, 300), photometric="rgb", metadata=micrometres(16.4) | {"Name": "label"})
        file.write(PIXELS, photometric="rgb", metadata=micrometres(1.465) | {"Name": "slide"})
    with open_slide(path) as slide:
        assert slide.level_shapes == ((150, 120),)


def with_objectives(settings: str) -> Callable[[str], str]:
    lenses = "".join(
        f'<Objective ID="Objective:{number}" NominalMagnification="{power}"/>'
        for number, power in enumerate((1.25, 4, 20))
    )
    instrument = f'<Instrument ID="Instrument:0">{lenses}</Instrument>'
    return lambda xml: xml.replace("<Image ", f"{instrument}<Image ", 1).replace("<Pixels ", f"{settings}<Pixels ", 1)


@pytest.mark.parametrize(
    ("settings", "power"),
    [('<ObjectiveSettings ID="Objective:1"/>', 4.0), ('<ObjectiveSettings ID="Objective:9"/>', None), ("", None)],
)
def test_the_objective_is_the_one_that_the_settings_name(tmp_path: Path, settings: str, power: float | None) -> None:
    with open_slide(write_edited(tmp_path / "a.ome.tif", with_objectives(settings))) as slide:
        assert slide.objective_power == power


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        ("0.001465", "mm"), ("1465", "nm"), ("0.0001465", "cm"), ("1.465", "\u03bcm"), ("14650", "Å"), ("1,465", "µm"),
        ("5.7677165e-05", "in"), ("1.465e-06", "m"), ("1465000", "pm"), ("0.057677165", "thou"),
    ],
)  # fmt: skip
def test_units_of_length(tmp_path: Path, value: str, unit: str) -> None:
    def edit(xml: str) -> str:
        for axis in "XY":
            xml = xml.replace(f'PhysicalSize{axis}Unit="µm"', "").replace(
                f'PhysicalSize{axis}="1.465"', f'PhysicalSize{axis}="{value}" PhysicalSize{axis}Unit="{unit}"'
            )
        return xml

    with open_slide(write_edited(tmp_path / "a.ome.tif", edit)) as slide:
        assert slide.mpp == pytest.approx(1.465)


@pytest.mark.parametrize(
    "edit",
    [
        lambda xml: xml + "\x01",
        lambda xml: xml.replace("<Pixels ", "<Description>H&E, ward 3</Description><Pixels ", 1),
        lambda xml: xml.replace('"1.465"', '"1.465" PhysicalSizeXUnit="µm"', 1).encode("latin-1"),
        lambda xml: xml.replace('SizeT="1"', 'SizeT="one"'),
        lambda xml: xml[: len(xml) // 2],
        lambda xml: xml.replace('"1.465"', '"NaN"'),
        lambda xml: xml.replace('"1.465"', '"-1.465"'),
        lambda xml: xml.replace('"1.465"', '"1e-320"'),
        lambda xml: xml.replace('PhysicalSizeY="1.465"', ""),
    ],
)
def test_xml_that_cannot_be_read_costs_the_calibration_and_not_the_pixels(
    tmp_path: Path, edit: Callable[[str], str | bytes]
) -> None:
    path = write_edited(tmp_path / "a.ome.tif", edit)
    with pytest.raises(MissingMppError):
        open_slide(path)
    with open_slide(path, mpp=1.465) as slide:
        np.testing.assert_array_equal(slide.read_level(0, 0, 0, 150, 120), PIXELS)


@pytest.mark.parametrize(("axes", "problem"), [("CYX", "3 channels"), ("ZYX", "stack of 3"), ("TYX", "stack of 3")])
def test_channels_and_stacks_are_refused(tmp_path: Path, axes: str, problem: str) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, noise(50, 40).transpose(2, 0, 1), photometric="minisblack", metadata={"axes": axes})
    with pytest.raises(SlideUnreadableError, match=problem):
        open_slide(path, mpp=1.0)
