"""The look that all pictures share: colours, sizes, labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, GREY, INK = "#CC79A7", "#56B4E9", "#8A8A8A", "#222222"
FAINT = "#5C5C5C"
"""For small texts that explain: grey, and dark enough to be read on white (6.5 : 1)."""
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
SCALE = "cividis"

# matplotlib lists every key as a literal, which no table of ours can repeat.
_LOOK: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "foretell",
    "figure.dpi": 100,
    "savefig.dpi": 150,
}


@contextmanager
def look() -> Iterator[None]:
    """Draw with the look of all pictures while the block runs; nothing global stays changed."""
    with mpl.rc_context(_LOOK):
        yield


def figure(width: float, height: float) -> Figure:
    """Return an empty picture, in inches, that makes room for its own labels."""
    return Figure(figsize=(width, height), layout="constrained")


def labelled(name: str, unit: str) -> str:
    """Return the label of an axis: the name, and the unit if there is one."""
    return name if unit in ("", "1") else f"{name} ({unit})"


def short(value: float) -> str:
    """Return a number with three significant digits, as labels in pictures have it."""
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e12:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    for limit, factor, suffix in ((1e9, 1e-9, "G"), (1e6, 1e-6, "M"), (1e4, 1e-3, "k")):
        if abs(value) >= limit:
            return f"{value * factor:.3g}{suffix}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def log_axis(axes: Axes, which: str, low: float, high: float) -> None:
    """Put one axis on a log scale with ticks that can be read, however short it is."""
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    log_ticks(axes.xaxis if which == "x" else axes.yaxis, low, high)


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Label an axis that is on a log scale, with two ticks or more."""
    decades = math.log10(high / low) if low > 0 and high > low else 1.0
    axis.set_major_locator(LogLocator(base=10, subs=_subdivisions(decades), numticks=8))
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))


def _subdivisions(decades: float) -> tuple[float, ...]:
    """Return the ticks within a decade that leave room for their labels."""
    for most, subdivisions in ((0.7, (1, 1.5, 2, 3, 4, 5, 6, 8)), (1.6, (1, 2, 5)), (2.6, (1, 3))):
        if decades <= most:
            return subdivisions
    return (1,)


def percent_axis(axes: Axes, which: str) -> None:
    """Label one axis, of shares in [0, 1], in per cent."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
