"""One training step, whole (Ma et al. 2020, § III-C and § IV-C).

Phase 1 trains stage 1 with D1 against real 10× pictures. Phase 2 trains stage 2 with D2 against real 20× pictures,
stage 1 frozen. Phase 3 trains both with both. In a step

1. the generator computes its images, once;
2. each discriminator learns to tell them from the real ones (Eq. 5), the generator held still;
3. the generator learns from the sum over its images of pixel + α · perceptual + β · adversarial loss (Eqs 2–4, 6) and,
   where they have a weight, of artifact and wavelet loss; the discriminators are held still.

The networks that judge may see the images less a few rows and columns, others in every step, and blurred (ours).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_pathsrgan.models.discriminator import judge
from napari_pathsrgan.training.losses import PIXEL_LOSSES, adversarial, artifacts, discrimination, perceptual, wavelet

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch.optim import Optimizer

    from napari_pathsrgan.models.generator import Generator
    from napari_pathsrgan.models.perceptual import FeatureNetwork
    from napari_pathsrgan.training.recipes import Recipe

VIEWS = ("10x", "20x")


@dataclass(frozen=True)
class Phase:
    """What a phase trains, and on which images.

    Attributes
    ----------
    number : int
        1 to 3.
    stages : tuple of str
        Names of the generator's stages that learn; the others are frozen.
    views : tuple of str
        The images that are compared, of `VIEWS`.
    """

    number: int
    stages: tuple[str, ...]
    views: tuple[str, ...]


PHASES = (
    Phase(1, ("stage1",), ("10x",)),
    Phase(2, ("stage2",), ("20x",)),
    Phase(3, ("stage1", "stage2"), ("10x", "20x")),
)


class StagedGenerator(nn.Module):
    """A generator that computes just the images a phase compares.

    Parameters
    ----------
    generator : Generator
    phase : Phase
        Its frozen stages take no gradient and stay in eval mode.
    """

    def __init__(self, generator: Generator, phase: Phase) -> None:
        super().__init__()
        self.generator = generator
        self._phase = phase
        for name in ("stage1", "stage2"):
            stage: nn.Module = getattr(generator, name)
            learns = name in phase.stages
            stage.requires_grad_(learns).train(learns)

    def forward(self, lr: Tensor) -> dict[str, Tensor]:
        """(N, 3, s, s) float → (N, 3, 2s, 2s) as "10x" and (N, 3, 4s, 4s) as "20x", as far as the phase wants them."""
        return compared_images(self.generator, self._phase, lr)


def compared_images(generator: Generator, phase: Phase, lr: Tensor) -> dict[str, Tensor]:
    """Compute the images that a phase compares, by view; see `StagedGenerator.forward`."""
    features, mr = generator.mr_features(lr)
    computed = {"10x": mr} if "10x" in phase.views else {}
    if "20x" in phase.views:
        computed["20x"] = generator.hr_from(features, lr)
    return computed


@dataclass(frozen=True)
class LossWeights:
    """What the terms of a stage's loss weigh.

    Attributes
    ----------
    pixel_loss : str
        One of `losses.PIXEL_LOSSES`; its weight is 1.
    perceptual, adversarial, artifact, wavelet : float
        Of the other terms; 0 leaves one out.
    perceptual_cuts : tuple of str
        See `models.perceptual.CUTS`.
    critic_blur_sigma_px : float
        Standard deviation of the Gaussian through which discriminators and perceptual network see.
    grad_clip_norm : float
        Maximum gradient norm of the generator; 0 leaves gradients as they are.
    """

    pixel_loss: str
    perceptual: float
    adversarial: float
    artifact: float
    wavelet: float
    perceptual_cuts: tuple[str, ...]
    critic_blur_sigma_px: float
    grad_clip_norm: float

    @classmethod
    def of(cls, recipe: Recipe) -> LossWeights:
        """Take them from a recipe."""
        return cls(
            recipe.pixel_loss, recipe.alpha, recipe.beta, recipe.artifact_weight, recipe.wavelet_weight,
            recipe.perceptual_cuts, recipe.critic_blur_sigma_px, recipe.grad_clip_norm,
        )  # fmt: skip

    def weight(self, kind: str) -> float:
        """Weight of a kind of term: "pixel", "perceptual", "adversarial", "artifact" or "wavelet"."""
        return 1.0 if kind == "pixel" else float(getattr(self, kind))


@dataclass(frozen=True)
class PhaseState:
    """What learns in a phase, as `Fabric.setup` gave it, and what it is compared by.

    Attributes
    ----------
    phase : Phase
    generator : nn.Module
        A `StagedGenerator`.
    optimiser : Optimizer
        Of its stages that learn.
    discriminators : mapping of str to (nn.Module, Optimizer)
        By view; empty without an adversarial loss.
    perceptual_network : FeatureNetwork, optional
        Absent without a perceptual loss.
    average : Generator
        Of the averaged weights, in eval mode.
    """

    phase: Phase
    generator: nn.Module
    optimiser: Optimizer
    discriminators: Mapping[str, tuple[nn.Module, Optimizer]]
    perceptual_network: FeatureNetwork | None
    average: Generator


@dataclass(frozen=True)
class _Compared:
    """A computed image and the real one: as they are, and as the networks that judge see them."""

    computed: Tensor
    real: Tensor
    computed_seen: Tensor
    real_seen: Tensor

    @classmethod
    def of(cls, computed: Tensor, real: Tensor, shift: tuple[int, int], blur_px: float) -> _Compared:
        return cls(computed, real, _seen(computed, shift, blur_px), _seen(real, shift, blur_px))


def train_step(
    fabric: Fabric,
    state: PhaseState,
    weights: LossWeights,
    lr: Tensor,
    real: Mapping[str, Tensor],
    shift: tuple[int, int] = (0, 0),
) -> dict[str, Tensor]:
    """Take one step of a phase.

    Parameters
    ----------
    fabric : Fabric
    state : PhaseState
    weights : LossWeights
    lr : (N, 3, s, s) float
        RGB, 0 to 1.
    real : mapping of str to Tensor
        The real images: (N, 3, 2s, 2s) as "10x", (N, 3, 4s, 4s) as "20x".
    shift : (int, int)
        Rows and columns that discriminators and perceptual network don't see, at the top and the left.

    Returns
    -------
    dict of str to Tensor
        Every term by name and view, such as ``pixel_10x``, and ``loss``; scalars without gradient. Adversarial terms
        come with ``real_20x`` and ``computed_20x``, the mean logits.
    """
    views = {
        view: _Compared.of(computed, real[view], shift, weights.critic_blur_sigma_px)
        for view, computed in state.generator(lr).items()
    }
    terms: dict[str, Tensor] = {}
    for view in state.discriminators:
        terms |= _train_discriminator(fabric, state, view, views[view])
    averaged = _averaged_images(fabric, state, lr) if weights.artifact else {}
    losses = [torch.zeros((), device=lr.device)]
    for view, compared in views.items():
        own = _generator_terms(fabric, state, weights, view, compared, averaged.get(view))
        terms |= {f"{kind}_{view}": term for kind, term in own.items()}
        losses += [weights.weight(kind) * term for kind, term in own.items()]
    terms["loss"] = torch.stack(losses).sum()
    _learn(fabric, terms["loss"], state.optimiser, state.generator, weights.grad_clip_norm)
    return {name: value.detach() for name, value in terms.items()}


def _train_discriminator(fabric: Fabric, state: PhaseState, view: str, compared: _Compared) -> dict[str, Tensor]:
    discriminator, optimiser = state.discriminators[view]
    real = judge(discriminator, compared.real_seen)
    computed = judge(discriminator, compared.computed_seen.detach())
    loss = discrimination(real, computed)
    _learn(fabric, loss, optimiser)
    return {f"discriminator_{view}": loss, f"real_{view}": real.mean(), f"computed_{view}": computed.mean()}


def _averaged_images(fabric: Fabric, state: PhaseState, lr: Tensor) -> dict[str, Tensor]:
    with torch.no_grad(), fabric.autocast():
        return compared_images(state.average, state.phase, lr)


def _generator_terms(
    fabric: Fabric, state: PhaseState, weights: LossWeights, view: str, compared: _Compared, averaged: Tensor | None
) -> dict[str, Tensor]:
    """Compute the terms of a view's loss, by kind, unweighted."""
    terms = {"pixel": PIXEL_LOSSES[weights.pixel_loss](compared.computed, compared.real)}
    if state.perceptual_network is not None:
        with fabric.autocast():
            terms["perceptual"] = perceptual(
                state.perceptual_network, weights.perceptual_cuts, compared.computed_seen, compared.real_seen
            )
    if view in state.discriminators:
        with _held_still(fabric, state.discriminators[view][0]) as discriminator:
            terms["adversarial"] = adversarial(judge(discriminator, compared.computed_seen))
    if averaged is not None:
        terms["artifact"] = artifacts(compared.computed, averaged, compared.real)
    if weights.wavelet:
        terms["wavelet"] = wavelet(compared.computed, compared.real)
    return terms


