"""How good forecasts were: coverage, confidence, and forecasts against what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from foretell.forecast import Floats
from foretell.plots.style import (
    BLUE,
    CYCLE,
    GREY,
    INK,
    figure,
    labelled,
    log_axis,
    look,
    percent_axis,
)

_MARKERS = "osD^vP"
_MOST_POINTS = 4000


def coverage_figure(coverage: Mapping[str, Mapping[str, float]], title: str) -> Figure:
    """Return, per name (a metric, a split), how many outcomes intervals held against their level.

    `coverage` is by name and by level as text, such as {"duration_s": {"0.8": 0.79}}.
    """
    with look():
        picture = figure(6.2, 5.2)
        axes = picture.subplots()
        axes.plot([0, 1], [0, 1], color=INK, lw=1, ls="--", label="as asked")
        for i, (name, levels) in enumerate(coverage.items()):
            asked = sorted(float(level) for level in levels)
            held = [levels[_key(levels, level)] for level in asked]
            axes.plot(asked, held, color=CYCLE[i % 6], marker=_MARKERS[i % 6], lw=1.6, label=name)
        low = min([0.5, *(v for levels in coverage.values() for v in levels.values())])
        axes.set_xlim(low - 0.05, 1.02)
        axes.set_ylim(low - 0.05, 1.02)
        axes.set_aspect("equal")
        percent_axis(axes, "x")
        percent_axis(axes, "y")
        axes.set_title(title)
        axes.set_xlabel("level of the interval")
        axes.set_ylabel("outcomes that it held")
        axes.grid(color=GREY, alpha=0.2, lw=0.6)
        axes.legend(loc="upper left", fontsize=9)
    return picture


def reliability_figure(confidence: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> Figure:
    """Return, per metric, how often a forecast of some confidence was right.

    Each entry has `asked`, `true` and `rows`; the area of a point says how many rows it has.
    """
    with look():
        picture = figure(6.2, 5.2)
        axes = picture.subplots()
        axes.plot([0, 1], [0, 1], color=INK, lw=1, ls="--", label="as said")
        most = max((e["rows"] for found in confidence.values() for e in found), default=1)
        for i, (name, found) in enumerate(confidence.items()):
            asked, true = ([entry[key] for entry in found] for key in ("asked", "true"))
            areas = [12 + 160 * entry["rows"] / most for entry in found]
            colour = CYCLE[i % 6]
            axes.plot(asked, true, color=colour, lw=1, alpha=0.6)
            axes.scatter(asked, true, s=areas, color=colour, marker=_MARKERS[i % 6],
                         alpha=0.75, label=name, lw=0)  # fmt: skip
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_aspect("equal")
        percent_axis(axes, "x")
        percent_axis(axes, "y")
        axes.set_title(title)
        axes.set_xlabel("confidence that was stated")
        axes.set_ylabel("forecasts within 20 %")
        axes.grid(color=GREY, alpha=0.2, lw=0.6)
        axes.legend(loc="upper left", fontsize=9, markerscale=0.8)
    return picture


def scatter_figure(
    metric: str,
    unit: str,
    measured: Floats,
    median: Floats,
    lower: Floats,
    upper: Floats,
    level: float,
) -> Figure:
    """Return forecasts against what was measured, [n] each, with the intervals of some rows."""
    chosen = np.random.default_rng(0).permutation(len(measured))[:_MOST_POINTS]
    m, f, lo, hi = (np.asarray(a)[chosen] for a in (measured, median, lower, upper))
    with look():
        picture = figure(6.2, 5.2)
        axes = picture.subplots()
        bars = slice(0, 300)  # more of them would hide each other
        axes.vlines(m[bars], lo[bars], hi[bars], color=BLUE, alpha=0.25, lw=2,
                    label=f"{100 * level:g} % of outcomes")  # fmt: skip
        axes.plot(m, f, "o", ms=3, color=BLUE, alpha=min(0.8, 20 / np.sqrt(len(m))), mew=0,
                  label="median")  # fmt: skip
        low, high = float(min(m.min(), f.min())), float(max(m.max(), f.max()))
        axes.plot([low, high], [low, high], color=INK, lw=1, ls="--", label="as measured")
        if low > 0 and high / low > 3:
            log_axis(axes, "x", low, high)
            log_axis(axes, "y", low, high)
        axes.set_title(metric)
        axes.set_xlabel(labelled("measured", unit))
        axes.set_ylabel(labelled("forecast", unit))
        axes.grid(color=GREY, alpha=0.2, lw=0.6)
        axes.legend(loc="upper left", fontsize=9)
    return picture


def _key(levels: Mapping[str, float], level: float) -> str:
    return next(text for text in levels if float(text) == level)
