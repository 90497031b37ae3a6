"""The strategies: what each would take, outcome by outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foretell.decide.limits import Bound
from foretell.decide.questions import Share
from foretell.decide.sharing.forecasts import Known
from foretell.decide.sharing.results import Segment, Strategy, StrategyName
from foretell.decide.together import Singles, together
from foretell.forecast import Floats


@dataclass(frozen=True)
class _Course:
    """How a strategy goes."""

    ends: Floats
    """[items, outcomes], when each item is done."""
    segments: tuple[Segment, ...]
    memory: Singles | None
    """[outcomes], the most that is taken at the same time."""
    broken: tuple[str, ...]
    """Limits that do not hold, as text."""


def sequential(known: Known, question: Share, bounds: Sequence[Bound]) -> Strategy:
    """Run one item after the other, the shortest first: nobody waits for longer than need be."""
    return _one_by_one(known, question, bounds, "sequential", [None] * len(known.items))


def batched(known: Known, question: Share, bounds: Sequence[Bound]) -> Strategy:
    """Run one item after the other, each at the batch size that is fastest within the limits."""
    sizes = [_best_size(known, question, bounds, i) for i in range(len(known.items))]
    return _one_by_one(known, question, bounds, "batched", sizes)


def parallel(known: Known, question: Share, bounds: Sequence[Bound]) -> Strategy:
    """Run all at once; what runs beside an item slows it down until it is done.

    Factors of several neighbours are multiplied: only pairs are learned from.
    """
    count = len(known.items)
    factors = np.array(
        [[known.factor(i, j) if i != j else 1.0 for j in range(count)] for i in range(count)]
    )
    alone = np.array([known.seconds(i) for i in range(count)])
    ends = np.array([_together(column, factors) for column in alone.T]).T
    expected = _together(alone.mean(axis=1), factors)
    segments = [
        Segment(item.name, 0.0, float(end), float(end / alone[i].mean()), None)
        for i, (item, end) in enumerate(zip(known.items, expected, strict=True))
    ]
    worst = factors.prod(axis=1)
    broken = [text for i in range(count) for text in _broken(known, bounds, i, None, worst[i])]
    parts = [known.memory(i) for i in range(count)]
    total = None if parts[0] is None else together([p for p in parts if p is not None])
    course = _Course(ends, tuple(segments), total, tuple(dict.fromkeys(broken)))
    return _strategy("parallel", question, course)


def _one_by_one(
    known: Known,
    question: Share,
    bounds: Sequence[Bound],
    name: StrategyName,
    sizes: Sequence[float | None],
) -> Strategy:
    took = [known.seconds(i, *_how(size)) for i, size in enumerate(sizes)]
    order = sorted(range(len(took)), key=lambda i: float(took[i].mean()))
    ends = np.zeros((len(took), len(took[0])))
    segments: list[Segment] = []
    at: Floats = np.zeros(len(took[0]))
    for i in order:
        start, at = float(at.mean()), at + took[i]
        ends[i] = at
        segments.append(Segment(known.items[i].name, start, float(at.mean()), 1.0, sizes[i]))
    parts = [known.memory(i, *_how(size)) for i, size in enumerate(sizes)]
    outcomes = [p.outcomes for p in parts if p is not None]
    most = np.max(outcomes, axis=0) if outcomes else None
    broken = [t for i, size in enumerate(sizes) for t in _broken(known, bounds, i, size, 1.0)]
    return _strategy(name, question, _Course(ends, tuple(segments), most, tuple(broken)))


def _together(seconds: Floats, factors: Floats) -> Floats:
    """Return when each of several items is done that begin together, [items]."""
    left, ends, now = np.ones(len(seconds)), np.zeros(len(seconds)), 0.0
    running = list(range(len(seconds)))
    while running:
        pace = {i: seconds[i] * factors[i, running].prod() for i in running}
        first = min(running, key=lambda i: left[i] * pace[i])
        span = left[first] * pace[first]
        now += span
        for i in running:
            left[i] = max(0.0, left[i] - span / pace[i])
        ends[first] = now
        running.remove(first)
    return ends


def _best_size(known: Known, question: Share, bounds: Sequence[Bound], item: int) -> float:
    """Return the batch size that is fastest of those that keep the limits and fit alone."""

    def good(size: float) -> bool:
        memory = known.memory(item, "batch", size)
        if memory is not None and question.memory is not None:
            overflow = float((memory.outcomes > question.memory).mean())
            if overflow > question.overflow_risk:
                return False
        return not _broken(known, bounds, item, size, 1.0)

    sizes = [size for size in question.batch_sizes if good(size)] or question.batch_sizes[:1]
    return min(sizes, key=lambda size: float(known.seconds(item, "batch", size).mean()))


def _how(size: float | None) -> tuple[str, float]:
    return ("alone", 0.0) if size is None else ("batch", size)


def _broken(
    known: Known, bounds: Sequence[Bound], item: int, size: float | None, factor: float
) -> list[str]:
    found = []
    for bound in bounds:
        level = bound.limit.probability
        needed = factor * known.quantile(bound.quantity.name, level, item, *_how(size))
        if needed > bound.value:
            unit = bound.quantity.unit
            found.append(f"{known.items[item].name}: {bound} would have to be {needed:.4g} {unit}")
    return found


def _strategy(name: StrategyName, question: Share, course: _Course) -> Strategy:
    makespan = course.ends.max(axis=0)
    completion = float(course.ends.mean())
    needed = overflow = None
    problems = list(course.broken)
    if course.memory is not None:
        needed = float(np.quantile(course.memory, 1 - question.overflow_risk))
        if question.memory is not None:
            overflow = float((course.memory > question.memory).mean())
            if overflow > question.overflow_risk:
                problems.append(f"memory overflows with probability {overflow:.3g}")
    lower, upper = (float(q) for q in np.quantile(makespan, (0.1, 0.9)))
    values = {
        "makespan": float(makespan.mean()),
        "mean_completion": completion,
        "memory": float("nan") if needed is None else needed,
    }
    return Strategy(
        name=name,
        feasible=not problems,
        value=values[question.goal],
        makespan_s=values["makespan"],
        makespan_lower_s=lower,
        makespan_upper_s=upper,
        mean_completion_s=completion,
        memory_needed=needed,
        overflow_probability=overflow,
        timeline=course.segments,
        why="; ".join(problems) or "every limit holds",
    )
