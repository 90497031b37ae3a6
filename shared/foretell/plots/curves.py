"""Curves: medians with their bands, knees, limits, the best point, what was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foretell.decide.curve import CurveAnswer, CurveMetric
from foretell.forecast import Floats
from foretell.plots.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    ORANGE,
    RED,
    figure,
    labelled,
    log_axis,
    look,
    short,
)

LOW_SUPPORT = 0.2
_MOST_COLUMNS = 2


@dataclass(frozen=True)
class Measured:
    """What was really measured along the curve."""

    values: Floats
    """[n], of the feature."""
    metrics: Mapping[str, Floats]
    """By metric, [n]; NaN where it was not measured."""


def curve_figure(
    curve: CurveAnswer,
    title: str,
    measured: Measured | None = None,
    metrics: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
) -> Figure:
    """Return one panel for each metric along the feature, or for those that are named."""
    shown = [m for m in curve.metrics if not metrics or m.metric in metrics]
    columns = min(len(shown), _MOST_COLUMNS)
    rows = math.ceil(len(shown) / columns)
    with look():
        picture = figure(5.4 * columns + 0.4, 3.7 * rows + 0.9)
        picture.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        panels: list[Axes] = list(picture.subplots(rows, columns, squeeze=False).ravel())
        for axes, metric in zip(panels, shown, strict=False):
            _panel(axes, curve, metric, measured, (limits or {}).get(metric.metric))
        for axes in panels[len(shown) :]:
            axes.set_axis_off()
        handles, labels = _entries(panels[: len(shown)])
        picture.legend(handles, labels, loc="outside lower left", ncols=min(len(labels), 4))
    return picture


def _panel(
    axes: Axes,
    curve: CurveAnswer,
    metric: CurveMetric,
    measured: Measured | None,
    limit: float | None,
) -> None:
    x = curve.values
    band = f"{100 * curve.interval_level:g} % of outcomes"
    axes.fill_between(x, metric.lower, metric.upper, color=BLUE, alpha=0.2, lw=0, label=band)
    axes.plot(x, metric.median, color=BLUE, lw=2, label="median")
    positive = bool((metric.lower > 0).all())
    if positive:
        log_axis(axes, "y", float(metric.lower.min()), float(metric.upper.max()))
    if curve.log and x[0] > 0:
        log_axis(axes, "x", float(x[0]), float(x[-1]))
    if measured is not None and metric.metric in measured.metrics:
        found = measured.metrics[metric.metric]
        axes.plot(
            measured.values, found, "o", ms=4.5, mfc="none", mec=INK, mew=1.2, label="measured",
            clip_on=False, zorder=3,
        )  # fmt: skip
    _marks(axes, curve, metric, limit)
    _little_support(axes, curve)
    axes.set_xlim(float(x[0]), float(x[-1]))
    axes.set_title(metric.metric)
    axes.set_xlabel(labelled(curve.feature, curve.unit))
    axes.set_ylabel(labelled(metric.metric, metric.unit))
    axes.grid(color=GREY, alpha=0.2, lw=0.6)


def _marks(axes: Axes, curve: CurveAnswer, metric: CurveMetric, limit: float | None) -> None:
    if not math.isnan(metric.knee):
        axes.axvline(metric.knee, color=GREY, ls="--", lw=1.2, label="knee")
        axes.annotate(
            short(metric.knee), (metric.knee, 1.0), xycoords=("data", "axes fraction"),
            xytext=(3, -3), textcoords="offset points", va="top", color=FAINT, fontsize=9,
        )  # fmt: skip
    if limit is not None:
        axes.axhline(limit, color=RED, ls=":", lw=1.6, label="limit")
    if curve.best is not None:
        i = curve.best.index
        axes.plot(
            curve.values[i], metric.median[i], "*", ms=14, color=ORANGE, mec=INK, mew=0.8,
            clip_on=False, zorder=5,
            label=f"best: {curve.feature} {short(curve.best.value)}",
        )  # fmt: skip


def _little_support(axes: Axes, curve: CurveAnswer) -> None:
    """Hatch where the training data hardly covers the curve."""
    thin = curve.support < LOW_SUPPORT
    if not thin.any():
        return
    edges = _edges(curve.values, log=curve.log)
    label: str | None = f"support below {LOW_SUPPORT:g}"
    for start, stop in _stretches(thin):
        axes.axvspan(
            edges[start], edges[stop], facecolor="none", edgecolor=GREY, alpha=0.35, hatch="///",
            lw=0, label=label,
        )  # fmt: skip
        label = None


def _edges(values: Floats, *, log: bool) -> Floats:
    """Return the borders between points, their outermost ends included."""
    x = np.log(values) if log and values[0] > 0 else values
    borders = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    edges: Floats = np.exp(borders) if log and values[0] > 0 else borders
    return edges


def _stretches(marked: np.ndarray) -> list[tuple[int, int]]:
    padded = np.concatenate([[False], marked, [False]]).astype(int)
    change = np.diff(padded)
    return list(zip(np.flatnonzero(change == 1), np.flatnonzero(change == -1), strict=True))


def _entries(panels: Sequence[Axes]) -> tuple[list[Artist], list[str]]:
    """Return what the legend names, each once."""
    found: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
