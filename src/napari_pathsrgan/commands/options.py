"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from napari_pathsrgan.commands.command import ModelName, Options, TypedAs
from napari_pathsrgan.inference.backend import BackendName

RegionUm = tuple[float, float, float, float]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]

_FARTHEST_UM = 1e9
"""Beyond a kilometre there is no slide."""


class NetworkOptions(Options):
    """Which network, and where it runs.

    Attributes
    ----------
    model : str
        A name from `pathsrgan models list`, a .safetensors file, or a training's folder. NAME@0.5 is halfway from the
        PSNR model on NAME's card to NAME itself.
    device : str
        auto, cpu, cuda, cuda:1 or mps.
    precision : {"auto", "fp32", "bf16", "fp16", "int8"}
        auto takes what is fastest here and gives the same pixels. int8 is a preview by OpenVINO: sooner, but a few grey
        levels off; how far is said.
    backend : str
        What computes. auto takes what is fastest here and gives the same pixels: torch, openvino where it is installed,
        or winograd for networks such as lite on a CPU; with a precision that is named, torch.
    """

    model: Annotated[str, ModelName()] = "lite"
    device: str = "auto"
    precision: Precision = "auto"
    backend: BackendName = "auto"


class ModelOptions(NetworkOptions):
    """Which network is applied to a slide, and how.

    Attributes
    ----------
    mpp : float, optional
        Pixel size of the slide in µm, where the file does not say it or is wrong: 1.465 for a usual 4× scan.
    """

    mpp: float | None = None


def parse_region(typed: Any) -> Any:
    """Parse a region as it is typed, or as it is saved; ValueError for anything but four numbers on a slide."""
    if not isinstance(typed, (str, list, tuple)):
        return typed
    try:
        row, col, height, width = map(float, typed.split(",") if isinstance(typed, str) else typed)
        if not all(abs(part) <= _FARTHEST_UM for part in (row, col, height, width)):  # NaN is not either
            raise ValueError(typed)
    except (TypeError, ValueError) as error:
        raise ValueError("It is not four numbers: give ROW,COL,HEIGHT,WIDTH in µm, such as 0,0,500,500.") from error
    return row, col, height, width


def parse_area(typed: Any) -> Any:
    """Parse a region, or the path of a GeoJSON file."""
    if isinstance(typed, (str, Path)) and Path(typed).suffix.lower() in (".geojson", ".json"):
        return Path(typed)
    return parse_region(typed)


Region = Annotated[RegionUm | None, BeforeValidator(parse_region), TypedAs("ROW,COL,HEIGHT,WIDTH")]
Area = Annotated[RegionUm | Path | None, BeforeValidator(parse_area), TypedAs("ROW,COL,HEIGHT,WIDTH|FILE.geojson")]
