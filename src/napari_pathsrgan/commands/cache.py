"""The command cache: whether computed views are kept on disk, where, and how much."""

from __future__ import annotations

import math
from typing import Literal

from napari_pathsrgan.commands.report import Json, columns, tell
from napari_pathsrgan.errors import OptionError

_GB = 10**9


def cache(
    *, keep: Literal["yes", "no"] | None = None, max_gb: float | None = None, clear: bool = False, json: Json = False
) -> None:
    """Say what the window keeps of computed views on disk, or change that.

    Nothing is kept before you have said yes: these are pixels of patients. PATHSRGAN_KEEP_TILES=1 or 0 says it for one
    session; PATHSRGAN_CACHE chooses the folder.

    Parameters
    ----------
    keep
        Whether computed views are kept from now on, so that a slide opened again is sharp at once.
    max_gb
        Bound of what is kept; the slides used longest ago leave first.
    clear
        Remove all computed views that are kept, and nothing else.
    """
    from napari_pathsrgan.inference.cache_folder import (
        CacheFolder,
        cache_settings,
        default_folder,
        remember_cache_settings,
    )

    if max_gb is not None and not 0 <= max_gb < math.inf:
        raise OptionError(f"A cache can't hold {max_gb} GB.", "Give --max-gb 0 or more.")
    if keep is not None or max_gb is not None:
        max_bytes = None if max_gb is None else round(max_gb * _GB)
        remember_cache_settings(None if keep is None else keep == "yes", max_bytes)
    settings, folder = cache_settings(), CacheFolder(default_folder())
    if clear:
        folder.clear()
    n_bytes, n_stores = folder.size_bytes(), len(folder.stores())
    record = {
        "folder": folder.path,
        "keep": settings.keep,
        "max_bytes": settings.max_bytes,
        "bytes": n_bytes,
        "stores": n_stores,
    }
    rows = [
        ("Folder", str(folder.path)),
        ("Computed views", "are kept" if settings.keep else "are not kept (--keep yes changes that)"),
        ("There now", f"{n_bytes / _GB:.2f} GB of {n_stores} slides and models"),
        ("At most", f"{settings.max_bytes / _GB:g} GB"),
    ]
    tell(record, columns(rows), json)
