"""Complete sets of training settings by name: the paper's, and ours for a computer without a graphics card."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_pathsrgan.models.architecture import ARCHITECTURES

Cut = Literal["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]
Phases = tuple[float, float, float]
if TYPE_CHECKING:
    ArchitectureName = str
else:
    ArchitectureName = Literal[ARCHITECTURES.names()]
RecipeName = Literal["published", "laptop"]


class Recipe(BaseModel):
    """How a network learns, whatever it learns from; every default is the published one (Ma et al. 2020, § IV-C).

    The paper gives neither the batch nor the epochs of phase 3: those are ours, as is all that is 0 by default.

    Attributes
    ----------
    recipe : {"published", "laptop"}
        Where all settings that are not given come from: the paper, or ours for a computer without a graphics card.
    preset : str
        The network, such as lite, paper or authors.
    epochs : (float, float, float)
        Of the three phases; 0 leaves one out. An epoch is one pass over the training pixels.
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
    artifact_weight : float
        Weight of the locally discriminative loss against invented texture (Liang et al. 2022); 0 leaves it out. It
        compares with the averaged weights, so it needs an `ema` above 0.
    wavelet_weight : float
        Weight of the differences in the high bands of a Haar wavelet transform; 0 leaves them out.
    perceptual : str
        The perceptual network: vgg16, in full width with torchvision's ImageNet weights where those can be had and else
        cytology; cytology, which ships; efficientnet-lite1, whose ImageNet weights are a Python package; or a file of
        `pathsrgan models perceptual`.
    perceptual_cuts : tuple of {"relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"}
        Where its feature maps are compared, at the same five depths by every network; the loss is the mean over
        several.
    critic_crop_jitter_px : int
        Perceptual network and discriminators see the images without a random 0 to this many pixels at the top and
        the left, others in every step, so that their strides favour no pixels over others.
    critic_blur_sigma_px : float
        Standard deviation of the Gaussian through which they see both images. Without it a discriminator looks at the
        camera's noise first, which only real images have, and a generator without a source of noise answers with a
        grid.
    discriminator_width : int
        Channels of the discriminators' first level.
    discriminator_down : {"max", "stride"}
        Whether they shrink by max-pooling, as in the paper, or by strides, as in the authors' code.
    discriminator_norm : {"batch", "spectral"}
        How they are normalised.
    batch_size : int
        Patches per step, over all devices.
    patch_lr_px : int
        Side of a patch on the input grid (1.172 µm/px), a multiple of 8; cut out of the pairs' 128 px.
    grad_clip_norm : float
        Maximum gradient norm of the generator; longer gradients are shortened. 0 leaves them as they are.
    ema : float
        Decay of the exponential moving average of the weights, which is what is kept; 0 keeps the weights themselves.
    stain_jitter : float
        Spread of a random contrast per colour, alike in input and target: 0.05 for other stains and dyes.
    scanner_jitter : float
        The same of the input alone, with some noise: for scanners of other colours than the targets'.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    recipe: RecipeName = "published"
    preset: ArchitectureName = "paper"
    epochs: Phases = (6, 6, 2)
    learning_rates: Phases = (1e-4, 1e-4, 1e-5)
    schedule: Literal["halved", "cosine"] = "halved"
    pixel_loss: Literal["mse", "charbonnier"] = "mse"
    alpha: float = Field(default=6e-3, ge=0, allow_inf_nan=False)
    beta: float = Field(default=1e-3, ge=0, allow_inf_nan=False)
    artifact_weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    wavelet_weight: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    perceptual: str = "vgg16"
    perceptual_cuts: tuple[Cut, ...] = Field(default=("relu5_3",), min_length=1)
    critic_crop_jitter_px: int = Field(default=0, ge=0, le=15)
    critic_blur_sigma_px: float = Field(default=0.0, ge=0, le=4)
    discriminator_width: int = Field(default=64, ge=1)
    discriminator_down: Literal["max", "stride"] = "max"
    discriminator_norm: Literal["batch", "spectral"] = "batch"
    batch_size: int = Field(default=8, ge=1)
    patch_lr_px: int = Field(default=128, ge=16, le=128, multiple_of=8)
    grad_clip_norm: float = Field(default=0.0, ge=0)
    ema: float = Field(default=0.0, ge=0, lt=1)
    stain_jitter: float = Field(default=0.0, ge=0, le=0.5)
    scanner_jitter: float = Field(default=0.0, ge=0, le=0.5)


PUBLISHED = Recipe()
"""Ma et al. 2020: three phases of all losses on whole patches."""

LAPTOP = Recipe(
    recipe="laptop",
    preset="lite",
    epochs=(0, 0, 12),
    learning_rates=(4e-4, 4e-4, 4e-4),
    schedule="cosine",
    pixel_loss="charbonnier",
    alpha=0.0,
    beta=0.0,
    perceptual="cytology",
    perceptual_cuts=("relu1_2", "relu2_2", "relu3_3"),
    critic_crop_jitter_px=15,
    critic_blur_sigma_px=1.0,
    discriminator_width=16,
    discriminator_down="stride",
    patch_lr_px=64,
    grad_clip_norm=1.0,
    ema=0.999,
    stain_jitter=0.05,
    scanner_jitter=0.02,
)
"""Ours: `lite` by pixel losses of both stages at once; its judges, once they are given a weight, suit a CPU."""

RECIPES = MappingProxyType({recipe.recipe: recipe for recipe in (PUBLISHED, LAPTOP)})
