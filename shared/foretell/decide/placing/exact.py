"""Small problems exactly: a mixed-integer program by HiGHS (through SciPy), with lazy covers.

The program knows durations, prices and slots. Where items may wait, what does not fit beside
others runs after them, which the program does not see: its optimum is a bound, and its
placement is judged by its timetable. Where they may not, that a set of items overflows a node
is told to it when it happens: a set that does not fit never fits with more beside it, so "not
all of these on that node" cuts off nothing that is allowed, and every solution of the program,
with however many of these covers, bounds the goal from below.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foretell.decide.placing.search import Assignment
from foretell.forecast import Floats

MOST_PAIRS = 2000
_COVERS_AT_MOST = 200


@dataclass(frozen=True)
class Solved:
    """What the program found."""

    bound: float
    """No placement of all these items has a smaller goal."""
    on: tuple[tuple[int, ...], ...] | None
    """A placement that fits; None if none was found in time."""


@dataclass
class _Cover:
    node: int
    items: frozenset[int]


def columns_of(assignment: Assignment) -> list[int]:
    """Return the node of every column of the program."""
    problem = assignment.problem
    if problem.goal != "makespan":
        return list(range(len(problem.nodes)))
    count = len(problem.items)
    return [j for j, node in enumerate(problem.nodes) for _ in range(min(node.slots or 1, count))]


def can_solve(assignment: Assignment) -> bool:
    """Return whether a problem is small enough, and the solver is installed."""
    if len(assignment.problem.items) * len(columns_of(assignment)) > MOST_PAIRS:
        return False
    try:
        import scipy.optimize  # noqa: F401, PLC0415 -- only those who place pay for it
    except ImportError:
        return False
    return True


def solve(assignment: Assignment, items: Sequence[int], until: float) -> Solved:
    """Place items as well as can be proved by `until`, a time of the monotonic clock."""
    program = _Program(assignment, items)
    bound = -math.inf
    while time.monotonic() < until and len(program.covers) < _COVERS_AT_MOST:
        found = program.run(max(until - time.monotonic(), 0.05))
        if found is None:
            return Solved(bound, None)
        bound = max(bound, found.bound)
        if found.on is None:
            break
        covers = program.violated(found.on)
        if not covers:
            return Solved(bound, found.on)
        program.covers += covers
    return Solved(bound, None)


class _Program:
    """x[i, c] = 1: item i is in column c, which is a node, or one of its slots where a makespan
    is sought; one more variable then bounds all columns."""

    def __init__(self, assignment: Assignment, items: Sequence[int]) -> None:
        self._assignment = assignment
        self._items = list(items)
        self._nodes = len(assignment.on)
        self._columns = columns_of(assignment)
        self.covers: list[_Cover] = []
        self._place = {item: i for i, item in enumerate(self._items)}

    def run(self, seconds: float) -> Solved | None:
        """Solve what is known so far; None when nothing can be placed so."""
        from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415

        n, m = len(self._items), len(self._columns)
        makespan = self._assignment.problem.goal == "makespan"
        width = n * m + makespan
        costs = self._costs(width, makespan=makespan)
        rows, low, high = self._rows(width, makespan=makespan)
        upper = np.ones(width)
        if makespan:
            upper[-1] = np.inf
        found: Any = milp(
            costs,
            constraints=LinearConstraint(rows, low, high),
            bounds=Bounds(np.zeros(width), upper),
            integrality=np.array([1] * (n * m) + [0] * makespan),
            options={"time_limit": seconds, "mip_rel_gap": 1e-6},
        )
        bound = getattr(found, "mip_dual_bound", None)
        if found.status == 2 or (found.x is None and bound is None):
            return None
        least = -math.inf if bound is None else float(bound)
        return Solved(least, self._read(found.x))

    def violated(self, on: Sequence[Sequence[int]]) -> list[_Cover]:
        """Return sets of items that are on a node and do not fit there, as small as possible.

        They are forbidden on every node of the same kind and capacity.
        """
        found = []
        for node, items in enumerate(on):
            if not self._assignment.fits(node, items):
                smallest = self._smallest(node, list(items))
                found += [_Cover(other, smallest) for other in self._alike(node)]
        return found

    def _smallest(self, node: int, items: list[int]) -> frozenset[int]:
        fits = self._assignment.fits
        there = items
        for item in sorted(there):
            rest = [i for i in there if i != item]
            if not fits(node, rest):
                there = rest
        return frozenset(there)

    def _alike(self, node: int) -> list[int]:
        p = self._assignment.problem

        def key(j: int) -> tuple[object, ...]:
            return (int(p.kinds[j]), p.memory[j], p.power[j], p.nodes[j].slots)

        return [j for j in range(self._nodes) if key(j) == key(node)]

    def _costs(self, width: int, *, makespan: bool) -> Floats:
        costs = np.zeros(width)
        if makespan:
            costs[-1] = 1.0
            return costs
        assignment = self._assignment
        for i, item in enumerate(self._items):
            for c, node in enumerate(self._columns):
                costs[i * len(self._columns) + c] = assignment.score_of(node, [item])
        return costs

    def _rows(self, width: int, *, makespan: bool) -> tuple[Floats, Floats, Floats]:
        n, m = len(self._items), len(self._columns)
        rows: list[Floats] = []
        low: list[float] = []
        high: list[float] = []

        def add(row: Floats, least: float, most: float) -> None:
            rows.append(row)
            low.append(least)
            high.append(most)

        for i in range(n):
            row = np.zeros(width)
            row[i * m : (i + 1) * m] = 1.0
            add(row, 1.0, 1.0)
        if makespan:
            for row in self._finishes(width):
                add(row, -np.inf, 0.0)
        for cover in self.covers:
            row = np.zeros(width)
            for c in [c for c, node in enumerate(self._columns) if node == cover.node]:
                row[[self._place[item] * m + c for item in cover.items]] = 1.0
            add(row, -np.inf, len(cover.items) - 1.0)
        return np.array(rows), np.array(low), np.array(high)

    def _finishes(self, width: int) -> list[Floats]:
        """Return, as rows that must be at most 0, what the makespan cannot be below."""
        p, seconds = self._assignment.problem, self._assignment.costs.seconds
        m, found = len(self._columns), []
        for c, node in enumerate(self._columns):
            row = np.zeros(width)
            row[-1] = -1.0
            for i, item in enumerate(self._items):
                alone = np.zeros(width)
                alone[i * m + c] = p.nodes[node].free_in_s + seconds[item, node]
                alone[-1] = -1.0
                found.append(alone)
                row[i * m + c] = seconds[item, node]
            if p.nodes[node].slots is not None:
                found.append(row)
        return found

    def _read(self, x: Floats | None) -> tuple[tuple[int, ...], ...] | None:
        if x is None:
            return None
        m = len(self._columns)
        chosen = np.round(x[: len(self._items) * m]).reshape(-1, m) > 0
        on: list[list[int]] = [[] for _ in range(self._nodes)]
        for c, node in enumerate(self._columns):
            on[node] += [self._items[i] for i in np.flatnonzero(chosen[:, c])]
        return tuple(map(tuple, on))
