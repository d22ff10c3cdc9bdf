"""One training step, whole (Ma et al. 2020, § III-C and § IV-C).

Phase 1 trains stage 1 with D1 against real 10× pictures. Phase 2 trains stage 2 with D2 against real 20× pictures,
stage 1 frozen. Phase 3 trains both with both. In a step

1. the generator computes its pictures, once;
2. each discriminator learns to tell them from the real ones (Eq. 5), the generator held still;
3. the generator learns from the sum over its pictures of pixel + α · perceptual + β · adversarial loss (Eqs 2–4, 6),
   the discriminators held still.

The networks that judge may see the pictures less a few rows and columns, others in every step, and blurred (ours).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from napari_pathsrgan.models.discriminator import judge
from napari_pathsrgan.training.losses import PIXEL_LOSSES, adversarial, discrimination, perceptual

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch.optim import Optimizer

    from napari_pathsrgan.models.generator import Generator
    from napari_pathsrgan.models.perceptual import PerceptualNetwork

VIEWS = ("10x", "20x")


@dataclass(frozen=True)
class Phase:
    """What a phase trains, and on which pictures.

    Attributes
    ----------
    number : int
        1 to 3.
    stages : tuple of str
        Names of the generator's stages that learn; the others are frozen.
    views : tuple of str
        The pictures that are compared, of `VIEWS`.
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
    """A generator that computes just the pictures a phase compares.

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
        features, mr = self.generator.mr_features(lr)
        computed = {"10x": mr} if "10x" in self._phase.views else {}
        if "20x" in self._phase.views:
            computed["20x"] = self.generator.hr_from(features, lr)
        return computed


@dataclass(frozen=True)
class Weights:
    """What the terms of a stage's loss weigh.

    Attributes
    ----------
    pixel_loss : str
        One of `losses.PIXEL_LOSSES`.
    alpha, beta : float
        Of the perceptual and the adversarial term; 0 leaves it out.
    perceptual_cuts : tuple of str
        See `models.perceptual.CUTS`.
    judged_blur_px : float
        Standard deviation of the Gaussian through which discriminators and perceptual network see.
    clip : float
        Longest gradient of the generator.
    """

    pixel_loss: str
    alpha: float
    beta: float
    perceptual_cuts: tuple[str, ...]
    judged_blur_px: float
    clip: float


@dataclass(frozen=True)
class Learners:
    """What learns in a phase, as `Fabric.setup` gave it.

    Attributes
    ----------
    generator : nn.Module
        A `StagedGenerator`.
    optimiser : Optimizer
        Of its stages that learn.
    discriminators : mapping of str to (nn.Module, Optimizer)
        By view; empty without an adversarial loss.
    perceptual_network : PerceptualNetwork, optional
        Absent without a perceptual loss.
    """

    generator: nn.Module
    optimiser: Optimizer
    discriminators: Mapping[str, tuple[nn.Module, Optimizer]]
    perceptual_network: PerceptualNetwork | None


def train_step(
    fabric: Fabric,
    learners: Learners,
    weights: Weights,
    lr: Tensor,
    real: Mapping[str, Tensor],
    shift: tuple[int, int] = (0, 0),
) -> dict[str, Tensor]:
    """Take one step of a phase.

    Parameters
    ----------
    fabric : Fabric
    learners : Learners
    weights : Weights
    lr : (N, 3, s, s) float
        RGB, 0 to 1.
    real : mapping of str to Tensor
        The real pictures: (N, 3, 2s, 2s) as "10x", (N, 3, 4s, 4s) as "20x".
    shift : (int, int)
        Rows and columns that discriminators and perceptual network don't see, at the top and the left.

    Returns
    -------
    dict of str to Tensor
        Every term by name and view, such as ``pixel_10x``, and ``loss``; scalars without gradient. Adversarial terms
        come with ``real_20x`` and ``computed_20x``, the mean logits.
    """
    terms: dict[str, Tensor] = {}
    computed = learners.generator(lr)
    judged = {view: _seen(picture, shift, weights.judged_blur_px) for view, picture in computed.items()}
    compared = {view: _seen(real[view], shift, weights.judged_blur_px) for view in computed}

    for view, (discriminator, optimiser) in learners.discriminators.items():
        judged_real = judge(discriminator, compared[view])
        judged_computed = judge(discriminator, judged[view].detach())
        loss = discrimination(judged_real, judged_computed)
        _learn(fabric, loss, optimiser)
        terms[f"discriminator_{view}"] = loss
        terms[f"real_{view}"], terms[f"computed_{view}"] = judged_real.mean(), judged_computed.mean()

    total: Any = 0.0
    for view, picture in computed.items():
        terms[f"pixel_{view}"] = PIXEL_LOSSES[weights.pixel_loss](picture, real[view])
        total = total + terms[f"pixel_{view}"]
        if learners.perceptual_network is not None:
            with fabric.autocast():
                terms[f"perceptual_{view}"] = perceptual(
                    learners.perceptual_network, weights.perceptual_cuts, judged[view], compared[view]
                )
            total = total + weights.alpha * terms[f"perceptual_{view}"]
        if view in learners.discriminators:
            discriminator, _ = learners.discriminators[view]
            # Its own gradients of this pass are thrown away, so no other device needs them.
            with fabric.no_backward_sync(discriminator):  # type: ignore[arg-type]
                terms[f"adversarial_{view}"] = adversarial(judge(discriminator, judged[view]))
            total = total + weights.beta * terms[f"adversarial_{view}"]
    terms["loss"] = total
    _learn(fabric, total, learners.optimiser, learners.generator, weights.clip)
    return {name: value.detach() for name, value in terms.items()}


def _seen(picture: Tensor, shift: tuple[int, int], blur_px: float) -> Tensor:
    seen = picture[..., shift[0] :, shift[1] :]
    if not blur_px:
        return seen
    from torchvision.transforms.v2.functional import gaussian_blur

    kernel = 2 * math.ceil(3 * blur_px) + 1
    blurred: Tensor = gaussian_blur(seen, [kernel, kernel], [blur_px, blur_px])
    return blurred


def _learn(
    fabric: Fabric, loss: Tensor, optimiser: Optimizer, clipped: nn.Module | None = None, clip: float = 1.0
) -> None:
    optimiser.zero_grad(set_to_none=True)
    fabric.backward(loss)
    if clipped is not None:
        fabric.clip_gradients(clipped, optimiser, max_norm=clip, error_if_nonfinite=False)
    optimiser.step()
