"""The verb that makes models: train."""

from __future__ import annotations

import shlex
import sys
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from pydantic import ValidationError

from napari_pathsrgan.cli.report import Json, columns, progress, tell
from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.models.card import PRESET_NAMES
from napari_pathsrgan.training.config import FieldsConfig, TrainingConfig


def _default(config: type[FieldsConfig | TrainingConfig], name: str) -> Any:
    return config.model_fields[name].get_default(call_default_factory=True)


@Parameter(name="*")
@dataclass(frozen=True)
class TrainOptions:
    """A training, as `TrainingConfig` says it.

    Parameters
    ----------
    fields : Path
        Folder of sharp JPEG, PNG or TIFF pictures.
    field_mpp : float
        Their pixel size, µm.
    scans_per_field : int
        Simulated scanners each picture is seen through; the first is a perfect one.
    hold_out_every : int
        One picture in so many is left out, to measure on.
    phantoms : int
        Synthetic fields added.
    preset : str
        The network: lite, paper or authors.
    preset_options : dict
        Its own options, such as `--preset-options.width 32`.
    steps : (int, int, int)
        Steps of the three phases: 10× part, 20× part, both.
    learning_rates : (float, float, float)
        At the start of each phase.
    batch : int
        Patches per step.
    patch_lr_px : int
        Side of a patch on the input grid (1.172 µm/px), a multiple of 8.
    seed : int
        Of weights, patches and scanners.
    ema : float
        Decay of the averaged weights that are kept.
    checkpoint_every_s : float
        Seconds between checkpoints.
    """

    fields: Path
    field_mpp: float = _default(FieldsConfig, "mpp")
    scans_per_field: int = _default(FieldsConfig, "scans_per_field")
    hold_out_every: int = _default(FieldsConfig, "hold_out_every")
    phantoms: int = _default(FieldsConfig, "phantoms")
    preset: str = _default(TrainingConfig, "preset")
    preset_options: dict[str, int] = field(default_factory=dict)
    steps: tuple[int, int, int] = _default(TrainingConfig, "steps")
    learning_rates: tuple[float, float, float] = _default(TrainingConfig, "learning_rates")
    batch: int = _default(TrainingConfig, "batch")
    patch_lr_px: int = _default(TrainingConfig, "patch_lr_px")
    seed: int = _default(TrainingConfig, "seed")
    ema: float = _default(TrainingConfig, "ema")
    checkpoint_every_s: float = _default(TrainingConfig, "checkpoint_every_s")

    def config(self) -> TrainingConfig:
        """Make the object that decides everything; OptionError for a value out of range."""
        own = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        source = {"folder": own.pop("fields"), "mpp": own.pop("field_mpp")}
        source |= {name: own.pop(name) for name in ("scans_per_field", "hold_out_every", "phantoms")}
        if self.preset not in PRESET_NAMES:
            raise OptionError(f"There is no network “{self.preset}”.", f"Choose one of {', '.join(PRESET_NAMES)}.")
        try:
            return TrainingConfig(fields=FieldsConfig(**source), **own)
        except ValidationError as error:
            first = error.errors()[0]
            option = {"mpp": "field-mpp"}.get(str(first["loc"][-1]), str(first["loc"][0]).replace("_", "-"))
            raise OptionError(f"--{option} can't be {first['input']!r}.", f"{first['msg']}.") from error

    def command_line(self) -> str:
        """Write the command again, with what differs from the defaults and without folders of this machine."""
        words = ["pathsrgan", "train", "--fields", self.fields.name]
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.default is MISSING or value == entry.default:
                continue
            words.append(f"--{entry.name.replace('_', '-')}")
            words += map(str, value) if isinstance(value, tuple) else [str(value)]
        words += [
            word for name, value in self.preset_options.items() for word in (f"--preset-options.{name}", str(value))
        ]
        return shlex.join(words)


@Parameter(name="*")
@dataclass(frozen=True)
class CardOptions:
    """What the model's card says beside its figures.

    Parameters
    ----------
    name : str, optional
        Of the model; the run folder's by default.
    credit : str, optional
        Whose pictures they are, as their licence wants it said.
    licence : str, optional
        Of the weights.
    """

    name: str | None = None
    credit: str | None = None
    licence: str | None = None


_USUAL_CARD = CardOptions()


def train(
    *,
    options: TrainOptions,
    out: Annotated[Path, Parameter(help="Run folder; a training found there is continued.")],
    card: CardOptions = _USUAL_CARD,
    json: Json = False,
) -> int:
    """Train a network on single sharp pictures seen through simulated 4× scanners.

    Ctrl+C stops after the current step; the same command goes on from there.
    """
    config = options.config()
    from napari_pathsrgan.training.session import CardWords, train_from_fields

    given = {name: value for name, value in vars(card).items() if value}
    words = CardWords(command=options.command_line(), **given)
    total = sum(config.steps)
    with progress("Making fields") as told:
        written = train_from_fields(config, out, lambda row: told(row["step"], total, "Training"), told, words)
    if written is None:
        print(f"Stopped; the same command goes on from the checkpoint in {out}.", file=sys.stderr)
        return 130
    rows = [(name, f"{value:.4g}") for name, value in written.metrics.items()]
    tell({"out": str(out)} | written.model_dump(), [f"Written: {out}", *(columns(rows) if rows else ())], json)
    return 0
