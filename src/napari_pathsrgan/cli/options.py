"""Options that several verbs share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True)
class ModelOptions:
    """Which network looks at the slide, and how.

    Parameters
    ----------
    model : str
        A name from `pathsrgan models list`, a .safetensors file, or a training's folder.
    device : str
        auto, cpu, cuda, cuda:1 or mps.
    precision : {"auto", "fp32", "bf16", "fp16"}
        auto takes half precision where that is faster and gives the same pixels.
    mpp : float, optional
        Pixel size of the slide in µm, where the file does not say it or is wrong: 1.465 for a usual 4× scan.
    """

    model: str = "lite"
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    mpp: float | None = None
