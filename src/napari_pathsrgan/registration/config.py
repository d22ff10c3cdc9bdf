"""Everything that decides which patches come out, of scans or of single images, in frozen objects saved with them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class RegistrationConfig(BaseModel):
    """How three scans are matched (Ma et al. 2020, § III-B names n, Δr, ΔR and T but no values; METHOD § 10).

    Attributes
    ----------
    coarse_patches : int
        n: foreground patches that vote for the displacement of a whole scan.
    coarse_search_um : float
        Δr: how far they look at first, µm. The search widens up to the whole slide where too few of them agree.
    fine_search_um : float
        ΔR: how far from the smooth offset field a patch is looked for, µm; 24 pixels at 20×.
    least_correlation : float
        T: patches that match less well are left out.
    most_second_ratio : float
        Patches with a second peak of more than this share of the first are left out: they would fit elsewhere too.
    least_foreground : float
        Patches with less than this share of cells are left out.
    most_deviation_um : float
        Patches are left out that deviate from their neighbours by more than this and by more than 5 robust s.d.
    stride_px : int
        Distance of neighbouring patches, 20× pixels; below 512 they overlap.
    max_patches : int, optional
        At most so many places are tried, drawn at random; all otherwise.
    seed : int
        Of the draws.
    threads : int
        Patches matched at the same time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coarse_patches: int = Field(default=32, ge=8)
    coarse_search_um: float = Field(default=150.0, gt=10, le=600)
    fine_search_um: float = Field(default=7.0, gt=1.0, le=40)
    least_correlation: float = Field(default=0.8, gt=0, lt=1)
    most_second_ratio: float = Field(default=0.97, gt=0, le=1)
    least_foreground: float = Field(default=0.05, ge=0, le=1)
    most_deviation_um: float = Field(default=0.29, gt=0)
    stride_px: int = Field(default=512, ge=32)
    max_patches: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, ge=1)


class FieldsConfig(BaseModel):
    """Which triplets are made where there are no scanned slides: single sharp fields seen through simulated scanners.

    Attributes
    ----------
    folder : Path, optional
        JPEG, PNG or TIFF images; phantoms alone without one.
    mpp : float
        Their pixel size, µm.
    scanners : int
        How many 4× scanners each field is seen through; the first is a perfect one.
    phantoms : int
        Synthetic fields added, for training alone.
    least_foreground : float
        Patches with less than this share of cells are left out.
    seed : int
        Of scanners and phantoms.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path | None = None
    mpp: float = Field(default=0.27, gt=0, le=0.3)
    scanners: int = Field(default=2, ge=1, le=1000)
    phantoms: int = Field(default=0, ge=0)
    least_foreground: float = Field(default=0.05, ge=0, le=1)
    seed: int = Field(default=0, ge=0)
