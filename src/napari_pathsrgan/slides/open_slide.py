"""From a path to a slide, or to one sentence that says why not."""

from __future__ import annotations

import math
from pathlib import Path

import openslide

from napari_pathsrgan.errors import (
    OptionError,
    SeveralSlidesError,
    SlideChangedError,
    SlideNotFoundError,
    SlideUnreadableError,
)
from napari_pathsrgan.slides.dicom_folder import dicom_slides
from napari_pathsrgan.slides.fingerprint import SlideIdentity, file_identity, zarr_identity
from napari_pathsrgan.slides.openslide_source import OpenSlideSource
from napari_pathsrgan.slides.slide import Slide, SlideSource
from napari_pathsrgan.slides.slide_files import is_regular, pipe_beside
from napari_pathsrgan.slides.slide_kind import TIFF_HEADS, head_bytes, slide_kind
from napari_pathsrgan.slides.tiff_colour import refuse_deep_pixels
from napari_pathsrgan.slides.tiff_header import read_pages
from napari_pathsrgan.slides.tiff_source import TiffSource
from napari_pathsrgan.slides.zarr_source import ZarrSource

__all__ = ["open_slide", "slide_kind", "slides_in"]

#: Side of the windows read once on opening, at the end of each level, where a file that was cut short shows it.
_PROBE_PX = 16
#: What a user may give as pixel size, µm.
_LEAST_MPP, _MOST_MPP = 0.005, 1000.0
_SAVE_AGAIN = "Open the slide file itself, as the scanner wrote it."
_COPY_AGAIN = "Copy it again from the scanner or the archive."


def open_slide(
    path: Path | str, mpp: float | None = None, fingerprint: str | None = None, *, uncalibrated: bool = False
) -> Slide:
    """Open a slide with OpenSlide if it is in a scanner's own format, with zarr if an OME-Zarr, else as a TIFF.

    Parameters
    ----------
    path : Path or str
        A slide file, a folder of DICOM files or an OME-Zarr folder.
    mpp : float, optional
        Pixel size of level 0 in µm/px, when the file lacks it or is wrong.
    fingerprint : str, optional
        `Slide.file_fingerprint` of the slide that is meant, where it is opened again.
    uncalibrated : bool
        Whether a slide of unknown pixel size is opened too, to read its levels' own pixels.

    Raises
    ------
    SlideNotFoundError
        If there's nothing at the path.
    SlideUnreadableError
        If what is there is no slide, is damaged or was cut short.
    SlideChangedError
        If another slide than the one that is meant is at the path.
    MissingMppError
        If the pixel size is neither in the file nor told, unless `uncalibrated`.
    OptionError
        If `mpp` isn't a number of µm that a pixel can have.
    """
    path = Path(path)
    if mpp is not None and not (math.isfinite(mpp) and _LEAST_MPP <= mpp <= _MOST_MPP):
        raise OptionError(
            f"A pixel size of {mpp} µm makes no sense.",
            f"Give --mpp a positive number of µm per pixel, {_LEAST_MPP:g} to {_MOST_MPP:g}.",
        )
    try:
        if not _exists(path):
            raise SlideNotFoundError(f"There is no file {path}.", "Check the path.")
        source, identity = _open_source(path)
    except PermissionError as error:
        raise SlideUnreadableError(
            f"{path.name} may not be read by this user.", "Ask for the right to read it, or copy it elsewhere."
        ) from error
    try:
        if fingerprint is not None and fingerprint != identity.fingerprint:
            raise SlideChangedError(path)
        slide = Slide(path, source, identity, open_slide, mpp)
        if not (uncalibrated or slide.is_calibrated):
            _ = slide.pixel_size_um  # says what is missing
        _probe(slide)
    except BaseException:
        source.close()
        raise
    return slide


def identify_slide(path: Path) -> SlideIdentity:
    """Tell a slide from every other without its pixel size; errors as of `open_slide`."""
    source, identity = _open_source(path)
    source.close()
    return identity


def _open_source(path: Path) -> tuple[SlideSource, SlideIdentity]:
    if slide_kind(path) == "dicom folder":
        path = _only_slide(path)
    elif path.is_dir():
        return _open_zarr(path)
    if not is_regular(path):
        raise SlideUnreadableError(f"{path.name} is neither a file nor a folder.", _SAVE_AGAIN)
    pipe = pipe_beside(path)
    if pipe is not None:
        raise SlideUnreadableError(
            f"{path.name} lies beside {pipe.name}, which is no file.",
            "Copy the slide's files into a folder of their own.",
        )
    identity = file_identity(path)  # before it is opened: what changes while it is, shows when it is read
    return _open_file(path), identity


