"""Timelines of placements: what runs where and when, and how full each node gets."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from foretell.decide.placing.results import Assigned, Placement
from foretell.decide.sharing.results import Sharing, Strategy
from foretell.errors import InvalidInput, Violation
from foretell.plots.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    SKY,
    figure,
    labelled,
    look,
    percent_axis,
    short,
)

MOST_LANES = 80

_ROOM_FOR_WORDS = 1.12
"""How much longer than what it shows an axis is, for what is written behind the last bar."""


def placement_figure(placement: Placement, title: str) -> Figure:
    """Return the timeline of a placement, and the memory of its nodes if that is packed.

    Raises InvalidInput for one with too many lanes to read.
    """
    lanes = _lanes(placement)
    if len(lanes) > MOST_LANES:
        message = f"a picture has room for {MOST_LANES} lanes, not {len(lanes)}"
        raise InvalidInput([Violation("--plot", str(len(lanes)), message)])
    packed = any(load.memory_capacity is not None for load in placement.nodes)
    with look():
        picture = figure(11.5 if packed else 8.5, 2.3 + 0.34 * max(len(lanes), 4))
        picture.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        panels = picture.subplots(
            1, 1 + packed, squeeze=False, width_ratios=[2.6, 1][: 1 + packed]
        )[0]
        _timeline(panels[0], placement, lanes)
        entries = [
            Line2D([], [], color=BLUE, lw=7, label="on time with 95 % or more"),
            Line2D([], [], color=RED, lw=7, label="misses its deadline with more than 5 %"),
            Line2D([], [], color=INK, lw=1.4, label="all done, expected; grey: 80 % of outcomes"),
        ]
        if packed:
            _memory(panels[1], placement)
            entries += [
                Line2D([], [], color=ORANGE, lw=7, label="memory needed together"),
                Line2D([], [], color=SKY, lw=7, label="sum of what each would reserve"),
            ]
        picture.legend(handles=entries, loc="outside lower left", ncols=2, fontsize=9)
    return picture


def sharing_figure(sharing: Sharing, title: str) -> Figure:
    """Return the timelines of all strategies, best first, one above the other."""
    count = sum(len(strategy.timeline) + 1 for strategy in sharing.strategies)
    with look():
        picture = figure(9.0, 1.9 + 0.3 * count)
        picture.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        heights = [len(strategy.timeline) + 1 for strategy in sharing.strategies]
        panels = picture.subplots(
            len(heights), 1, squeeze=False, sharex=True, height_ratios=heights
        )[:, 0]
        for axes, strategy in zip(panels, sharing.strategies, strict=True):
            _strategy(axes, strategy, sharing.memory_unit)
        # The panels share their axis, which has to reach as far as the longest of them.
        last = max(max(s.makespan_upper_s, *_ends(s)) for s in sharing.strategies)
        panels[-1].set_xlim(0, _ROOM_FOR_WORDS * last)
        panels[-1].set_xlabel(
            "seconds from now, expected; grey: when all is done, 80 % of outcomes"
        )
    return picture


def _strategy(axes: Axes, strategy: Strategy, memory_unit: str) -> None:
    for row, part in enumerate(strategy.timeline):
        colour = BLUE if strategy.feasible else GREY
        axes.barh(row, part.end_s - part.start_s, left=part.start_s, height=0.66, color=colour)
        said = "" if part.batch_size is None else f"batch {short(part.batch_size)}"
        said = said or (f"{part.slowdown:.2f} x as long" if part.slowdown > 1 else "")
        axes.annotate(
            said, (part.end_s, row), xytext=(4, 0), textcoords="offset points", va="center",
            fontsize=8,
        )  # fmt: skip
    axes.axvspan(strategy.makespan_lower_s, strategy.makespan_upper_s, color=GREY, alpha=0.18,
                 lw=0, zorder=0)  # fmt: skip
    axes.set_yticks(range(len(strategy.timeline)), [part.item for part in strategy.timeline])
    axes.set_ylim(len(strategy.timeline) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    memory = ""
    if strategy.memory_needed is not None:
        memory = f", memory {short(strategy.memory_needed)} {memory_unit}"
    state = "" if strategy.feasible else " (not feasible)"
    axes.set_title(f"{strategy.name}{state}: {short(strategy.makespan_s)} s{memory}", fontsize=10)


def _ends(strategy: Strategy) -> list[float]:
    return [part.end_s for part in strategy.timeline]


def _lanes(placement: Placement) -> list[tuple[int, list[Assigned]]]:
    """Return rows of items that do not overlap, node by node."""
    found: list[tuple[int, list[Assigned]]] = []
    for one in sorted(placement.assigned, key=lambda a: (a.node_index, a.start_s, a.index)):
        mine = [lane for node, lane in found if node == one.node_index]
        free = next((lane for lane in mine if lane[-1].end_s <= one.start_s + 1e-9), None)
        if free is None:
            found.append((one.node_index, [one]))
        else:
            free.append(one)
    busy = {node for node, _ in found}
    found += [(load.index, []) for load in placement.nodes if load.index not in busy]
    return sorted(found, key=lambda lane: lane[0])


def _timeline(axes: Axes, placement: Placement, lanes: list[tuple[int, list[Assigned]]]) -> None:
    names = {load.index: load.node for load in placement.nodes}
    before = -1
    labels = []
    for row, (node, lane) in enumerate(lanes):
        labels.append(names[node] if node != before else "")
        if node != before and row:
            axes.axhline(row - 0.5, color=GREY, lw=0.6, alpha=0.5)
        before = node
        for one in lane:
            _bar(axes, row, one, placement.makespan_s)
    axes.axvline(placement.makespan_s, color=INK, lw=1.4)
    axes.axvspan(
        placement.makespan_lower_s,
        placement.makespan_upper_s,
        color=GREY,
        alpha=0.18,
        lw=0,
        zorder=0,
    )
    axes.set_yticks(range(len(lanes)), labels)
    axes.set_ylim(max(len(lanes), 1) - 0.4, -0.6)
    axes.set_xlim(0, None)
    axes.set_xlabel("seconds from now")
    axes.set_title(f"timeline, by expected durations ({placement.method})")
    axes.tick_params(axis="y", length=0)


def _bar(axes: Axes, row: int, one: Assigned, whole: float) -> None:
    late = one.probability_late is not None and one.probability_late > 0.05
    span = one.end_s - one.start_s
    axes.barh(row, span, left=one.start_s, height=0.62, color=RED if late else BLUE,
              edgecolor="white", lw=0.8)  # fmt: skip
    room = span / max(whole, 1e-12) * 62  # about so many characters are as wide as the axis
    if len(one.item) < room:
        axes.text(one.start_s + span / 2, row, one.item, ha="center", va="center",
                  fontsize=8, color="white")  # fmt: skip


def _memory(axes: Axes, placement: Placement) -> None:
    loads = [load for load in placement.nodes if load.memory_capacity is not None]
    rows = np.arange(len(loads))
    room = np.array([load.memory_capacity or np.nan for load in loads])
    needed = np.array([load.memory_needed for load in loads]) / room
    worst = np.array([load.memory_worst_cases for load in loads]) / room
    axes.barh(rows + 0.19, worst, height=0.34, color=SKY)
    axes.barh(rows - 0.19, needed, height=0.34, color=ORANGE)
    axes.axvline(1.0, color=INK, lw=1.4)
    axes.set_yticks(rows, [load.node for load in loads])
    axes.set_ylim(max(len(loads), 1) - 0.4, -0.6)
    axes.set_xlim(0, max(1.1, 1.08 * float(np.max([needed.max(), worst.max()]))))
    percent_axis(axes, "x")
    axes.set_title("memory at the fullest")
    axes.set_xlabel(labelled("share of the capacity", ""))
