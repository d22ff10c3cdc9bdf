"""What OME-XML says of a TIFF's images: where they are, how wide their pixels, through which objective."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from napari_pathsrgan.slides.pixel_size import believable_pixel_size, um_per_unit

_OTHER_THAN_SLIDE = re.compile(r"\b(label|macro|thumbnail|overview|barcode)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class OmeImage:
    """One image (a series).

    Attributes
    ----------
    name : str
    pages : tuple of int
        Numbers of its pages in the file, in order.
    planes : int
        Focal planes times time points.
    channels : int
        Channels that aren't the samples of one page.
    pixel_size_um : (float, float) or None
        Along rows and columns.
    objective_power : float or None
    """

    name: str
    pages: tuple[int, ...]
    planes: int
    channels: int
    pixel_size_um: tuple[float, float] | None
    objective_power: float | None

    @property
    def beside_slide(self) -> bool:
        """Whether its name says that it's a label, a macro image or the like."""
        return bool(_OTHER_THAN_SLIDE.search(self.name))


def is_ome(description: str) -> bool:
    """Whether an ImageDescription is meant to be OME-XML."""
    return "<OME" in description[:2000] or description.rstrip().endswith("OME>")


def read_ome_images(description: str, page_count: int) -> list[OmeImage] | None:
    """Read OME-XML.

    Parameters
    ----------
    description : str
        ImageDescription of the first page.
    page_count : int
        How many pages the file has; images on others are left out.

    Returns
    -------
    list of OmeImage or None
        None where it can't be read; then the file's pages still can.
    """
    try:
        root = ET.fromstring(description)
        found = [_read_image(root, image, number, page_count) for number, image in enumerate(root.iterfind("{*}Image"))]
    except (ET.ParseError, ValueError, TypeError, AttributeError, OverflowError):
        return None
    return [image for image in found if image is not None and image.pages] or None


def decimal_number(text: str | None) -> float:
    """Read a number with a point or, as some programs' languages have it, a comma; nan where it's none."""
    text = (text or "").strip()
    try:
        return float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text)
    except ValueError:
        return math.nan


def _read_image(root: ET.Element, image: ET.Element, number: int, page_count: int) -> OmeImage | None:
    pixels = image.find("{*}Pixels")
    if pixels is None:
        return None
    planes = _size(pixels, "SizeZ") * _size(pixels, "SizeT")
    samples = max([int(channel.get("SamplesPerPixel", "1")) for channel in pixels.iterfind("{*}Channel")], default=1)
    channels = -(-_size(pixels, "SizeC") // max(1, samples))
    return OmeImage(
        image.get("Name") or f"image {number}",
        _pages(root, pixels, min(planes * channels, page_count), page_count),
        planes,
        channels,
        _pixel_size(pixels),
        _objective_power(root, image),
    )


def _size(pixels: ET.Element, name: str) -> int:
    return max(1, int(pixels.get(name, "1")))


def _pages(root: ET.Element, pixels: ET.Element, planes: int, page_count: int) -> tuple[int, ...]:
    """List an image's pages in this file: a block of TiffData may speak of another file, by its UUID."""
    found: list[int] = []
    for data in pixels.iterfind("{*}TiffData"):
        uuid = data.find("{*}UUID")
        if uuid is not None and root.get("UUID") is not None and (uuid.text or "").strip() != root.get("UUID"):
            continue
        first = int(data.get("IFD", "0"))
        count = int(data.get("PlaneCount", "1" if data.get("IFD") is not None else str(planes)))
        found += range(max(0, first), min(first + count, page_count))
        if len(found) > page_count:
            break
    return tuple(found)


def _pixel_size(pixels: ET.Element) -> tuple[float, float] | None:
    sizes = []
    for axis in "YX":
        unit = um_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        sizes.append(decimal_number(pixels.get(f"PhysicalSize{axis}")) * (math.nan if unit is None else unit))
    return believable_pixel_size(*sizes)


def _objective_power(root: ET.Element, image: ET.Element) -> float | None:
    """Find the magnification of the objective that the image's settings name, or of the only one there is."""
    objectives = {objective.get("ID"): objective for objective in root.iterfind("{*}Instrument/{*}Objective")}
    settings = image.find("{*}ObjectiveSettings")
    if settings is not None:
        chosen = objectives.get(settings.get("ID"))
    else:
        chosen = next(iter(objectives.values())) if len(objectives) == 1 else None
    power = math.nan if chosen is None else decimal_number(chosen.get("NominalMagnification"))
    return power if math.isfinite(power) and power > 0 else None
