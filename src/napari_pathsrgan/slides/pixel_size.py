"""How wide a pixel is: what files write, in µm, and whether it can be true."""

from __future__ import annotations

import math

#: Pixels wider than this are no micrograph: 300 dpi, the usual meaningless default, is 85 µm/px.
WIDEST_BELIEVABLE_MPP = 50.0

_NARROWEST_BELIEVABLE_MPP = 0.005
"""A light microscope resolves some 0.2 µm; nothing samples it forty times finer."""
_UM = 1e-6
_PREFIXES = {
    "yotta": ("Y", 1e24), "zetta": ("Z", 1e21), "exa": ("E", 1e18), "peta": ("P", 1e15), "tera": ("T", 1e12),
    "giga": ("G", 1e9), "mega": ("M", 1e6), "kilo": ("k", 1e3), "hecto": ("h", 1e2), "deca": ("da", 10.0),
    "": ("", 1.0), "deci": ("d", 0.1), "centi": ("c", 1e-2), "milli": ("m", 1e-3), "micro": ("µ", 1e-6),
    "nano": ("n", 1e-9), "pico": ("p", 1e-12), "femto": ("f", 1e-15), "atto": ("a", 1e-18), "zepto": ("z", 1e-21),
    "yocto": ("y", 1e-24),
}  # fmt: skip
_METRES_PER_SYMBOL = {
    **{f"{symbol}m": metres for symbol, metres in _PREFIXES.values()},
    "μm": _UM, "um": _UM, "µ": _UM, "μ": _UM, "Å": 1e-10, "\u212b": 1e-10, "thou": 2.54e-5, "mil": 2.54e-5,
    "li": 2.54e-2 / 12, "in": 2.54e-2, '"': 2.54e-2, "ft": 0.3048, "yd": 0.9144, "mi": 1609.344, "pt": 2.54e-2 / 72,
    "ua": 149_597_870_700.0, "ly": 9_460_730_472_580_800.0, "pc": 3.0856775814913673e16,
}  # fmt: skip
"""The symbols of OME-XML, which tell capitals from small letters, and usual ones."""
_METRES_PER_NAME = {
    **{f"{prefix}{unit}": metres for prefix, (_, metres) in _PREFIXES.items() for unit in ("meter", "metre")},
    "micron": _UM, "angstrom": 1e-10, "ångström": 1e-10, "inch": 2.54e-2, "inches": 2.54e-2, "foot": 0.3048,
    "feet": 0.3048, "yard": 0.9144, "mile": 1609.344, "parsec": 3.0856775814913673e16,
}  # fmt: skip
"""The names of OME-Zarr (UDUNITS-2), and usual ones."""


def um_per_unit(unit: object) -> float | None:
    """Return a unit of length in µm by the name or symbol that OME-Zarr, OME-XML or ImageJ give it; None for others."""
    if not isinstance(unit, str):
        return None
    symbol, name = unit.strip(), unit.strip().lower()
    metres = _METRES_PER_SYMBOL.get(symbol, _METRES_PER_NAME.get(name, _METRES_PER_NAME.get(name.removesuffix("s"))))
    return None if metres is None else metres / _UM


def believable_pixel_size(row_um: float | None, col_um: float | None) -> tuple[float, float] | None:
    """Return the pixel size a file states, in µm, or None where it's missing or can't be true."""
    if row_um is None or col_um is None:
        return None
    if not all(
        math.isfinite(size) and _NARROWEST_BELIEVABLE_MPP <= size <= WIDEST_BELIEVABLE_MPP for size in (row_um, col_um)
    ):
        return None
    return (row_um, col_um)
