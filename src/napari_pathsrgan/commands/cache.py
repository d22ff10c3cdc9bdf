"""The command cache: whether computed tiles are kept on disk, where, and how many."""

from __future__ import annotations

import math
from typing import Literal

from napari_pathsrgan.commands.command import Command, Options
from napari_pathsrgan.commands.output import columns, print_result
from napari_pathsrgan.errors import OptionError

_GB = 10**9


class CacheOptions(Options):
    """What to change about the cache.

    Attributes
    ----------
    keep : {"yes", "no"}, optional
        Whether computed views are kept from now on, so that a slide opened again is sharp at once.
    max_gb : float, optional
        Bound of what is kept, GB; the slides used longest ago leave first.
    clear : bool
        Remove all computed views that are kept, and nothing else.
    """

    keep: Literal["yes", "no"] | None = None
    max_gb: float | None = None
    clear: bool = False


def cache(options: CacheOptions, as_json: bool) -> None:
    """Say what the window keeps of computed views on disk, or change that.

    Nothing is kept before you have said yes: these are pixels of patients. PATHSRGAN_KEEP_TILES=1 or 0 says it for one
    session; PATHSRGAN_CACHE chooses the folder.
    """
    from napari_pathsrgan.inference.cache_folder import (
        CacheFolder,
        cache_settings,
        default_folder,
        remember_cache_settings,
    )

    if options.max_gb is not None and not 0 <= options.max_gb < math.inf:
        raise OptionError(f"A cache can't hold {options.max_gb} GB.", "Give --max-gb 0 or more.")
    if options.keep is not None or options.max_gb is not None:
        max_bytes = None if options.max_gb is None else round(options.max_gb * _GB)
        remember_cache_settings(None if options.keep is None else options.keep == "yes", max_bytes)
    settings, folder = cache_settings(), CacheFolder(default_folder())
    if options.clear:
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
    print_result(record, columns(rows), as_json)


COMMAND = Command(name="cache", options=CacheOptions, run=cache)
