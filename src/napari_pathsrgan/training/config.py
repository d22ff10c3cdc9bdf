"""Everything that decides how weights come out, in one frozen object saved with them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Cut = Literal["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]
Phases = tuple[float, float, float]
PresetOption = Annotated[int | str, Field(union_mode="left_to_right")]


class TrainingConfig(BaseModel):
    """A training in the paper's three phases (Ma et al. 2020, § IV-C): G1; G2 on frozen G1; both.

    The defaults are the published ones. Where the paper says nothing they are ours: two epochs of phase 3, the batch.

    Attributes
    ----------
    pairs : tuple of Path
        Pairs files to learn from; their slides for testing are only measured on.
    preset : str
        The network: lite, paper or authors.
    preset_options : dict
        Its own options, such as `--preset-options.width 32`.
    start_from : str, optional
        A model to begin with instead of drawn weights: a name, a file or a run folder; of the same network.
    epochs : (float, float, float)
        Of the three phases; 0 leaves one out.
    epoch_steps : int, optional
        Steps that count as an epoch; by default as many as it takes to see as many patches as the files have.
    learning_rates : (float, float, float)
        Adam's rate at the start of each phase.
    schedule : {"halved", "cosine"}
        The rate is halved after every epoch of phases 1 and 2 and stays in phase 3; or falls to a fiftieth along half
        a cosine in each.
    pixel_loss : {"mse", "charbonnier"}
        Squared differences as published, or absolute ones.
    alpha : float
        Weight of the perceptual loss; 0 leaves it out.
    beta : float
        Weight of the adversarial loss; 0 leaves the discriminators out.
    perceptual : str
        The perceptual network: cytology, which ships, or a file of `pathsrgan models perceptual`.
    perceptual_cuts : tuple of {"relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"}
        Where its feature maps are compared; the loss is the mean over several.
    judged_shift_px : int
        Perceptual network and discriminators see the pictures without a random 0 to this many pixels at the top and
        the left, others in every step, so that their strides favour no pixels over others (ours; 0 as published).
    judged_blur_px : float
        Standard deviation of the Gaussian through which they see both pictures (ours; 0 as published). Without it a
        discriminator looks at the camera's noise first, which only real pictures have, and a generator without a
        source of noise answers with a grid.
    discriminator_width : int, optional
        Channels of the discriminators' first level; by default 64, and 16 for lite.
    discriminator_down : {"max", "stride"}
        Whether they shrink by max-pooling, as in the paper, or by strides, as in the authors' code.
    discriminator_norm : {"batch", "spectral"}
        How they are normalised.
    batch : int
        Patches per step, over all devices.
    patch_lr_px : int
        Side of a patch on the input grid (1.172 µm/px), a multiple of 8; cut out of the pairs' 128 px.
    clip : float
        Longest gradient of the generator per step; longer ones are shortened.
    ema : float
        Decay of the averaged weights that are kept.
    stain_jitter : float
        Spread of a random contrast per colour, alike in input and target: 0.05 for other stains and dyes.
    scanner_jitter : float
        The same of the input alone, with some noise: for scanners of other colours than the targets'.
    seed : int
        Of weights and patches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    pairs: tuple[Path, ...] = Field(min_length=1)
    preset: Literal["lite", "paper", "authors"] = "lite"
    preset_options: dict[str, PresetOption] = Field(default_factory=dict)
    start_from: str | None = Field(default=None, alias="from")
    epochs: Phases = (6, 6, 2)
    epoch_steps: int | None = Field(default=None, ge=1)
    learning_rates: Phases = (1e-4, 1e-4, 1e-5)
    schedule: Literal["halved", "cosine"] = "halved"
    pixel_loss: Literal["mse", "charbonnier"] = "mse"
    alpha: float = Field(default=6e-3, ge=0)
    beta: float = Field(default=1e-3, ge=0)
    perceptual: str = "cytology"
    perceptual_cuts: tuple[Cut, ...] = Field(default=("relu5_3",), min_length=1)
    judged_shift_px: int = Field(default=0, ge=0, le=15)
    judged_blur_px: float = Field(default=0.0, ge=0, le=4)
    discriminator_width: int | None = Field(default=None, ge=1)
    discriminator_down: Literal["max", "stride"] = "max"
    discriminator_norm: Literal["batch", "spectral"] = "batch"
    batch: int = Field(default=8, ge=1)
    patch_lr_px: int = Field(default=64, ge=16, le=128, multiple_of=8)
    clip: float = Field(default=1.0, gt=0)
    ema: float = Field(default=0.999, ge=0, lt=1)
    stain_jitter: float = Field(default=0.0, ge=0, le=0.5)
    scanner_jitter: float = Field(default=0.0, ge=0, le=0.5)
    seed: int = Field(default=0, ge=0)

    def phase_steps(self, pairs: int) -> tuple[int, int, int]:
        """Steps of the three phases for a number of training pairs."""
        epoch = self.steps_per_epoch(pairs)
        first, second, third = (round(epochs * epoch) for epochs in self.epochs)
        return first, second, third

    def steps_per_epoch(self, pairs: int) -> int:
        """Steps that count as an epoch for a number of training pairs."""
        return self.epoch_steps or max(1, round(pairs / self.batch))

    def discriminator(self) -> dict[str, Any]:
        """Say what `models.discriminator.PatchDiscriminator` is to be built with."""
        width = self.discriminator_width or (16 if self.preset == "lite" else 64)
        return {"width": width, "down": self.discriminator_down, "norm": self.discriminator_norm}


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
    loaders : int
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
    loaders: int = Field(default=2, ge=0)
    checkpoint_every_s: float = Field(default=120, gt=0)
    samples_every_s: float = Field(default=600, gt=0)
    tensorboard: bool = False
