"""One step of each phase: what learns, what is frozen, and that learning works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from scipy.ndimage import gaussian_filter

from napari_pathsrgan.evaluation.metrics import psnr
from napari_pathsrgan.inference.engine import Engine
from napari_pathsrgan.models.card import ModelCard
from napari_pathsrgan.models.perceptual import load_perceptual
from napari_pathsrgan.registration.pairs import PairsFile
from napari_pathsrgan.training.config import RunOptions, TrainingConfig
from napari_pathsrgan.training.losses import PIXEL_LOSSES, perceptual
from napari_pathsrgan.training.run_folder import RunFolder
from napari_pathsrgan.training.trainer import Trainer

RUN = RunOptions(accelerator="cpu", precision="fp32", num_workers=0)


def a_trainer(config: TrainingConfig, folder: Path) -> Trainer:
    return Trainer(config, RUN, RunFolder(folder, config), Fabric(accelerator="cpu", devices=1))


def weights(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(before: dict[str, torch.Tensor], module: torch.nn.Module) -> bool:
    after = module.state_dict()
    return any(not torch.equal(value, after[name]) for name, value in before.items())


def step(trainer: Trainer, phase: int) -> dict[str, float]:
    torch.manual_seed(phase)
    side = trainer.config.patch_lr_px
    lr, mr, hr = (torch.rand(2, 3, side * ratio, side * ratio) for ratio in (1, 2, 4))
    return trainer._take_step(phase, 0, lr, {"10x": mr, "20x": hr})


@pytest.mark.parametrize(
    ("phase", "learns", "frozen"),
    [(0, ("stage1", "10x"), ("stage2", "20x")), (1, ("stage2", "20x"), ("stage1", "10x")),
     (2, ("stage1", "stage2", "10x", "20x"), ())],
)  # fmt: skip
def test_each_phase_trains_its_part_and_nothing_else(
    tmp_path: Path, a_config: TrainingConfig, phase: int, learns: tuple[str, ...], frozen: tuple[str, ...]
) -> None:
    config = a_config.model_copy(update={"discriminator_norm": "batch", "patch_lr_px": 32})
    trainer = a_trainer(config, tmp_path)
    parts: dict[str, torch.nn.Module] = {"stage1": trainer.network.stage1, "stage2": trainer.network.stage2}
    parts |= trainer.discriminators
    before = {name: weights(part) for name, part in parts.items()}
    step(trainer, phase)
    step(trainer, phase)
    assert [name for name in parts if changed(before[name], parts[name])] == list(learns)
    assert not any(changed(before[name], parts[name]) for name in frozen)


def test_the_loss_is_the_weighted_sum_of_its_terms(tmp_path: Path, a_config: TrainingConfig) -> None:
    config = a_config.model_copy(update={"alpha": 0.3, "beta": 0.2})
    terms = step(a_trainer(config, tmp_path), 2)
    wanted = sum(
        terms[f"pixel_{view}"] + 0.3 * terms[f"perceptual_{view}"] + 0.2 * terms[f"adversarial_{view}"]
        for view in ("10x", "20x")
    )
    assert terms["loss"] == pytest.approx(wanted, rel=1e-5)
    assert set(terms) == {"loss"} | {
        f"{kind}_{view}"
        for view in ("10x", "20x")
        for kind in ("pixel", "perceptual", "adversarial", "discriminator", "real", "computed")
    }


def test_terms_against_invented_texture_are_added_where_they_have_a_weight(
    tmp_path: Path, a_config: TrainingConfig
) -> None:
    update = {"alpha": 0.0, "beta": 0.0, "artifact_weight": 0.4, "wavelet_weight": 0.5}
    trainer = a_trainer(a_config.model_copy(update=update), tmp_path)
    with torch.no_grad():
        for parameter in trainer.average.parameters():
            parameter.mul_(1.5)  # or it is the network itself, and nothing is worse than the average
    terms = step(trainer, 2)
    kinds = {"pixel": 1.0, "artifact": 0.4, "wavelet": 0.5}
    assert set(terms) == {"loss"} | {f"{kind}_{view}" for kind in kinds for view in ("10x", "20x")}
    wanted = sum(weight * terms[f"{kind}_{view}"] for kind, weight in kinds.items() for view in ("10x", "20x"))
    assert terms["loss"] == pytest.approx(wanted, rel=1e-5)
    assert all(value > 0 for value in terms.values())


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_the_generators_pass_computes_no_gradients_of_the_discriminators(
    tmp_path: Path, a_config: TrainingConfig, phase: int
) -> None:
    trainer = a_trainer(a_config, tmp_path)
    computed: list[str] = []
    for view in ("10x", "20x")[phase % 2 :][: phase // 2 + 1]:
        for name, parameter in trainer.discriminators[view].named_parameters():
            parameter.register_post_accumulate_grad_hook(lambda _, name=f"{view} {name}": computed.append(name))
    step(trainer, phase)
    assert computed
    assert len(computed) == len(set(computed))  # by their own pass alone
    assert all(parameter.requires_grad for own in trainer.discriminators.values() for parameter in own.parameters())


@pytest.mark.parametrize(("grad_clip_norm", "norm"), [(0.0, None), (0.01, 0.01)])
def test_gradients_are_shortened_only_where_a_norm_is_given(
    tmp_path: Path, a_config: TrainingConfig, grad_clip_norm: float, norm: float | None
) -> None:
    trainer = a_trainer(a_config.model_copy(update={"grad_clip_norm": grad_clip_norm}), tmp_path)
    step(trainer, 0)
    gradients = [p.grad for p in trainer.network.parameters() if p.grad is not None]
    length = float(torch.stack([gradient.norm() for gradient in gradients]).norm())
    assert length > 0.02 if norm is None else length == pytest.approx(norm, rel=1e-3)


def test_the_judges_see_pictures_shifted_and_blurred_and_the_pixel_loss_whole_ones(
    tmp_path: Path, a_config: TrainingConfig
) -> None:
    config = a_config.model_copy(
        update={"beta": 0.0, "critic_crop_jitter_px": 15, "critic_blur_sigma_px": 1.0, "patch_lr_px": 32}
    )
    trainer = a_trainer(config, tmp_path / "shifted")
    trainer.step = 3
    rows, columns = trainer._shift()
    assert 0 < rows <= 15
    assert 0 < columns <= 15
    torch.manual_seed(2)
    lr, mr, hr = (torch.rand(2, 3, 32 * ratio, 32 * ratio) for ratio in (1, 2, 4))
    with torch.no_grad():
        computed = dict(zip(("10x", "20x"), trainer.network(lr), strict=True))
    terms = step(trainer, 2)
    assert trainer._perceptual is not None
    for view, real in (("10x", mr), ("20x", hr)):
        cut = [picture[..., rows:, columns:].numpy() for picture in (computed[view], real)]
        seen = [torch.from_numpy(gaussian_filter(one, (0, 0, 1, 1), mode="mirror", radius=3)) for one in cut]
        wanted = perceptual(trainer._perceptual, config.perceptual_cuts, *seen)
        assert terms[f"perceptual_{view}"] == pytest.approx(float(wanted), rel=1e-4)
        assert terms[f"pixel_{view}"] == pytest.approx(
            float(PIXEL_LOSSES[config.pixel_loss](computed[view], real)), rel=1e-4
        )
    trainer.step = 4
    assert trainer._shift() != (rows, columns)


def test_terms_of_weight_0_are_not_computed(tmp_path: Path, a_config: TrainingConfig) -> None:
    config = a_config.model_copy(update={"alpha": 0.0, "beta": 0.0, "perceptual": "nowhere"})
    trainer = a_trainer(config, tmp_path)
    assert set(step(trainer, 0)) == {"loss", "pixel_10x"}
    assert not trainer.discriminators


def test_the_perceptual_network_never_learns(tmp_path: Path, a_config: TrainingConfig, small_perceptual: Path) -> None:
    trainer = a_trainer(a_config, tmp_path)
    step(trainer, 2)
    assert trainer._perceptual is not None
    assert not changed(weights(load_perceptual(small_perceptual)[0]), trainer._perceptual)


def test_eight_phantom_patches_are_learnt_by_heart(tmp_path: Path, pairs: Path) -> None:
    """To more than 35 dB at 10×, where bicubic enlargement reaches less than 32."""
    config = TrainingConfig(
        pairs=(pairs,), recipe="laptop", preset_options={"width": 24, "blocks1": 3, "features": 16, "blocks2": 1},
        epochs=(1, 0, 0), epoch_steps=400, learning_rates=(3e-3, 1e-4, 1e-5), ema=0.9,
    )  # fmt: skip
    trainer = a_trainer(config, tmp_path)
    file = PairsFile(pairs)
    rows = np.flatnonzero((file.table["split"] == "train") & (file.table["scanner"] == 0))
    patches = [file[int(rows[index % len(rows)])] for index in range(8)]
    corners = [(16 * (index // len(rows)), 8 * index) for index in range(8)]
    lr, mr, hr = (
        torch.from_numpy(
            np.stack([
                patch[member][f * r : f * (r + 48), f * c : f * (c + 48)]
                for patch, (r, c) in zip(patches, corners, strict=True)
            ])
        ).permute(0, 3, 1, 2).float() / 255
        for member, f in enumerate((1, 2, 4))
    )  # fmt: skip
    for number in range(400):
        trainer.step = number
        trainer._take_step(0, number, lr, {"10x": mr, "20x": hr})
    card = ModelCard(name="overfit", preset="lite", preset_options=config.preset_options)
    engine = Engine(trainer.averaged(), card, device="cpu", precision="fp32")
    reached: list[float] = []
    for index in range(8):
        pixels: list[Any] = [np.rint(one[index].permute(1, 2, 0).numpy() * 255).astype(np.uint8) for one in (lr, mr)]
        reached.append(psnr(engine.apply(pixels[0])[0], pixels[1]))
    assert np.mean(reached) > 35
