"""Plots of a review's results as SVG, drawn by matplotlib. Colours are Okabe & Ito's, told apart by everyone."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_pathsrgan.review.agreement import require
from napari_pathsrgan.review.statistics import SCALE

if TYPE_CHECKING:
    from napari_pathsrgan.review.preference import Preference
    from napari_pathsrgan.review.statistics import OpinionScore

_BAR, _LINE = "#56b4e9", "#222222"
_STEPS = ("#a04000", "#e69f00", "#cccccc", "#56b4e9", "#0072b2")
"""Bad to excellent."""


def plot_means(opinions: Sequence[OpinionScore]) -> str:
    """Draw mean opinion scores as bars with their 95 % intervals; SVG."""
    return _svg(draw_means(opinions))


def draw_means(opinions: Sequence[OpinionScore]) -> Any:
    """Draw mean opinion scores as a matplotlib figure: each figure stands above its interval."""
    figure, axes = _figure(len(opinions))
    for place, one in enumerate(opinions):
        axes.bar(place, one.mean - 1, bottom=1, width=0.6, color=_BAR)
        if not math.isnan(one.low):
            axes.vlines(place, one.low, one.high, color=_LINE)
        if not math.isnan(one.mean):
            above = np.nanmax([one.mean, one.high])  # of the interval, whose line would strike through the figure
            axes.annotate(
                f"{one.mean:.2f}", (place, above), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=9
            )
    axes.set_xticks(range(len(opinions)), [one.method for one in opinions])
    axes.set_ylim(1, 5.5)
    axes.set_yticks(SCALE)
    axes.set_ylabel("MOS, 95 %")
    return figure


def plot_distribution(opinions: Sequence[OpinionScore]) -> str:
    """Draw how often each method was rated 1 to 5 as stacked bars; SVG."""
    figure, axes = _figure(len(opinions))
    for place, one in enumerate(opinions):
        left = 0.0
        for score, count, colour in zip(SCALE, one.counts, _STEPS, strict=True):
            share = count / max(1, one.ratings)
            axes.barh(-place, share, left=left, height=0.6, color=colour, label=str(score) if place == 0 else None)
            left += share
    axes.set_yticks([-place for place in range(len(opinions))], [one.method for one in opinions])
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of ratings")
    axes.legend(ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    return _svg(figure)


def plot_preferences(preferences: Sequence[Preference]) -> str:
    """Draw abilities as points with their 95 % intervals; SVG."""
    figure, axes = _figure(len(preferences))
    for place, one in enumerate(preferences):
        if not math.isnan(one.ability):
            axes.hlines(-place, one.low, one.high, color=_LINE)
            axes.plot([one.ability], [-place], "o", color=_STEPS[-1])
    axes.axvline(0, color="#cccccc", zorder=0)
    axes.set_yticks([-place for place in range(len(preferences))], [one.method for one in preferences])
    axes.set_xlabel("preference, log odds, 95 %")
    return _svg(figure)


def _figure(count: int) -> tuple[Any, Any]:
    require("matplotlib")
    from matplotlib.figure import Figure  # no pyplot: it would look for a screen

    figure = Figure(figsize=(max(4.5, 1.1 * count + 1.5), 3.2), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Any) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]
