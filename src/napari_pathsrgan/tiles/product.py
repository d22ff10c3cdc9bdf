"""Which image of a slide a tile belongs to: everything beside the place that decides its pixels."""

from __future__ import annotations

import json
from typing import Literal, NamedTuple

PrecisionClass = Literal["exact", "int8"]
"""Precisions of one class give the same pixels but for a grey level here and there; int8 is a preview."""
Merge = Literal["exact", "blended"]
"""Whether windows have all the context they need, or overlap and are added up with weights, as the paper has it."""


class Product(NamedTuple):
    """One image of a slide.

    A value: hashed and compared by the scheduler and the caches, written as `text` by stores, never taken apart. A
    tuple, for the scheduler hashes hundreds of them between two tiles.

    Attributes
    ----------
    content : str
        "scan", the slide's own pixels; "computed", what a network makes of them; or the name of a derived image, such
        as "bicubic".
    model : str
        Hash of the network's weights, also where they are a mixture of two models; empty where no network is involved.
    precision : {"exact", "int8"}
    merge : {"exact", "blended"}
    conditioning : str
        Short hash of the scanner that the network was told of; empty for a network that is told nothing.
    """

    content: str = "scan"
    model: str = ""
    precision: PrecisionClass = "exact"
    merge: Merge = "exact"
    conditioning: str = ""

    @property
    def text(self) -> str:
        """The one written form: JSON with sorted keys."""
        return json.dumps(self._asdict(), sort_keys=True, separators=(",", ":"))

    @property
    def is_preview(self) -> bool:
        """Whether its pixels only come near those of an exact precision."""
        return self.precision == "int8"


SCAN = Product("scan")
