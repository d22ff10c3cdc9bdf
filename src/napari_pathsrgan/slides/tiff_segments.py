"""Decode one strip or tile of a TIFF into its samples, never into more than the page says it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg

from napari_pathsrgan.slides.tiff_header import (
    COMPRESSION,
    FILL_ORDER,
    JPEG_TABLES,
    MOST_SEGMENT_BYTES,
    PREDICTOR,
    Page,
)

Samples = npt.NDArray[np.uint8]

NOT_COMPRESSED, JPEG = 1, 7
_DIFFERENCES = 2

_BYTE_CODECS: dict[int, Callable[..., Any]] = {
    5: imagecodecs.lzw_decode,
    8: imagecodecs.zlib_decode,
    32773: imagecodecs.packbits_decode,
    32946: imagecodecs.zlib_decode,
    34925: imagecodecs.lzma_decode,
    50000: imagecodecs.zstd_decode,
}
_IMAGE_CODECS: dict[int, Callable[..., Any]] = {
    22610: imagecodecs.jpegxr_decode,
    33003: imagecodecs.jpeg2k_decode,
    33004: imagecodecs.jpeg2k_decode,
    33005: imagecodecs.jpeg2k_decode,
    34712: imagecodecs.jpeg2k_decode,
    34933: imagecodecs.png_decode,
    34934: imagecodecs.jpegxr_decode,
    50001: imagecodecs.webp_decode,
    50002: imagecodecs.jpegxl_decode,
    52546: imagecodecs.jpegxl_decode,
}
COMPRESSIONS = frozenset({NOT_COMPRESSED, JPEG, *_BYTE_CODECS, *_IMAGE_CODECS})


def is_readable(page: Page) -> bool:
    """Whether a page's compression, with its predictor, is known here."""
    compression, predictor = page.integer(COMPRESSION, 1), page.integer(PREDICTOR, 1)
    plain = compression in (NOT_COMPRESSED, JPEG) or compression in _IMAGE_CODECS
    return compression in COMPRESSIONS and (
        plain or predictor == 1 or (predictor == _DIFFERENCES and set(page.bits) == {8})
    )


def decode_segment(page: Page, content: bytes, shape: tuple[int, int, int], coded_bytes: int, ycbcr: bool) -> Samples:
    """Decode a strip or tile.

    Parameters
    ----------
    page : Page
    content : bytes
        As it is in the file.
    shape : (rows, cols, samples)
        What the page needs of it; a strip may hold more rows.
    coded_bytes : int
        Size of that once decompressed, as the page packs it.
    ycbcr : bool
        Whether a JPEG is to be converted from YCbCr to RGB.

    Returns
    -------
    array of uint8
        For codecs of images (rows, cols, samples), 8-bit; for others `coded_bytes` bytes in one dimension.

    Raises
    ------
    OSError
        If it can't be decoded without doubt.
    """
    compression = page.integer(COMPRESSION, 1)
    try:
        if compression == JPEG:
            return _decode_jpeg(page, content, shape, ycbcr)
        if compression in _IMAGE_CODECS:
            return _decode_image(_IMAGE_CODECS[compression], content, shape)
        return _decode_bytes(page, content, coded_bytes)
    except OSError:
        raise
    except Exception as error:  # each codec fails in its own way
        raise OSError(str(error)) from error


def holds_images(page: Page) -> bool:
    """Whether `decode_segment` gives images, not packed bytes."""
    compression = page.integer(COMPRESSION, 1)
    return compression == JPEG or compression in _IMAGE_CODECS


def _decode_bytes(page: Page, content: bytes, coded_bytes: int) -> Samples:
    compression = page.integer(COMPRESSION, 1)
    if page.integer(FILL_ORDER, 1) == 2:
        content = bytes(imagecodecs.bitorder_decode(content))
    if compression == 5 and content[:1] == b"\0" and content[1:2] and content[1] & 1:
        raise OSError("LZW of before TIFF 5.0.")
    if compression != NOT_COMPRESSED:
        # A strip may hold rows below the image: whole strips are allowed for.
        most = max(coded_bytes, min(page.segment_bytes, MOST_SEGMENT_BYTES))
        content = _BYTE_CODECS[compression](content, out=most)
    if len(content) < coded_bytes:
        raise OSError("A tile or strip holds fewer pixels than it should.")
    return np.frombuffer(content, np.uint8, coded_bytes)


def _decode_image(decode: Callable[..., Any], content: bytes, shape: tuple[int, int, int]) -> Samples:
    """Decode into memory of the size that's expected: no codec is asked to make room for what the file claims."""
    exact = shape if shape[2] > 1 else shape[:2]
    out = np.empty(exact, np.uint8)
    pixels: Samples = np.asarray(decode(content, out=out))
    return pixels.reshape(shape)


def _decode_jpeg(page: Page, content: bytes, shape: tuple[int, int, int], ycbcr: bool) -> Samples:
    tables = page.content(JPEG_TABLES)
    jpeg = tables.rstrip(b"\0").removesuffix(b"\xff\xd9") + content[2:] if tables else content
    jpeg = _with_transform(jpeg, ycbcr)
    rows, cols, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    if rows < shape[0] or cols < shape[1] or rows * cols * shape[2] > MOST_SEGMENT_BYTES:
        raise OSError("A JPEG of another size than its tile or strip.")
    space = {1: "GRAY", 3: "RGB", 4: "CMYK"}.get(shape[2])
    if space is None:
        raise OSError("A JPEG of two samples.")
    pixels: Samples = simplejpeg.decode_jpeg(jpeg, space, strict=True)  # what is damaged isn't passed off as pixels
    return pixels[: shape[0], : shape[1]]


def _with_transform(jpeg: bytes, ycbcr: bool) -> bytes:
    """Say in a JPEG whether its three components are YCbCr or RGB: the page decides that, whatever the JPEG says."""
    parts, at = [b"\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes((int(ycbcr),))], 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] == 0xD8:  # the image begins again after the tables
            end = at + 2
        elif jpeg[at + 1] not in (0xE0, 0xEE):
            parts.append(jpeg[at:end])
        at = end
    return b"".join((*parts, jpeg[at:]))


def unpack(page: Page, content: Samples, rows: int, cols: int, samples: int) -> Samples:
    """Turn packed bytes into (rows, cols, samples) uint8, each sample as it was stored, differences undone."""
    bits = max(page.bits)
    line = -(-cols * samples * bits // 8)
    packed = content.reshape(rows, line)
    if bits == 8:
        pixels = packed.reshape(rows, cols, samples)
        if page.integer(PREDICTOR, 1) == _DIFFERENCES and page.integer(COMPRESSION, 1) != NOT_COMPRESSED:
            pixels = np.cumsum(pixels, axis=1, dtype=np.uint8)
        return pixels
    single = np.unpackbits(packed, axis=1)[:, : cols * samples * bits].reshape(rows, cols, samples, bits)
    return np.packbits(single, axis=3)[..., 0] >> np.uint8(8 - bits)
