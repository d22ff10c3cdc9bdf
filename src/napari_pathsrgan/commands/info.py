"""The command info: what a slide file holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from napari_pathsrgan.commands.command import POSITIONAL, Command, Options, PathTo
from napari_pathsrgan.commands.output import columns, print_result, thousands

if TYPE_CHECKING:
    from napari_pathsrgan.slides.compression import Compression
    from napari_pathsrgan.slides.computed import Computed
    from napari_pathsrgan.slides.slide import Slide


class InfoOptions(Options):
    """Which slide.

    Attributes
    ----------
    file : Path
        A slide.
    mpp : float, optional
        Pixel size in µm, where the file does not say it or is wrong.
    """

    file: Annotated[Path, POSITIONAL, PathTo("slide")]
    mpp: float | None = None


def info(options: InfoOptions, as_json: bool) -> None:
    """Say what a slide file holds."""
    from napari_pathsrgan.slides.open_slide import open_slide

    with open_slide(options.file, options.mpp, uncalibrated=True) as slide:
        record = _describe(slide) | _describe_scanner(slide)
    print_result(record, _describe_in_words(record), as_json)


def _describe(slide: Slide) -> dict[str, Any]:
    known = slide.is_calibrated
    return {
        "file": str(slide.path),
        "reader": slide.reader,
        "vendor": slide.vendor,
        "objective_power": slide.objective_power,
        "computed": None if slide.computed is None else _describe_computed(slide.computed),
        "mpp": slide.mpp if known else None,
        "pixel_size_um": slide.pixel_size_um if known else None,
        "extent_um": slide.extent_um if known else None,
        "bounds_um": slide.bounds_um if known else None,
        "levels": [
            {"rows": rows, "cols": cols, "mpp": slide.level_mpps[level] if known else None}
            for level, (rows, cols) in enumerate(slide.level_shapes)
        ],
        "associated_images": list(slide.associated_images),
        "fingerprint": slide.fingerprint,
    }


def _describe_scanner(slide: Slide) -> dict[str, Any]:
    from napari_pathsrgan.slides.scanner_facts import scanner_facts

    facts = scanner_facts(slide)
    return {
        "compression": None if facts.compression is None else _describe_compression(facts.compression),
        "earlier_jpeg": None if facts.earlier_jpeg is None else asdict(facts.earlier_jpeg),
        "background": asdict(facts.background),
        "optics": asdict(facts.optics),
    }


def _describe_compression(compression: Compression) -> dict[str, Any]:
    jpeg = compression.jpeg
    return {
        "method": compression.method,
        "ratio": compression.ratio,
        "quality": None if jpeg is None else jpeg.quality,
        "subsampling": None if jpeg is None else jpeg.subsampling,
        "block_phase_px": compression.block_phase_px,
    }


def _describe_computed(computed: Computed) -> dict[str, Any]:
    record = {"kind": computed.kind, "model": computed.model, "words": computed.words}
    return record | {"areas": computed.areas.record()}


def _describe_in_words(record: dict[str, Any]) -> list[str]:
    power = record["objective_power"]
    rows = [
        ("File", record["file"]),
        ("Reader", record["reader"] + (f" ({record['vendor']})" if record["vendor"] else "")),
        ("Objective", "not stated" if power is None else f"{power:g}×"),
        ("Pixel size", "not stated; tell it with --mpp" if record["mpp"] is None else f"{record['mpp']:.4g} µm"),
    ]
    if record["extent_um"]:
        height, width = (part / 1000 for part in record["extent_um"])
        rows.append(("Size", f"{height:.2f} × {width:.2f} mm (height × width)"))
    if record["bounds_um"]:
        row, col, height, width = (part / 1000 for part in record["bounds_um"])
        rows.append(("Scanned", f"{height:.2f} × {width:.2f} mm, from {row:.2f} mm down and {col:.2f} mm right"))
    if record["computed"]:
        rows.insert(1, ("Computed", f"{record['computed']['words']}: no scan, and not for diagnosis"))
    for number, level in enumerate(record["levels"]):
        shape = f"{thousands(level['rows'])} × {thousands(level['cols'])} px"
        rows.append((f"Level {number}", shape if level["mpp"] is None else f"{shape}, {level['mpp']:.4g} µm/px"))
    rows += _scanner_in_words(record)
    rows.append(("Also holds", ", ".join(record["associated_images"]) or "nothing"))
    return columns(rows)


def _scanner_in_words(record: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("Compression", _compression_in_words(record["compression"]))] if record["compression"] else []
    if record["earlier_jpeg"]:
        quality, phase = record["earlier_jpeg"]["quality"], record["earlier_jpeg"]["phase_px"]
        rows.append(("Earlier", f"JPEG, quality {quality}, {_blocks_in_words(phase)}, as the pixels show"))
    return [*rows, *_background_in_words(record["background"]), *_optics_in_words(record["optics"])]


def _compression_in_words(record: dict[str, Any]) -> str:
    known = [record["method"]]
    if record["method"] == "JPEG":
        known.append("tables of its own" if record["quality"] is None else f"quality {record['quality']}")
    if record["subsampling"]:
        known.append(":".join(record["subsampling"]))
    if record["block_phase_px"]:
        known.append(_blocks_in_words(record["block_phase_px"]))
    if record["ratio"] and record["method"] != "none":
        known.append(f"{record['ratio']:.3g} : 1")
    return ", ".join(known)


def _blocks_in_words(phase: Sequence[int]) -> str:
    return (
        "blocks from the corner" if tuple(phase) == (0, 0) else f"blocks {phase[0]} rows and {phase[1]} columns before"
    )


def _background_in_words(record: dict[str, Any]) -> list[tuple[str, str]]:
    if "reason" in record:
        return [("Background", _not_measurable(record))]
    levels = " ".join(f"{level['value']:.0f}" for level in record["white"])
    error = max(level["error"] for level in record["white"])
    return [
        ("Background", f"RGB {levels} ± {error:.1f}"),
        ("Noise", _measured(record["noise"], 2, "grey levels (s.d.)")),
    ]


def _optics_in_words(record: dict[str, Any]) -> list[tuple[str, str]]:
    if "reason" in record:
        return [(name, _not_measurable(record)) for name in ("Aperture", "Sharpening")]
    sharpening = f"none detected; below {record['amount_below']:.1f}"
    if record["sharpening"]:
        amount, radius = (record["sharpening"][name] for name in ("amount", "radius_px"))
        sharpening = f"amount {_measured(amount, 1)}, radius {_measured(radius, 1, 'px')}"
    return [("Aperture", _measured(record["aperture"], 3, "(effective)")), ("Sharpening", sharpening)]


def _measured(record: dict[str, Any], digits: int, unit: str = "") -> str:
    if "reason" in record:
        return _not_measurable(record)
    return f"{record['value']:.{digits}f} ± {record['error']:.{digits}f} {unit}".rstrip()


def _not_measurable(record: dict[str, Any]) -> str:
    return f"not measurable: {record['reason']}"


COMMAND = Command(name="info", options=InfoOptions, run=info)
