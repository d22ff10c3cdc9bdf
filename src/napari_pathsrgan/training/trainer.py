"""The training loop: three phases of pixel loss, checkpoints that survive a kill, weights with a card at the end.

A run folder holds ``config.json``, ``state.pt`` (network, average, optimiser, step), ``metrics.jsonl`` and, once there
is one, ``generator.safetensors``.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_pathsrgan.errors import CardMismatchError, CheckpointError, OutputError
from napari_pathsrgan.models.checkpoint import load_generator, save_generator
from napari_pathsrgan.models.presets import build_generator
from napari_pathsrgan.models.zoo import RUN_FOLDER_FILE, find_model
from napari_pathsrgan.training.losses import charbonnier

if TYPE_CHECKING:
    from napari_pathsrgan.models.card import ModelCard
    from napari_pathsrgan.models.generator import Generator
    from napari_pathsrgan.training.config import TrainingConfig
    from napari_pathsrgan.training.fields import PatchSampler

STATE_FILE = "state.pt"


class Trainer:
    """Trains one generator in one run folder.

    Parameters
    ----------
    config : TrainingConfig
        Decides everything; saved in the folder, and a folder of another config is refused.
    folder : Path
        Created if absent; a run found there is continued.
    sampler : PatchSampler
        Where patches come from.
    """

    def __init__(self, config: TrainingConfig, folder: Path, sampler: PatchSampler) -> None:
        self.config = config
        self.folder = folder
        self.sampler = sampler
        self.step = 0
        self._stopping = False
        torch.manual_seed(config.seed)
        self.network = build_generator(config.preset, **config.preset_options)
        if config.start_from is not None:
            self._begin_with(config.start_from)
        self.network.to(memory_format=torch.channels_last)
        self.average = build_generator(config.preset, **config.preset_options)
        self.average.load_state_dict(self.network.state_dict())
        self.optimiser = self._phase_optimiser(0)
        self._claim_folder()
        self._resume()

    def _begin_with(self, reference: str) -> None:
        start, card = load_generator(find_model(reference))
        if (card.preset, card.preset_options) != (self.config.preset, self.config.preset_options):
            raise CardMismatchError(
                f"The model “{card.name}” is another network than “{self.config.preset}” with the options given.",
                "Train with the preset and options on its card.",
            )
        self.network.load_state_dict(start.state_dict())

    def run(self, report: Callable[[dict[str, float]], None] | None = None) -> bool:
        """Train until the last step, or until SIGTERM or SIGINT asks to stop.

        Parameters
        ----------
        report : callable, optional
            Gets step, phase, loss and seconds per step every 50 steps.

        Returns
        -------
        bool
            True when the training is finished, False when it was stopped and can be resumed.
        """
        previous = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        saved_at, window, began = time.monotonic(), [], time.monotonic()
        try:
            while self.step < sum(self.config.steps) and not self._stopping:
                window.append(self._train_step())
                if len(window) == 50:
                    row = {"step": self.step, "phase": self._optimised_phase + 1, "loss": float(np.mean(window))}
                    row["s_per_step"] = round((time.monotonic() - began) / len(window), 4)
                    self._log(row)
                    if report:
                        report(row)
                    window, began = [], time.monotonic()
                if time.monotonic() - saved_at > self.config.checkpoint_every_s:
                    self.save()
                    saved_at = time.monotonic()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        self.save()
        return self.step >= sum(self.config.steps)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _phase(self) -> tuple[int, float]:
        """Phase of the current step (0, 1, 2) and how much of it is done (0 to 1)."""
        done = self.step
        for phase, steps in enumerate(self.config.steps):
            if done < steps or phase == 2:
                return phase, min(1.0, done / max(1, steps))
            done -= steps
        raise AssertionError("unreachable: the loop ends in phase 2")

    def _phase_parameters(self, phase: int) -> list[nn.Parameter]:
        stages: Sequence[nn.Module] = (
            (self.network.stage1,), (self.network.stage2,), (self.network.stage1, self.network.stage2)
        )[phase]  # fmt: skip
        return [parameter for stage in stages for parameter in stage.parameters()]

    def _phase_optimiser(self, phase: int) -> torch.optim.Adam:
        """Adam as published (β 0.9, 0.999), anew for each phase."""
        self._optimised_phase = phase
        trained = self._phase_parameters(phase)
        for parameter in self.network.parameters():
            parameter.requires_grad_(any(parameter is other for other in trained))
        return torch.optim.Adam(trained, lr=self.config.learning_rates[phase], betas=(0.9, 0.999))

    def _train_step(self) -> float:
        phase, share = self._phase()
        if phase != self._optimised_phase:
            self.optimiser = self._phase_optimiser(phase)
        rate = self.config.learning_rates[phase] * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        # One generator per step: a resumed run draws what an unbroken one would have drawn.
        rng = np.random.default_rng((self.config.seed, self.step))
        lr, mr, hr = (_to_tensor(images) for images in self.sampler.draw(self.config.batch, rng))
        loss = self._loss(phase, lr, mr, hr)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._phase_parameters(phase), 1.0)
        self.optimiser.step()
        self._average(min(self.config.ema, (self.step + 1) / (self.step + 10)))
        self.step += 1
        return float(loss.detach())

    def _loss(self, phase: int, lr: Tensor, mr: Tensor, hr: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=_cpu_has_bf16()):
            if phase == 0:
                return charbonnier(self.network.mr_features(lr)[1], mr)
            if phase == 1:
                with torch.no_grad():
                    features, _ = self.network.mr_features(lr)
                return charbonnier(self.network.hr_from(features, lr), hr)
            features, computed_mr = self.network.mr_features(lr)
            return charbonnier(computed_mr, mr) + charbonnier(self.network.hr_from(features, lr), hr)

    def _average(self, decay: float) -> None:
        with torch.no_grad():
            for kept, current in zip(self.average.parameters(), self.network.parameters(), strict=True):
                kept.lerp_(current, 1 - decay)

    def _log(self, row: dict[str, float]) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def _claim_folder(self) -> None:
        path = self.folder / "config.json"
        text = self.config.model_dump_json(indent=2)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.read_text() != text:
                raise OutputError(
                    f"{self.folder} holds a training with other settings.",
                    "Choose another folder, or the same settings.",
                )
            path.write_text(text)
        except OSError as error:
            raise OutputError(f"{self.folder} can't be written: {error}.", "Choose another folder.") from error

    def save(self) -> None:
        """Write a checkpoint, whole or not at all."""
        partial = self.folder / f".{STATE_FILE}.partial"
        state: dict[str, Any] = {
            "step": self.step,
            "phase": self._optimised_phase,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        try:
            torch.save(state, partial)
            partial.replace(self.folder / STATE_FILE)
        except (OSError, RuntimeError) as error:
            raise OutputError(
                f"The checkpoint in {self.folder} can't be written: {error}.", "Free some space and resume."
            ) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def _resume(self) -> None:
        path = self.folder / STATE_FILE
        if not path.exists():
            return
        try:
            state = torch.load(path, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser = self._phase_optimiser(int(state["phase"]))
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = int(state["step"])
        except Exception as error:  # damaged bytes fail in any way: struct.error, AssertionError, IndexError …
            raise CheckpointError(f"{path} is damaged.", "Remove it to start the training anew.") from error

    def export(self, card: ModelCard) -> ModelCard:
        """Write the averaged weights with their card into the run folder."""
        dated = card.model_copy(update={"date": datetime.now(UTC).date().isoformat()})
        return save_generator(self.average, dated, self.folder / RUN_FOLDER_FILE)

    def averaged(self) -> Generator:
        """The averaged weights as a network in eval mode."""
        return self.average.eval()


def _to_tensor(images: np.ndarray) -> Tensor:
    """(N, H, W, 3) uint8 → (N, 3, H, W) float32, 0 to 1, channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div_(255)


def _cpu_has_bf16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and torch.backends.cpu.get_cpu_capability() == "AVX512"
