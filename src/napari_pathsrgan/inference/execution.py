"""The backend and precision that compute a network: what decides the last grey level of a pixel. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from napari_pathsrgan.errors import StoreMismatchError
from napari_pathsrgan.inference.backend import preview_precisions
from napari_pathsrgan.slides.pyramid_store import PyramidStore
from napari_pathsrgan.tiles.product import Product

if TYPE_CHECKING:
    from napari_pathsrgan.inference.backend import BackendName, Precision


@dataclass(frozen=True)
class Execution:
    """How a network is computed.

    Attributes
    ----------
    backend : str
        One of ``BACKENDS.names()``.
    precision : {"fp32", "bf16", "fp16", "int8"}
    """

    backend: BackendName
    precision: Precision

    def __str__(self) -> str:
        return f"{self.backend} {self.precision}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read it as `str` writes it."""
        backend, precision = text.split()
        return cls(backend, precision)  # type: ignore[arg-type]


def network_product(weights_hash: str, precision: str) -> Product:
    """Say whose pixels a network of these weights makes in a precision, "auto" among them."""
    return Product("computed", weights_hash, "int8" if precision in preview_precisions() else "exact")


def resume_execution(store: Path, backend: BackendName, precision: Precision) -> tuple[BackendName, Precision]:
    """Settle how a run computes: as the store that it goes on with was begun, where there is one.

    Tiles of one store are computed in one way, or it would depend on when a run was stopped which pixels one gets.

    Parameters
    ----------
    store : Path
        The output; need not be there.
    backend, precision : str
        What was asked for; "auto" takes what the store remembers.

    Raises
    ------
    StoreMismatchError
        If something else was asked for than what the store was begun with, or the folder is no store of ours.
    """
    begun = PyramidStore.open(store).identity.execution if (store / "zarr.json").is_file() else ""
    if not begun:
        return backend, precision
    there = Execution.parse(begun)
    if backend not in ("auto", there.backend) or precision not in ("auto", there.precision):
        raise StoreMismatchError(
            f"{store.name} was begun in {there.precision} by {there.backend}, and goes on in nothing else.",
            f"Give --precision {there.precision} --backend {there.backend} or neither, or choose another output.",
        )
    return there.backend, there.precision
