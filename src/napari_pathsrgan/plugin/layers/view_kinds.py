"""View kinds: what a layer can show of a slide, one object per kind.

A new kind is one `ViewKind`, given to `register_view_kind` before the dock opens. The dock's tick boxes, the panes,
their labels and the tiles follow from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_pathsrgan.plugin.layers.names import LONGEST_NAME, pixel_size, safe_name
from napari_pathsrgan.text import printable

if TYPE_CHECKING:
    from napari_pathsrgan.inference.derived_source import CachedTile, RegionReader
    from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide
    from napari_pathsrgan.tiles.product import Product

_MODEL_CONTENT = "computed"


@dataclass(frozen=True)
class ViewKind:
    """What a layer shows of a slide.

    Attributes
    ----------
    name : str
        Identity among the kinds.
    title : str
        First part of the pane's label and of the layer's name; a computed image says "computed".
    box, tip : str
        Text and tool tip of its tick box in the dock; no box where the text is empty.
    finest_level : int
        Level of the super-resolved slide the layer begins with.
    content : str
        `Product.content` of its tiles of computed levels.
    uses_model : bool
        Whether the model decides its pixels. The label then names the model.
    derive : callable (SuperResolvedSlide, CachedTile) -> RegionReader, optional
        Makes what computes regions of a derived image. None for tiles of the scan and of the network.
    n_threads : int
        Tiles of a derived image that may be made at the same time.
    shown_at_first : bool
        Whether a new slide is shown with it.
    of_model : str
        Name of the model where it is another one than the slide is shown with.
    """

    name: str
    title: str
    box: str = ""
    tip: str = ""
    finest_level: int = 0
    content: str = _MODEL_CONTENT
    uses_model: bool = True
    derive: Callable[[SuperResolvedSlide, CachedTile], RegionReader] | None = None
    n_threads: int = 2
    shown_at_first: bool = False
    of_model: str = ""

    @property
    def is_source(self) -> bool:
        """Whether the slide's own layer shows it, which napari's reader adds."""
        return self.content == "scan"

    def product(self, of_model: Product) -> Product:
        """Make the product of its tiles from that of the model in use."""
        if self.uses_model:
            return of_model._replace(content=self.content)
        return type(of_model)(self.content)

    def open_reader(self, super_resolved: SuperResolvedSlide, cached: CachedTile) -> RegionReader:
        """Make what computes exact regions of one slide."""
        return super_resolved.read if self.derive is None else self.derive(super_resolved, cached)

    def for_model(self, name: str) -> ViewKind:
        """Make the same kind of another model, shown beside that of the model in use."""
        return replace(self, name=f"{self.name} by {name}", of_model=name, box="")

    def layer_name(self, mpp: float, preview: bool = False) -> str:
        """Name its layer, with signs that file names may have: napari's writers make file names of layer names."""
        by = (safe_name(self.of_model),) if self.of_model else ()
        return " · ".join((self.title, *by, pixel_size(mpp), *_preview(preview)))

    def label(self, mpp: float, model: str, preview: bool = False) -> str:
        """Write what the pane's label says, whatever the layer is called.

        Parameters
        ----------
        mpp : float
            Of its finest level.
        model : str
            Name of the model in use.
        preview : bool
            Whether int8 arithmetic computes it.
        """
        by = (printable(model, LONGEST_NAME),) if self.uses_model and model else ()
        return " · ".join((self.title, *by, f"{mpp:.3f} µm/px", *_preview(preview)))


def _preview(preview: bool) -> tuple[str, ...]:
    return ("int8 preview",) if preview else ()


_KINDS: dict[str, ViewKind] = {}


def register_view_kind(kind: ViewKind) -> ViewKind:
    """Add a kind; its pane comes to the right of those that are registered already.

    Raises
    ------
    ValueError
        If there is a kind of that name.
    """
    if kind.name in _KINDS:
        raise ValueError(f"There is a view kind “{kind.name}” already. Choose another name.")
    _KINDS[kind.name] = kind
    return kind


def remove_view_kind(kind: ViewKind) -> None:
    """Undo `register_view_kind`."""
    del _KINDS[kind.name]


def view_kinds() -> tuple[ViewKind, ...]:
    """List all kinds, in the order of their panes from left to right."""
    return tuple(_KINDS.values())


def _disagreement(super_resolved: SuperResolvedSlide, cached: CachedTile) -> RegionReader:
    from napari_pathsrgan.inference.consistency_view import ConsistencyView  # SciPy would make the window wait

    return ConsistencyView(super_resolved, cached).read


SCAN = register_view_kind(
    ViewKind(
        "scan",
        "scan",
        "4×",
        "The slide as scanned (default: shown)",
        content="scan",
        uses_model=False,
        shown_at_first=True,
    )
)
SR_10 = register_view_kind(
    ViewKind(
        "sr-10x",
        "SR-10× computed",
        "10×",
        "Computed 10× view, 0.586 µm/px (default: shown)",
        finest_level=1,
        shown_at_first=True,
    )
)
SR_20 = register_view_kind(
    ViewKind(
        "sr-20x",
        "SR-20× computed",
        "20×",
        "Computed 20× view, 0.293 µm/px (default: shown)",
        shown_at_first=True,
    )
)
CONSISTENCY = register_view_kind(
    ViewKind(
        "consistency",
        "Disagreement with the scan · SR-20× computed",
        "disagreement",
        "The computed 20× view, orange where it disagrees with the scan (default: hidden); begins after some seconds",
        content="consistency",
        derive=_disagreement,
        n_threads=1,
    )
)
BICUBIC = register_view_kind(
    ViewKind(
        "bicubic",
        "Bicubic 20×",
        "bicubic",
        "The scan enlarged to 20× without a network, for comparison (default: hidden)",
        content="bicubic",
        uses_model=False,
        derive=lambda super_resolved, _cached: super_resolved.read_bicubic,
    )
)