def slides_in(path: Path) -> list[Path]:
    """List what a path offers to open: itself, or a file for each slide of a folder of DICOM files."""
    slides = dicom_slides(path) if slide_kind(path) == "dicom folder" else []
    return [slide.files[0] for slide in slides] if len(slides) > 1 else [path]


def _only_slide(folder: Path) -> Path:
    """Return a file of the slide in a folder of DICOM files."""
    slides = dicom_slides(folder)
    if len(slides) > 1:
        raise SeveralSlidesError(folder, [slide.files[0] for slide in slides])
    if not slides:
        raise SlideUnreadableError(
            f"{folder.name} holds DICOM files, but no slide is among them.",
            "Open the folder of a whole-slide image's series.",
        )
    if not slides[0].is_together:
        raise SlideUnreadableError(
            f"The files of the slide in {folder.name} lie in several folders.", "Copy them into one folder."
        )
    return slides[0].files[0]


def _open_zarr(path: Path) -> tuple[SlideSource, SlideIdentity]:
    try:
        image = ZarrSource(path)
        return image, zarr_identity(image.folder, image.level_paths)
    except PermissionError:
        raise
    except OSError as error:
        raise SlideUnreadableError(f"{path.name} is an OME-Zarr that is damaged.", _COPY_AGAIN) from error


def _exists(path: Path) -> bool:
    """Whether there is anything; no path that can't be one, such as one with a NUL in it, is an error."""
    try:
        return path.exists()
    except PermissionError:
        raise
    except (OSError, ValueError):
        return False


def _open_file(path: Path) -> SlideSource:
    head = head_bytes(path)
    if head.startswith(TIFF_HEADS):
        return _open_tiff(path)
    try:
        return OpenSlideSource(path)
    except openslide.OpenSlideError as error:
        raise _not_a_slide(path, head) from error


def _open_tiff(path: Path) -> SlideSource:
    """Check a TIFF's pages, then open it with OpenSlide if a scanner's maker has a format of its own in it."""
    try:
        pages = read_pages(path)
        if openslide.OpenSlide.detect_format(path) not in (None, "generic-tiff"):
            refuse_deep_pixels(path.name, pages[0])
            return OpenSlideSource(path)
        return TiffSource(path, pages)
    except PermissionError:
        raise
    except (OSError, openslide.OpenSlideError) as error:
        raise SlideUnreadableError(f"{path.name} is a TIFF that is damaged or incomplete.", _COPY_AGAIN) from error


def _probe(slide: Slide) -> None:
    """Read the end of every level once: a file that was cut short has lost some of them."""
    for level, (rows, cols) in enumerate(slide.level_shapes):
        height, width = min(rows, _PROBE_PX), min(cols, _PROBE_PX)
        slide.read_level(level, rows - height, cols - width, height, width)


def _not_a_slide(path: Path, head: bytes) -> SlideUnreadableError:
    """Say what a file is that no reader takes."""
    if path.suffix.lower() == ".mrxs" and not path.with_suffix("").is_dir():
        return SlideUnreadableError(
            f"{path.name} lacks the folder {path.stem} that holds its pixels.", "Copy that folder beside it."
        )
    if not head:
        return SlideUnreadableError(f"{path.name} is empty.", _COPY_AGAIN)
    if head[128:132] == b"DICM":
        return SlideUnreadableError(f"{path.name} is a DICOM file that is damaged or holds no slide.", _COPY_AGAIN)
    kinds = {
        b"\xff\xd8\xff": "a JPEG image",
        b"\x89PNG": "a PNG image",
        b"PK\x03\x04": "a ZIP archive",
        b"%PDF": "a PDF document",
        **{bytes((0x80, protocol)): "a Python pickle" for protocol in range(2, 6)},
    }
    kind = next((name for magic, name in kinds.items() if head.startswith(magic)), None)
    if kind is None and not set(head) - set(b"\t\n\r\f" + bytes(range(32, 127))):
        kind = "a text file"
    if kind is None:
        return SlideUnreadableError(
            f"{path.name} is in no slide format that is known here, or is damaged.", _SAVE_AGAIN
        )
    return SlideUnreadableError(f"{path.name} is {kind}, not a slide.", _SAVE_AGAIN)
