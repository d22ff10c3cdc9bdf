"""Everything that decides how weights come out, in one frozen object saved with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class FieldsConfig(BaseModel):
    """Where training triplets come from when there are no registered slides: single sharp fields.

    Attributes
    ----------
    folder : Path
        JPEG, PNG or TIFF pictures.
    mpp : float
        Their pixel size, µm.
    scans_per_field : int
        How many scanners each field is seen through; the first is always clean.
    hold_out_every : int
        One field in so many is left out of training, chosen by the hash of its name.
    phantoms : int
        Synthetic fields added to the pictures.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    mpp: float = Field(default=0.27, gt=0, le=0.3)
    scans_per_field: int = Field(default=5, ge=1)
    hold_out_every: int = Field(default=6, ge=2)
    phantoms: int = Field(default=0, ge=0)


class TrainingConfig(BaseModel):
    """A pixel-loss training in the paper's three phases (Ma et al. 2020, § IV-C): G1; G2 on frozen G1; both.

    Attributes
    ----------
    fields : FieldsConfig
        The data.
    preset, preset_options
        The network, see `models.presets`.
    start_from : str, optional
        A model whose weights to begin with, see `models.zoo.find_model`; drawn anew otherwise.
    steps : tuple of 3 int
        Optimiser steps of each phase.
    learning_rates : tuple of 3 float
        Adam's rate at the start of each phase; it falls to a fiftieth along a half cosine.
    batch, patch_lr_px : int
        Patches per step, and their side on the input grid.
    seed : int
        Of weights, patches and scanners.
    ema : float
        Decay of the averaged weights that are shipped.
    checkpoint_every_s : float
        Time between checkpoints, seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: FieldsConfig
    preset: str = "lite"
    preset_options: dict[str, Any] = Field(default_factory=dict)
    start_from: str | None = None
    steps: tuple[int, int, int] = (4000, 2000, 4000)
    learning_rates: tuple[float, float, float] = (1e-3, 1e-3, 4e-4)
    batch: int = Field(default=8, ge=1)
    patch_lr_px: int = Field(default=48, ge=16, multiple_of=8)
    seed: int = 0
    ema: float = Field(default=0.999, ge=0, lt=1)
    checkpoint_every_s: float = Field(default=120, gt=0)
