"""Heat maps: colour says how much, the size of a cell how sure, hatching where evidence lacks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from foretell.decide.matrix import MatrixTable
from foretell.errors import InvalidInput, NotFound, Violation
from foretell.forecast import Floats
from foretell.plots.style import GREY, INK, SCALE, figure, labelled, log_ticks, look, short

MOST_ROWS, MOST_COLUMNS, MOST_PANELS = 60, 40, 12
LOW_SUPPORT = 0.2
_WIDEST = math.log(10.0)
"""An interval whose ends are so far apart, in logarithms, or farther, has the smallest cell."""
_SMALLEST = 0.35
_CELLS_WITH_TEXT = 160


@dataclass(frozen=True)
class _Grid:
    """One metric of a matrix."""

    metric: str
    unit: str
    axes: Mapping[str, tuple[Any, ...]]
    median: Floats
    lower: Floats
    upper: Floats
    interval_level: float
    support: Floats


def heat_map_figure(table: MatrixTable, metric: str, title: str) -> Figure:
    """Return the picture of one metric: rows and columns, and a panel for each further value.

    The two longest axes are rows and columns. Raises InvalidInput for a matrix too large to read.
    """
    grid = _grid(table, metric)
    rows, columns, panels = _arranged(grid)
    with look():
        picture, places = _canvas(rows, columns, panels, title)
        norm, extend = _norm(grid)
        for axes, (label, index) in zip(places, panels, strict=True):
            _panel(axes, grid, rows, columns, index, norm)
            axes.set_title(label, fontsize=10)
        _explain(picture, grid, norm, extend, places)
    return picture


@dataclass(frozen=True)
class _Side:
    """An axis that became the rows or columns of a picture."""

    name: str
    place: int
    labels: tuple[str, ...]


def _grid(table: MatrixTable, metric: str) -> _Grid:
    for found in table.metrics:
        if found.metric == metric:
            return _Grid(
                metric=metric,
                unit=found.unit,
                axes=table.axes,
                median=found.median,
                lower=found.lower,
                upper=found.upper,
                interval_level=table.interval_level,
                support=table.support,
            )
    raise NotFound("metric", metric, [found.metric for found in table.metrics])


def _arranged(grid: _Grid) -> tuple[_Side, _Side, list[tuple[str, dict[int, int]]]]:
    sides = [
        _Side(name, i, tuple(_label(value) for value in values))
        for i, (name, values) in enumerate(grid.axes.items())
    ]
    if len(sides) == 1:
        sides.insert(0, _Side("", -1, ("",)))
    longest = sorted(sides, key=lambda side: -len(side.labels))[:2]
    rows, columns = (side for side in sides if side in longest)
    if len(rows.labels) < len(columns.labels) and len(columns.labels) > MOST_COLUMNS:
        rows, columns = columns, rows
    others = [side for side in sides if side not in (rows, columns)]
    panels: list[tuple[str, dict[int, int]]] = [("", {})]
    for side in others:
        panels = [
            (f"{label}{', ' if label else ''}{side.name} {text}", {**index, side.place: k})
            for label, index in panels
            for k, text in enumerate(side.labels)
        ]
    _check_size(rows, columns, len(panels))
    return rows, columns, panels


def _check_size(rows: _Side, columns: _Side, panels: int) -> None:
    sizes = ((rows, MOST_ROWS), (columns, MOST_COLUMNS))
    found = [
        Violation(
            "--plot",
            str(len(side.labels)),
            f"a picture has room for {most} values of {side.name}, not {len(side.labels)}",
        )
        for side, most in sizes
        if len(side.labels) > most
    ]
    if panels > MOST_PANELS:
        message = f"a picture has room for {MOST_PANELS} panels, not {panels}; fix some axes"
        found.append(Violation("--plot", str(panels), message))
    if found:
        raise InvalidInput(found)


def _canvas(
    rows: _Side, columns: _Side, panels: list[tuple[str, dict[int, int]]], title: str
) -> tuple[Figure, list[Axes]]:
    across = min(len(panels), 3 if len(columns.labels) <= 8 else 2)
    down = math.ceil(len(panels) / across)
    margin = 0.085 * max(len(text) for text in rows.labels)
    picture = figure(
        max(across * (0.62 * len(columns.labels) + margin + 0.9) + 1.3, 6.5),
        max(down * (0.42 * len(rows.labels) + 1.5) + 1.1, 4.2),
    )
    picture.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
    places = list(picture.subplots(down, across, squeeze=False).ravel())
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    return picture, places[: len(panels)]


def _panel(
    axes: Axes,
    grid: _Grid,
    rows: _Side,
    columns: _Side,
    index: dict[int, int],
    norm: Normalize,
) -> None:
    median, support = (_cells(a, rows, columns, index) for a in (grid.median, grid.support))
    lower, upper = (_cells(a, rows, columns, index) for a in (grid.lower, grid.upper))
    size = _sizes(lower, upper)
    colours = mpl.colormaps[SCALE](norm(median))
    tiles, thin = [], []
    for (i, j), side in np.ndenumerate(size):
        tiles.append(Rectangle((j - side / 2, i - side / 2), side, side))
        if support[i, j] < LOW_SUPPORT:
            thin.append(Rectangle((j - 0.5, i - 0.5), 1, 1))
    axes.add_collection(PatchCollection(tiles, facecolor=colours.reshape(-1, 4), lw=0))
    if thin:
        axes.add_collection(
            PatchCollection(thin, facecolor="none", edgecolor=GREY, hatch="///", lw=0, alpha=0.5)
        )
    if median.size <= _CELLS_WITH_TEXT:
        _numbers(axes, median, size, colours)
    _ticks(axes, rows, columns)


def _cells(values: Floats, rows: _Side, columns: _Side, index: dict[int, int]) -> Floats:
    """Return the cells of one panel, [rows, columns]."""
    order = [side.place for side in (rows, columns) if side.place >= 0]
    at = tuple(index.get(place, slice(None)) for place in range(values.ndim))
    left = [place for place in range(values.ndim) if place not in index]
    panel = np.transpose(values[at], [left.index(place) for place in order])
    return panel.reshape(len(rows.labels), len(columns.labels))


def _sizes(lower: Floats, upper: Floats) -> Floats:
    """Return the side of every cell: 1 for what is certain, less the wider its interval."""
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.where(lower > 0, np.log(upper / lower), _WIDEST)
    sizes: Floats = 1.0 - (1.0 - _SMALLEST) * np.clip(width / _WIDEST, 0.0, 1.0)
    return sizes


def _numbers(axes: Axes, median: Floats, size: Floats, colours: Floats) -> None:
    for (i, j), value in np.ndenumerate(median):
        light = colours[i, j, :3] @ (0.299, 0.587, 0.114) > 0.5
        inside = size[i, j] > 0.8
        axes.text(
            j, i, short(float(value)), ha="center", va="center", fontsize=8,
            color=INK if light or not inside else "white",
            bbox=None if inside else {"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 0.6},
        )  # fmt: skip


def _ticks(axes: Axes, rows: _Side, columns: _Side) -> None:
    axes.set_xlim(-0.5, len(columns.labels) - 0.5)
    axes.set_ylim(len(rows.labels) - 0.5, -0.5)
    turned = max(map(len, columns.labels)) > 5
    axes.set_xticks(
        range(len(columns.labels)), columns.labels, rotation=40 if turned else 0,
        ha="right" if turned else "center", rotation_mode="anchor" if turned else "default",
    )  # fmt: skip
    axes.set_yticks(range(len(rows.labels)), rows.labels)
    axes.tick_params(length=0)
    axes.set_xlabel(columns.name)
    axes.set_ylabel(rows.name)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _norm(grid: _Grid) -> tuple[Normalize, str]:
    """Return the scale of colours, and on which sides cells lie beyond it.

    What is hardly known does not stretch it: a median that may be off by ten says nothing.
    """
    known = _sizes(grid.lower, grid.upper) > _SMALLEST
    median = grid.median[known] if known.any() else grid.median
    low, high = float(median.min()), float(median.max())
    below, above = bool((grid.median < low).any()), bool((grid.median > high).any())
    extend = {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]
    if low > 0 and high / low > 3:
        return LogNorm(low, high), extend
    return Normalize(low, high if high > low else low + 1e-12), extend


def _explain(
    picture: Figure, grid: _Grid, norm: Normalize, extend: str, places: list[Axes]
) -> None:
    scale = mpl.cm.ScalarMappable(norm=norm, cmap=SCALE)
    bar = picture.colorbar(scale, ax=places, shrink=0.9, pad=0.02, extend=extend)
    bar.set_label(labelled(f"median {grid.metric}", grid.unit))
    if isinstance(norm, LogNorm):
        log_ticks(bar.ax.yaxis, float(norm.vmin or 0.0), float(norm.vmax or 0.0))
    else:
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    level = f"{100 * grid.interval_level:g} %"
    entries = [
        Line2D([], [], ls="", marker="s", color=INK, ms=12 * side, label=label)
        for side, label in ((1.0, "certain"), (0.8, "x 2"), (_SMALLEST, "x 10 or more"))
    ]
    picture.legend(
        handles=entries, loc="outside lower left", ncols=3, fontsize=9,
        title=f"upper / lower end of the {level} interval; hatched: support below {LOW_SUPPORT:g}",
        title_fontsize=9, alignment="left",
    )  # fmt: skip


def _label(value: object) -> str:
    if isinstance(value, float):
        return short(value)
    text = str(value)
    return text if len(text) <= 32 else f"{text[:15]}…{text[-15:]}"
