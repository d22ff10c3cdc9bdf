"""The training loop: phases, checkpoints that survive a kill, one roll-back when it goes wrong."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_pathsrgan.errors import CardMismatchError, TrainingError
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.checkpoint import load_generator
from napari_pathsrgan.models.discriminator import PatchDiscriminator
from napari_pathsrgan.models.perceptual import VGG16
from napari_pathsrgan.models.zoo import find_model
from napari_pathsrgan.training.averaging import update_ema
from napari_pathsrgan.training.data import Batches, PairsRounds, Sampling, loss_of_loaders_told, to_device
from napari_pathsrgan.training.monitor import Monitor
from napari_pathsrgan.training.perceptual_choice import choose_perceptual
from napari_pathsrgan.training.phases import PHASES, VIEWS, LossWeights, PhaseState, StagedGenerator, train_step
from napari_pathsrgan.training.saved_state import check_optimiser
from napari_pathsrgan.training.schedule import Schedule
from napari_pathsrgan.training.stopping import signals_to

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from napari_pathsrgan.models.generator import Generator
    from napari_pathsrgan.training.config import RunOptions, TrainingConfig
    from napari_pathsrgan.training.run_folder import RunFolder

REPORT_STEPS = 50


class Trainer:
    """Trains one generator in one run folder.

    Parameters
    ----------
    config : TrainingConfig
    run : RunOptions
    folder : RunFolder
        A run found there is continued.
    fabric : Fabric
        Launched.

    Raises
    ------
    OptionError, CardMismatchError
        If the pairs or the model to begin with don't fit.
    CheckpointError
        If the run in the folder is damaged.
    """

    def __init__(self, config: TrainingConfig, run: RunOptions, folder: RunFolder, fabric: Fabric) -> None:
        self.config, self.run_options, self.folder, self.fabric = config, run, folder, fabric
        self.step, self.rollbacks = 0, 0
        self._asked_to_stop, self._stopping = False, False
        self._state: PhaseState | None = None
        self._phase_index = 0
        self._weights = LossWeights.of(config)
        self.schedule = Schedule(config, len(PairsRounds(config.pairs, self._sampling())))
        torch.manual_seed(config.seed)
        self.network = self._new_generator()
        self.average = build_generator(config.preset, **config.preset_options).requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        self.discriminators: dict[str, nn.Module] = (
            {view: self._with_shared_norms(PatchDiscriminator(**config.discriminator())) for view in VIEWS}
            if config.beta
            else {}
        )
        saved = folder.load_state()
        self.perceptual_name, self._perceptual = "", None
        if config.alpha:
            with fabric.rank_zero_first():  # what it downloads, the others find
                self._perceptual, card = choose_perceptual(config, (saved or {}).get("perceptual", ""))
            self.perceptual_name = card.name
        for module in (self.network, self.average, *self.discriminators.values(), self._perceptual):
            if module is not None:
                module.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._resume(saved)

    def run(self, report: Callable[[dict[str, Any]], None], sample: Callable[[int, Generator], None]) -> bool:
        """Train until the last step, or until SIGTERM or SIGINT asks to stop.

        Parameters
        ----------
        report : callable
            Every 50 steps gets step, phase, the mean of every term, the learning rate, seconds per step and the part of
            them spent waiting for patches; ``divergence`` where the training was rolled back; and a ``note``, a
            sentence, where another perceptual network takes the place of the one asked for.
        sample : callable
            Now and then gets the step and the averaged generator, to make pictures.

        Returns
        -------
        bool
            True when the training is finished, False when it was stopped and can be continued.

        Raises
        ------
        TrainingError
            If the loss is not a number any more, again after the roll-back.
        OutputError
            If a checkpoint can't be written.
        WorkerError
            If a process that reads patches is killed.
        """
        if self.fabric.is_global_zero:
            self.folder.claim()
        with signals_to(self._stop), loss_of_loaders_told():
            if self.step == 0:
                self._tell_perceptual(report)
                self.save()  # to roll back to
            while self.step < len(self.schedule) and not self._stopping:
                divergence = self._run_until_divergence(report, sample)
                if divergence:
                    self._roll_back(divergence, report)
        self.save()
        return self.step >= len(self.schedule)

    def _tell_perceptual(self, report: Callable[[dict[str, Any]], None]) -> None:
        if self.perceptual_name and self.config.perceptual == VGG16 != self.perceptual_name:
            note = f"VGG16's ImageNet weights can't be had here: “{self.perceptual_name}” takes their place."
            self._report({"step": self.step, "note": note}, report)

    def _report(self, row: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> None:
        """Log and report a row; only the first of several devices does."""
        if self.fabric.is_global_zero:
            self.folder.log(row)
            report(row)

    def _run_until_divergence(
        self, report: Callable[[dict[str, Any]], None], sample: Callable[[int, Generator], None]
    ) -> str:
        sampling = self._sampling()
        rounds = PairsRounds(self.config.pairs, sampling)
        batches = Batches(rounds, sampling, self.step, self.run_options.num_workers)
        coming, monitor = iter(batches), Monitor()
        saved_at = sampled_at = began = time.monotonic()
        window: list[dict[str, float]] = []
        while self.step < len(self.schedule):
            if self._should_stop():
                return ""
            lr, mr, hr = (to_device(images, self.fabric.device) for images in next(coming))
            phase, done = self.schedule.place(self.step)
            terms = self._take_step(phase, done, lr, {"10x": mr, "20x": hr})
            divergence = monitor.divergence(terms)
            if divergence and (self.rollbacks == 0 or not math.isfinite(terms["loss"])):
                return divergence
            self.step += 1
            window.append(terms)
            if (
                len(window) == REPORT_STEPS
                or self.schedule.place(self.step)[0] != phase
                or self.step == len(self.schedule)
            ):
                self._tell(phase, done, window, time.monotonic() - began, batches.waited_s, report)
                window, began, batches.waited_s = [], time.monotonic(), 0.0
            # No checkpoint while a discriminator looks collapsed: it would be what is rolled back to.
            if time.monotonic() - saved_at > self.run_options.checkpoint_every_s and not monitor.doubtful_steps:
                self.save()
                saved_at = time.monotonic()
            if time.monotonic() - sampled_at > self.run_options.samples_every_s:
                sample(self.step, self.averaged())
                sampled_at = time.monotonic()
        return ""

    def _take_step(self, phase: int, done: int, lr: Tensor, real: dict[str, Tensor]) -> dict[str, float]:
        state = self._state
        if state is None or phase != self._phase_index:
            state = self._begin_phase(phase)
        self._set_rate(state, self.schedule.rate(phase, done, self.rollbacks))
        terms = train_step(self.fabric, state, self._weights, lr, real, self._shift())
        if self.fabric.world_size > 1:
            terms = {name: self.fabric.all_reduce(value) for name, value in terms.items()}  # type: ignore[misc]
        plain = {name: float(value) for name, value in terms.items()}
        if math.isfinite(plain["loss"]):
            decay = min(self.config.ema, (self.step + 1) / (self.step + 10))
            update_ema(self.average, self.network, decay)
        return plain

    def _shift(self) -> tuple[int, int]:
        """Draw the shift of the coming step from its number: alike on all devices and after a resume."""
        drawn = np.random.default_rng((self.config.seed, self.step))
        rows, columns = drawn.integers(0, self.config.critic_crop_jitter_px + 1, 2)
        return int(rows), int(columns)

    def _set_rate(self, state: PhaseState, rate: float) -> None:
        for optimiser in (state.optimiser, *(own for _, own in state.discriminators.values())):
            for group in optimiser.param_groups:
                group["lr"] = rate

    def _begin_phase(self, index: int) -> PhaseState:
        """Set up what learns, with fresh optimisers: Adam as published (β 0.9, 0.999)."""
        phase = PHASES[index]
        staged = StagedGenerator(self.network, phase)
        trained = [parameter for parameter in staged.parameters() if parameter.requires_grad]
        generator, optimiser = self.fabric.setup(staged, torch.optim.Adam(trained, betas=(0.9, 0.999)))
        discriminators: dict[str, tuple[nn.Module, Any]] = {}
        for view in phase.views:
            if view in self.discriminators:
                own = self.discriminators[view].train()
                adam = torch.optim.Adam(own.parameters(), betas=(0.9, 0.999))
                wrapped, optimising = self.fabric.setup(own, adam)
                discriminators[view] = (wrapped, optimising)
        self._phase_index = index
        self._state = PhaseState(phase, generator, optimiser, discriminators, self._perceptual, self.average.eval())
        return self._state

    def _tell(
        self,
        phase: int,
        done: int,
        window: list[dict[str, float]],
        seconds: float,
        waited: float,
        report: Callable[[dict[str, Any]], None],
    ) -> None:
        row: dict[str, Any] = {"step": self.step, "steps": len(self.schedule), "phase": phase + 1}
        row |= {name: sum(terms[name] for terms in window) / len(window) for name in window[0]}
        row |= {
            "learning_rate": self.schedule.rate(phase, done, self.rollbacks),
            "s_per_step": round(seconds / len(window), 4),
        }
        row["waiting"] = round(waited / seconds, 4) if seconds else 0.0
        self._report(row, report)

    def _roll_back(self, divergence: str, report: Callable[[dict[str, Any]], None]) -> None:
        """Go back to the last checkpoint, once, with half the rate and other patches: the same would happen again."""
        if self.rollbacks:
            raise TrainingError(
                f"The training went wrong again at step {self.step}: {divergence}.",
                "Take lower learning rates, or smaller weights of the losses; the last good checkpoint is kept.",
            )
        went_wrong_at = self.step
        self._resume(self.folder.load_state())
        self.rollbacks += 1
        self._report({"step": self.step, "divergence": divergence, "went_wrong_at": went_wrong_at}, report)
        self.save()

    def save(self) -> None:
        """Write a checkpoint; only the first of several devices does."""
        optimisers: dict[str, Any] = {}
        if self._state is not None:
            optimisers = {"generator": self._state.optimiser.state_dict()}
            optimisers |= {view: own.state_dict() for view, (_, own) in self._state.discriminators.items()}
        state = {
            "step": self.step,
            "rollbacks": self.rollbacks,
            "phase": self._phase_index,
            "perceptual": self.perceptual_name,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "discriminators": {view: own.state_dict() for view, own in self.discriminators.items()},
            "optimisers": optimisers,
        }
        if self.fabric.is_global_zero:
            self.folder.save_state(state)

    def _resume(self, state: dict[str, Any] | None) -> None:
        self._state, self._phase_index = None, 0
        if state is None:
            return
        try:
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            for view, own in self.discriminators.items():
                own.load_state_dict(state["discriminators"][view])
            self.step, self.rollbacks = int(state["step"]), int(state["rollbacks"])
            if state["optimisers"]:
                resumed = self._begin_phase(int(state["phase"]))
                resumed.optimiser.load_state_dict(state["optimisers"]["generator"])
                check_optimiser(resumed.optimiser)
                for view, (_, adam) in resumed.discriminators.items():
                    adam.load_state_dict(state["optimisers"][view])
                    check_optimiser(adam)
        except (AttributeError, IndexError, KeyError, RuntimeError, ValueError, TypeError) as error:
            raise self.folder.damaged() from error
        if self.fabric.is_global_zero:
            self.folder.forget_after(self.step)

    def averaged(self) -> Generator:
        """The averaged weights as a network in eval mode."""
        return self.average.eval()

    def _with_shared_norms(self, discriminator: nn.Module) -> nn.Module:
        """Have several graphics cards normalise by the whole batch; torch has no such layer for CPUs and MPS."""
        if self.fabric.world_size == 1 or self.fabric.device.type != "cuda":
            return discriminator
        shared: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(discriminator)  # type: ignore[no-untyped-call]
        return shared

    def _new_generator(self) -> Generator:
        config = self.config
        if config.init_from is None:
            return build_generator(config.preset, **config.preset_options)
        network, card = load_generator(find_model(config.init_from))
        if (card.preset, card.preset_options) != (config.preset, config.preset_options):
            raise CardMismatchError(
                f"The model “{card.name}” is another network than “{config.preset}” with the options given.",
                "Train with the preset and options on its card.",
            )
        return network.requires_grad_(True)

    def _sampling(self) -> Sampling:
        config = self.config
        if config.batch_size % self.fabric.world_size:
            raise TrainingError(
                f"A batch of {config.batch_size} can't be shared among {self.fabric.world_size} devices.",
                "Take a multiple of their number.",
            )
        return Sampling(
            config.patch_lr_px, config.batch_size, (config.seed, self.rollbacks), config.stain_jitter,
            config.scanner_jitter, self.fabric.global_rank, self.fabric.world_size,
        )  # fmt: skip

    def _should_stop(self) -> bool:
        """Whether any of the devices was asked to stop: all have to stop at the same step."""
        asked = torch.tensor(float(self._asked_to_stop))  # a signal that comes from here on counts at the next step
        if self.fabric.world_size > 1:
            asked = self.fabric.all_reduce(asked, reduce_op="sum")  # type: ignore[assignment]
        self._stopping = bool(asked > 0)
        return self._stopping

    def _stop(self, *_: object) -> None:
        self._asked_to_stop = True
