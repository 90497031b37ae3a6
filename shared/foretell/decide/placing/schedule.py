"""Schedules: which items of a node run at the same time, when they begin and end.

Items are taken from a list: each begins as soon as there is a slot and, with what runs then,
enough memory and power. Expected durations decide who follows whom; what may happen to the
durations then moves all that follow.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from foretell.decide.placing.loads import Loads
from foretell.forecast import Floats


@dataclass(frozen=True, slots=True)
class Run:
    """One item on its node; times are expected, in seconds from now."""

    item: int
    start_s: float
    end_s: float
    after: int
    """The item whose end lets it begin; -1 if it begins at once."""
    together: frozenset[int]
    """What runs when it begins, itself included."""


class Scheduler:
    """Makes the timetables of nodes from the items that they have."""

    def __init__(self, loads: Loads, seconds: Floats) -> None:
        self.loads, self.problem = loads, loads.problem
        self._seconds = seconds

    def timetable(self, node: int, items: Sequence[int]) -> list[Run]:
        """Return the runs of a node, in the order in which they begin.

        What has a deadline goes first, the earliest before others; then the longest. Where
        missed deadlines count, an item that makes others late goes last (Moore, 1968).
        """
        order = sorted(items, key=lambda i: (self._deadline(i), -self._seconds[i, node], i))
        runs = list(self._runs(node, order))
        if self.problem.goal != "deadline_misses":
            return runs
        last: list[int] = []
        while (late := self._first_late(runs, last)) is not None:
            before = [run.item for run in runs[: late + 1] if run.item not in last]
            last.append(max(before, key=lambda i: self._seconds[i, node]))
            runs = list(self._runs(node, [i for i in order if i not in last] + last))
        return runs

    def finish(self, node: int, items: Sequence[int]) -> float:
        """Return when a node is expected to be done with its items; 0 without any."""
        return max((run.end_s for run in self.timetable(node, items)), default=0.0)

    def misses(self, node: int, items: Sequence[int]) -> float:
        """Return how many of the items are expected to miss their deadlines on a node."""
        ends = self.ends(node, self.timetable(node, items))
        found = ((end, self.problem.items[item].deadline_s) for item, end in ends.items())
        return sum(float((end > deadline).mean()) for end, deadline in found if deadline)

    def ends(self, node: int, runs: Sequence[Run]) -> dict[int, Floats]:
        """Return when each item of a timetable ends, [outcomes], in seconds from now."""
        free = np.full(self.problem.outcomes, self.problem.nodes[node].free_in_s)
        found: dict[int, Floats] = {}
        for run in runs:
            start = free if run.after < 0 else found[run.after]
            found[run.item] = start + self.problem.seconds(run.item, node)
        return found

    def _runs(self, node: int, order: Sequence[int]) -> Iterator[Run]:
        now, after = self.problem.nodes[node].free_in_s, -1
        running: list[tuple[float, int]] = []
        waiting = list(order)
        while waiting:
            for item in list(waiting):
                together = frozenset(i for _, i in running) | {item}
                # What fits nowhere, not even alone, is not on the node; see `Assignment`.
                if self.loads.fits(node, together) or not running:
                    end = now + float(self._seconds[item, node])
                    heapq.heappush(running, (end, item))
                    waiting.remove(item)
                    yield Run(item, now, end, after, together)
            if waiting:
                now, after = heapq.heappop(running)

    def _first_late(self, runs: Sequence[Run], last: Sequence[int]) -> int | None:
        """Return the place of the first run that is expected to be late, and may be moved."""
        for place, run in enumerate(runs):
            if run.item not in last and run.end_s > self._deadline(run.item):
                return place
        return None

    def _deadline(self, item: int) -> float:
        deadline = self.problem.items[item].deadline_s
        return math.inf if deadline is None else deadline
