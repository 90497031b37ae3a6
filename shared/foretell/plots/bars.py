"""Configurations side by side: medians, intervals, and how sure it is which one is best."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from foretell.decide.results import Estimate, Recommendation
from foretell.decide.what_if import Comparison, Difference
from foretell.plots.style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    ORANGE,
    figure,
    labelled,
    log_axis,
    look,
    percent_axis,
)

MOST_ROWS = 25
_LONGEST_NAME = 44


def comparison_figure(comparison: Comparison, title: str, metrics: Sequence[str] = ()) -> Figure:
    """Return a panel for each metric and one for the probability to be the best."""
    names = [side.name for side in comparison.sides]
    estimates = [side.estimates for side in comparison.sides]
    best = [side.probability_best for side in comparison.sides]
    said = {d.name: _said(d) for d in comparison.differences}
    first = names[0]
    tags = [f"{_cut(name)}\n{said.get(name, 'the first')}" for name in names]
    caption = f"Others against {first}: certain from {100 * comparison.certainty:g} %."
    return _figure(title, tags, estimates, best, metrics, comparison.objective, caption)


def recommendation_figure(
    found: Recommendation, labels: Sequence[str], title: str, metrics: Sequence[str] = ()
) -> Figure:
    """Return the ranked candidates, best on top; `labels` name them in the order of `ranked`."""
    shown = found.ranked[:MOST_ROWS]
    names = [f"{one.rank}. {_cut(label)}" for one, label in zip(shown, labels, strict=False)]
    estimates = [one.estimates for one in shown]
    best = [one.probability_best for one in shown]
    left = found.candidate_count - found.ranked_count
    caption = f"{found.ranked_count} of {found.candidate_count} candidates keep every limit"
    caption += f"; {left} excluded." if left else "."
    return _figure(title, names, estimates, best, metrics, found.objective, caption)


def _said(difference: Difference) -> str:
    sure = "certainly" if difference.certain else "perhaps"
    return f"{sure} {'better' if difference.probability_better >= 0.5 else 'worse'}"


def _figure(
    title: str,
    names: Sequence[str],
    estimates: Sequence[Sequence[Estimate]],
    best: Sequence[float],
    metrics: Sequence[str],
    objective: str,
    caption: str,
) -> Figure:
    columns = [
        [row[m] for row in estimates]
        for m, one in enumerate(estimates[0])
        if not metrics or one.metric in metrics
    ]
    lines = max(1 + name.count("\n") for name in names)
    longest = max(min(len(line), _LONGEST_NAME) for name in names for line in name.split("\n"))
    with look():
        width = 1.6 + 0.085 * longest + 2.9 * (len(columns) + 1)
        picture = figure(width, 1.6 + (0.26 + 0.14 * lines) * max(len(names), 2))
        picture.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        panels = picture.subplots(1, len(columns) + 1, sharey=True, squeeze=False)[0]
        for axes, column in zip(panels, columns, strict=False):
            _intervals(axes, column)
        _shares(panels[-1], best, objective)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].set_ylim(len(names) - 0.4, -0.6)
        level = estimates[0][0].interval_level
        explained = f"Dots: medians. Bars: {100 * level:g} % of outcomes. {caption}"
        picture.supxlabel(explained, x=0.01, ha="left", fontsize=9, color=FAINT)
    return picture


def _intervals(axes: Axes, column: Sequence[Estimate]) -> None:
    for row, one in enumerate(column):
        axes.plot([one.lower, one.upper], [row, row], color=BLUE, alpha=0.35, lw=7,
                  solid_capstyle="butt")  # fmt: skip
        axes.plot(one.median, row, "o", color=BLUE, ms=6)
    low, high = min(one.lower for one in column), max(one.upper for one in column)
    if low > 0 and high / low > 3:
        log_axis(axes, "x", low, high)
    axes.set_title(column[0].metric)
    axes.set_xlabel(labelled(column[0].metric, column[0].unit))
    axes.grid(axis="x", color=GREY, alpha=0.2, lw=0.6)
    axes.margins(x=0.08)


def _shares(axes: Axes, best: Sequence[float], objective: str) -> None:
    axes.barh(range(len(best)), best, color=ORANGE, height=0.55)
    for row, share in enumerate(best):
        axes.annotate(
            f"{100 * share:.0f} %", (share, row), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=9, color=INK,
        )  # fmt: skip
    axes.set_xlim(0, 1.18)
    axes.set_xticks([0, 0.5, 1])
    percent_axis(axes, "x")
    axes.set_title("best")
    axes.set_xlabel(f"probability to have the best\n{_cut(objective)}")
    axes.spines["bottom"].set_bounds(0, 1)


def _cut(text: str) -> str:
    if len(text) <= _LONGEST_NAME:
        return text
    half = math.floor((_LONGEST_NAME - 1) / 2)
    return f"{text[:half]}…{text[-half:]}"
