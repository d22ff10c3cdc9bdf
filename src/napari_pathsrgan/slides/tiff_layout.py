"""Which pages of a TIFF are the slide and its levels, and which are images beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_pathsrgan.errors import SlideUnreadableError
from napari_pathsrgan.slides.level_geometry import level_factors
from napari_pathsrgan.slides.ome_xml import OmeImage, is_ome, read_ome_images
from napari_pathsrgan.slides.tiff_header import ORIENTATION, Page

_REMEDY = "Export one image of it from its own software as an 8-bit RGB TIFF."
_KNOWN_NAMES = re.compile(r"\b(label|macro|thumbnail|overview)\b", re.IGNORECASE)
_IMAGEJ_IMAGES = re.compile(r"^(images|channels|slices|frames)=(\d+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class TiffLayout:
    """What a TIFF's pages are.

    Attributes
    ----------
    levels : list of Page
        The slide, finest first.
    associated : mapping of str to Page
    ome : OmeImage or None
        The slide's entry in OME-XML that could be read.
    is_ome : bool
    """

    levels: list[Page]
    associated: Mapping[str, Page]
    ome: OmeImage | None
    is_ome: bool


def lay_out(pages: Sequence[Page], name: str) -> TiffLayout:
    """Find the slide among a file's pages.

    Raises
    ------
    SlideUnreadableError
        If it's a stack, or several channels.
    """
    description = pages[0].description
    ome = is_ome(description)
    images = read_ome_images(description, len(pages)) if ome else None
    if images is not None:
        return _lay_out_ome(pages, images, name)
    _refuse_imagej_stack(description, name)
    return _lay_out_pages(pages, name, ome)


def _lay_out_ome(pages: Sequence[Page], images: Sequence[OmeImage], name: str) -> TiffLayout:
    """Take the largest image that isn't said to be a label or the like."""
    slide = max(images, key=lambda image: (not image.beside_slide, _area(pages[image.pages[0]])))
    if slide.channels > 1 and not slide.beside_slide:
        raise _several(name, f"{slide.channels} channels, such as those of fluorescence")
    if slide.planes > 1:
        raise _several(name, f"a stack of {slide.planes} images")
    full = pages[slide.pages[0]]
    claimed = {number for image in images for number in image.pages}
    others = [page for number, page in enumerate(pages) if number not in claimed and page.reduced]
    beside = [(image.name, pages[image.pages[0]]) for image in images if image is not slide]
    return TiffLayout(_levels(full, others), _named(beside), slide, True)


def _lay_out_pages(pages: Sequence[Page], name: str, ome: bool) -> TiffLayout:
    """Take the largest page that isn't said to be a reduced version of another."""
    images = [page for page in pages if not page.mask]
    whole = [page for page in images if not page.reduced] or images or list(pages)
    full = max(whole, key=_area)
    same = sum(page.shape == full.shape for page in images)
    if same > 1:
        raise _several(name, f"a stack of {same} images")
    levels = _levels(full, [page for page in images if page.reduced and page is not full])
    others = [(number, page) for number, page in enumerate(pages) if not page.mask]
    beside = [(_page_name(page, number), page) for number, page in others if all(page is not one for one in levels)]
    return TiffLayout(levels, _named(beside), None, ome)


def _levels(full: Page, others: Sequence[Page]) -> list[Page]:
    """Put the slide and its reduced versions in order."""
    reduced = [page for page in (*full.sub_pages, *others) if not page.mask and _is_level(full, page)]
    levels = [full]
    for page in sorted(reduced, key=_area, reverse=True):
        if page.shape != levels[-1].shape:
            levels.append(page)
    return levels


def _is_level(full: Page, page: Page) -> bool:
    """Whether a page can be the same image with fewer pixels: smaller, and by factors that rounding explains."""
    kinds = [(one.samples, one.bits, one.tiled, one.integer(ORIENTATION, 1)) for one in (full, page)]
    if kinds[0] != kinds[1] or any(part > whole for part, whole in zip(page.shape, full.shape, strict=True)):
        return False
    rows, cols = level_factors(full.shape, page.shape)
    return page.shape != full.shape and (rows == cols or bool(np.equal(np.mod((rows, cols), 1), 0).all()))


def _page_name(page: Page, number: int) -> str:
    known = _KNOWN_NAMES.search(page.description)
    return known.group().lower() if known else f"page {number}"


def _named(images: Iterable[tuple[str, Page]]) -> dict[str, Page]:
    """Tell images of one name apart."""
    named: dict[str, Page] = {}
    for text, page in images:
        name = text
        while name in named:
            name += "'"
        named[name] = page
    return named


def _area(page: Page) -> int:
    rows, cols = page.shape
    return rows * cols


def _refuse_imagej_stack(description: str, name: str) -> None:
    """ImageJ writes large stacks as one page followed by the pixels of the others."""
    if description.startswith("ImageJ="):
        counts = {key: int(value[:9]) for key, value in _IMAGEJ_IMAGES.findall(description)}
        if max(counts.values(), default=1) > 1:
            raise _several(name, f"a stack of {max(counts.values())} images")


def _several(name: str, what: str) -> SlideUnreadableError:
    return SlideUnreadableError(f"{name} holds {what}, not one colour image.", _REMEDY)
