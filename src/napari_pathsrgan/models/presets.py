"""The generators by name: how to build each and what it needs around a tile.

Importing this module imports torch; `models.card.PRESET_NAMES` lists the names without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.models.generator import (
    AuthorsStage,
    DenseSum,
    DenseUNet,
    Generator,
    StackingStage,
)
from napari_pathsrgan.models.initialisation import initialise_dense, initialise_near_bicubic
from napari_pathsrgan.models.lite import LiteStage1, LiteStage2


def build_paper(width: int = 64, dense_sum: DenseSum = "running", bicubic_skip: bool = False) -> Generator:
    """Build the network of the paper's text (Ma et al. 2020, § III-C): 23.5 M parameters at full width.

    Parameters
    ----------
    width : int
        Channels of the first level: 64 as published, 32 for "half width". All others are in proportion.
    dense_sum : {"running", "literal"}
        See `blocks.DenseAdditionBlock`.
    bicubic_skip : bool
        Add the bicubic enlargement to both pictures; off as published.
    """
    _refuse_beyond(width=(width, 128))
    stage1 = DenseUNet((width, 2 * width, 4 * width), dense_sum=dense_sum)
    network = Generator(stage1, StackingStage(width), bicubic_skip)
    initialise_dense(network)
    return network


def build_authors() -> Generator:
    """Build the network of the authors' released code: 24.3 M parameters."""
    stage1 = DenseUNet(
        picture_kernel=7, negative_slope=0.01, dense_sum="literal", first_level_entry=False, entry_activation=False
    )
    network = Generator(stage1, AuthorsStage(), bicubic_skip=False)
    initialise_dense(network)
    return network


def build_lite(width: int = 48, blocks1: int = 6, features: int = 32, blocks2: int = 2) -> Generator:
    """Build ours for a laptop without a GPU: 0.35 M parameters, 30 kMAC per 20× pixel.

    Parameters
    ----------
    width, blocks1 : int
        Channels and residual blocks on the input grid.
    features, blocks2 : int
        Channels and residual blocks on the 10× grid.
    """
    _refuse_beyond(width=(width, 256), blocks1=(blocks1, 64), features=(features, 256), blocks2=(blocks2, 64))
    network = Generator(LiteStage1(width, blocks1, features), LiteStage2(features, blocks2), bicubic_skip=True)
    initialise_near_bicubic(network)
    return network


def _refuse_beyond(**options: tuple[int, int]) -> None:
    """Raise ValueError for a size that is no whole number from 0 to its bound, which keeps networks below 600 MB."""
    for name, (value, most) in options.items():
        if type(value) is not int or not 0 <= value <= most:
            raise ValueError(f"{name} is {value!r}; it goes up to {most}")


BUILDERS: dict[str, Callable[..., Generator]] = {
    "paper": build_paper,
    "authors": build_authors,
    "lite": build_lite,
}


def build_generator(preset: str, **options: Any) -> Generator:
    """Build a generator by its preset's name.

    Parameters
    ----------
    preset : {"paper", "authors", "lite"}
        Name of the network.
    **options
        The preset's own, as recorded in a checkpoint's card.

    Raises
    ------
    OptionError
        For an unknown preset or option.
    """
    if preset not in BUILDERS:
        raise OptionError(f"There is no network called “{preset}”.", f"Choose one of {', '.join(BUILDERS)}.")
    try:
        return BUILDERS[preset](**options)
    except (TypeError, ValueError, RuntimeError) as error:  # of another type, negative, or too large for memory
        raise OptionError(
            f"The network “{preset}” does not take these options: {', '.join(map(str, options))} ({error}).",
            "Leave them out, or use the version of napari-pathsrgan that wrote them.",
        ) from error