@contextmanager
def _held_still(fabric: Fabric, discriminator: nn.Module) -> Iterator[nn.Module]:
    """Let gradients pass through a discriminator without computing those of its own weights."""
    discriminator.requires_grad_(False)
    try:
        with fabric.no_backward_sync(discriminator):  # type: ignore[arg-type]
            yield discriminator
    finally:
        discriminator.requires_grad_(True)


def _seen(image: Tensor, shift: tuple[int, int], blur_px: float) -> Tensor:
    seen = image[..., shift[0] :, shift[1] :]
    if not blur_px:
        return seen
    from torchvision.transforms.v2.functional import gaussian_blur

    kernel = 2 * math.ceil(3 * blur_px) + 1
    blurred: Tensor = gaussian_blur(seen, [kernel, kernel], [blur_px, blur_px])
    return blurred


def _learn(
    fabric: Fabric, loss: Tensor, optimiser: Optimizer, clipped: nn.Module | None = None, grad_clip_norm: float = 0.0
) -> None:
    optimiser.zero_grad(set_to_none=True)
    fabric.backward(loss)
    if clipped is not None and grad_clip_norm:
        fabric.clip_gradients(clipped, optimiser, max_norm=grad_clip_norm, error_if_nonfinite=False)
    optimiser.step()
