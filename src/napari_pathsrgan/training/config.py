"""Everything that decides how weights come out, in one frozen object saved with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from napari_pathsrgan.models.architecture import ARCHITECTURES
from napari_pathsrgan.training.recipes import RECIPES, Recipe

PresetOption = Annotated[int | str, Field(union_mode="left_to_right")]


class TrainingConfig(Recipe):
    """A training in the paper's three phases (Ma et al. 2020, § IV-C): G1; G2 on frozen G1; both.

    Settings that are not given are those of the recipe.

    Attributes
    ----------
    pairs : tuple of Path
        Pairs files to learn from; their slides for testing are only measured on.
    preset_options : dict
        The network's own options, such as `--preset-options.width 32`.
    init_from : str, optional
        A model to begin with instead of random weights: a name, a file or a run folder; of the same network.
    epoch_steps : int, optional
        Steps that count as an epoch; by default as many as one pass over the training pixels takes.
    seed : int
        Of weights and patches.
    """

    pairs: tuple[Path, ...] = Field(min_length=1)
    preset_options: dict[str, PresetOption] = Field(default_factory=dict)
    init_from: str | None = None
    epoch_steps: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        """Take what is not given from the network, and what it does not name from the recipe."""
        if not isinstance(given, dict):
            return given
        recipe = RECIPES.get(given.get("recipe", "published"))
        if recipe is None:
            return given
        settings = recipe.model_dump()
        name = given.get("preset", settings["preset"])
        own = ARCHITECTURES.find(name).training if name in ARCHITECTURES.names() else {}
        return settings | dict(own) | given

    @field_validator("ema")
    @classmethod
    def _averages_where_they_are_compared_with(cls, ema: float, info: ValidationInfo) -> float:
        if ema == 0 and info.data.get("artifact_weight"):
            raise ValueError("With an artifact weight it must be above 0")
        return ema

    def phase_steps(self, pairs: int) -> tuple[int, int, int]:
        """Steps of the three phases for a number of training pairs."""
        epoch = self.steps_per_epoch(pairs)
        first, second, third = (round(epochs * epoch) for epochs in self.epochs)
        return first, second, third

    def steps_per_epoch(self, pairs: int) -> int:
        """Steps that count as an epoch for a number of training pairs: each pixel is drawn once on average."""
        from napari_pathsrgan.registration.fine import LR_PX  # here, or every command would load what registers slides

        crops = pairs * (LR_PX / self.patch_lr_px) ** 2
        return self.epoch_steps or max(1, round(crops / self.batch_size))

    def discriminator(self) -> dict[str, Any]:
        """Say what `models.discriminator.PatchDiscriminator` is to be built with."""
        return {
            "width": self.discriminator_width,
            "down": self.discriminator_down,
            "norm": self.discriminator_norm,
        }


class RunOptions(BaseModel):
    """Where and how a training runs: what may change from one continuation to the next.

    Attributes
    ----------
    accelerator : str
        auto, cpu, cuda or mps.
    devices : int
        How many of them work together, each on its share of the batch.
    precision : {"auto", "fp32", "bf16", "fp16"}
        Of the convolutions; auto takes bf16 where the device has it.
    num_workers : int
        Processes that read and turn patches for each device; with 0 the training does it itself.
    checkpoint_every_s : float
        Seconds between checkpoints.
    samples_every_s : float
        Seconds between pictures of the same test patches.
    tensorboard : bool
        Also log for TensorBoard, which must be installed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: int = Field(default=1, ge=1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    num_workers: int = Field(default=2, ge=0)
    checkpoint_every_s: float = Field(default=120, gt=0)
    samples_every_s: float = Field(default=600, gt=0)
    tensorboard: bool = False
