"""What decides how a perceptual network comes out. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class LesionConfig(BaseModel):
    """How the perceptual network learns.

    Attributes
    ----------
    fields : Path, optional
        Folder of sharp pictures.
    nuclei : Path, optional
        CSV file with the columns image, x_px, y_px and bethesda: a nucleus's picture, centre and class.
    phantoms : int
        Synthetic fields added, whose cells' classes are known.
    mpp : float
        Pixel size of the pictures, µm.
    width : int
        Channels of VGG16's first level: 64 as published, 16 for one that trains and ships on small machines.
    start : str
        "scratch", "imagenet" (torchvision's download) or a local file of VGG16's weights.
    steps : int
        Optimiser steps.
    batch_size : int
        Nuclei per step, as many of lesions as normal ones.
    learning_rate : float
        Adam's at the start; it falls to a fiftieth along half a cosine.
    seed : int
        Of weights and draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: Path | None = None
    nuclei: Path | None = None
    phantoms: int = Field(default=0, ge=0)
    mpp: float = Field(default=0.27, gt=0, le=0.3)
    width: int = Field(default=16, ge=1, le=64)
    start: str = "scratch"
    steps: int = Field(default=3000, ge=1)
    batch_size: int = Field(default=32, ge=2, multiple_of=2)
    learning_rate: float = Field(default=5e-4, gt=0)
    seed: int = Field(default=0, ge=0)
