"""Options that several verbs share, and how one that is out of range is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from cyclopts import Parameter, Token
from pydantic import BaseModel, ValidationError

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.inference.backend import BackendName  # noqa: TC001 - the command line reads it at run time

Config = TypeVar("Config", bound=BaseModel)
RegionUm = tuple[float, float, float, float]

_FARTHEST_UM = 1e9
"""Beyond a kilometre there is no slide."""


@Parameter(name="*")
@dataclass(frozen=True)
class NetworkOptions:
    """Which network, and where it runs.

    Parameters
    ----------
    model : str
        A name from `pathsrgan models list`, a .safetensors file, or a training's folder. NAME@0.5 is halfway from the
        PSNR model on NAME's card to NAME itself.
    device : str
        auto, cpu, cuda, cuda:1 or mps.
    precision : {"auto", "fp32", "bf16", "fp16", "int8"}
        auto takes what is fastest here and gives the same pixels. int8 is a preview by OpenVINO: sooner, but a few grey
        levels off; how far is said.
    backend : str
        What computes. auto takes what is fastest here and gives the same pixels: torch, openvino where it is installed,
        or winograd for networks such as lite on a CPU; with a precision that is named, torch.
    """

    model: str = "lite"
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    backend: BackendName = "auto"


@Parameter(name="*")
@dataclass(frozen=True)
class ModelOptions(NetworkOptions):
    """Which network looks at the slide, and how.

    Parameters
    ----------
    mpp : float, optional
        Pixel size of the slide in µm, where the file does not say it or is wrong: 1.465 for a usual 4× scan.
    """

    mpp: float | None = None


def validated(config: type[Config], **values: Any) -> Config:
    """Make a config object from options.

    Raises
    ------
    OptionError
        For the first value out of range, by the name of its option.
    """
    try:
        return config(**values)
    except ValidationError as error:
        raise out_of_range(error) from error


def out_of_range(error: ValidationError) -> OptionError:
    """Say the first thing wrong with a config in terms of the option it came from."""
    first = error.errors()[0]
    option = ".".join(str(part).replace("_", "-") for part in first["loc"] if not isinstance(part, int))
    if first["type"] == "missing":
        return OptionError(f"--{option} is missing.", "It has no default.")
    reason = first["msg"].removeprefix("Value error, ")  # which pydantic puts before what our own validators say
    return OptionError(f"--{option} can't be {str(first['input'])!r}.", f"{reason}.")


def options_again(config: BaseModel, usual: BaseModel | None = None) -> list[str]:
    """Write a config's options again, those that differ from the defaults, without folders of this machine.

    Parameters
    ----------
    config : BaseModel
    usual : BaseModel, optional
        Its values count as defaults instead of the config's own.
    """
    words: list[str] = []
    for name, about in type(config).model_fields.items():
        value = getattr(config, name)
        default = getattr(usual, name, about.get_default(call_default_factory=True))
        if not about.is_required() and value == default:
            continue
        option = f"--{(about.alias or name).replace('_', '-')}"
        if isinstance(value, dict):
            words += [word for key, one in value.items() for word in (f"{option}.{key}", _bare(one))]
        elif isinstance(value, tuple) and any(isinstance(one, Path) for one in value):
            words += [word for one in value for word in (option, _bare(one))]
        else:
            words += [option, *map(_bare, value if isinstance(value, tuple) else (value,))]
    return words


def _bare(value: Any) -> str:
    """A value as it is typed; of a path its last part alone."""
    return f"{value:g}" if isinstance(value, float) else Path(str(value)).name


def parse_region(_: Any, tokens: Sequence[Token]) -> RegionUm:
    """Read a region as it is typed; OptionError for anything but four numbers that may lie on a slide."""
    text = tokens[0].value
    try:
        row, col, height, width = (float(part) for part in text.split(","))
        if not all(abs(part) <= _FARTHEST_UM for part in (row, col, height, width)):  # NaN is not either
            raise ValueError(text)
    except ValueError as error:
        raise OptionError(
            f"The region “{text}” is not four numbers.", "Give it as ROW,COL,HEIGHT,WIDTH in µm, such as 0,0,500,500."
        ) from error
    return row, col, height, width
