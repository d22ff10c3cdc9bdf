"""What the scheduler asks of a place where tiles are computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from napari_pathsrgan.tiles.grid import TileKey
from napari_pathsrgan.types import Pixels

Done = Callable[[Mapping[TileKey, Pixels], Exception | None], None]


class TileSource(Protocol):
    """A place where tiles are computed: the inference process, or threads that read the slide.

    None of its methods is called with a lock of the scheduler's held; `capacity` is, so it only looks up a number.
    """

    @property
    def capacity(self) -> int:
        """How many jobs may be under way at once."""

    def accepts(self, key: TileKey) -> bool:
        """Whether this source computes that tile."""

    def batch(self, first: TileKey, wanted: Sequence[TileKey]) -> tuple[TileKey, ...]:
        """Choose the tiles of one job.

        Parameters
        ----------
        first : TileKey
            The tile whose turn it is.
        wanted : sequence of TileKey
            What may be computed now, `first` included, most urgent first.

        Returns
        -------
        tuple of TileKey
            `first` and those to compute with it. It may also name by-products that nobody has asked for yet: while the
            job runs, whoever comes to want one waits for it instead of having it computed again.
        """

    def start(self, keys: tuple[TileKey, ...], done: Done) -> None:
        """Begin a job and return at once.

        `done` is called exactly once, from any thread, even from within `start`: with the tiles, perhaps more than
        asked for, each (h, w, 3) uint8 and handed over for good; or with those there are and an exception.
        """
