"""A heuristic: place one item after another where it hurts least, then move and swap.

Greedy by earliest completion (makespan), by regret (cost) or by deadline, followed by a local
search that moves single items and swaps pairs as long as that helps and time remains.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from foretell.decide.placing.loads import Loads
from foretell.decide.placing.problem import Problem
from foretell.decide.placing.schedule import Scheduler
from foretell.forecast import Floats

_MEAN_WEIGHT = 1e-4  # among equal makespans, that with the smaller sum leads on to better ones


@dataclass(frozen=True)
class Costs:
    """The expectations that a search works with."""

    seconds: Floats
    """[n, m]"""
    prices: Floats
    """[n, m], expected price."""


class Assignment:
    """Which items are on which node; what is nowhere is not placed. Changes as a search goes."""

    def __init__(self, problem: Problem, costs: Costs, loads: Loads) -> None:
        self.problem, self.costs, self.loads = problem, costs, loads
        self.scheduler = Scheduler(loads, costs.seconds)
        self.on: list[list[int]] = [[] for _ in problem.nodes]
        self.scores = [0.0] * len(problem.nodes)
        self.unplaced: list[int] = []

    def score_of(self, node: int, items: Sequence[int]) -> float:
        """Return what a node adds to the goal with these items."""
        if self.problem.goal == "makespan":
            return self.scheduler.finish(node, items)
        if self.problem.goal == "cost":
            return float(sum(self.costs.prices[i, node] for i in items))
        return self.scheduler.misses(node, items)

    def fits(self, node: int, items: Sequence[int]) -> bool:
        """Return whether items can be on a node: one after another, or all at once."""
        if not self.problem.may_wait:
            return self.loads.fits(node, items)
        return all(self.loads.fits(node, (item,)) for item in items)

    def total(self, scores: Sequence[float] | None = None) -> float:
        """Return the goal, and a little of the sum where it is the largest that counts."""
        mine = self.scores if scores is None else scores
        if self.problem.goal != "makespan":
            return sum(mine)
        return max(mine, default=0.0) + _MEAN_WEIGHT * sum(mine) / max(len(mine), 1)

    @property
    def goal(self) -> float:
        """The goal alone."""
        return (
            max(self.scores, default=0.0) if self.problem.goal == "makespan" else sum(self.scores)
        )

    def put(self, node: int, items: list[int]) -> None:
        """Let a node have just these items."""
        self.on[node] = items
        self.scores[node] = self.score_of(node, items)

    def replace(self, on: Sequence[Sequence[int]], unplaced: Sequence[int]) -> None:
        """Take over a whole assignment."""
        for node, items in enumerate(on):
            self.put(node, list(items))
        self.unplaced = list(unplaced)


def greedy(assignment: Assignment) -> None:
    """Place every item where it raises the goal least, as far as it fits anywhere."""
    problem = assignment.problem
    for item in _order(assignment):
        best, least = -1, math.inf
        for node in _promising(assignment, item):
            if _least(assignment, node, item) >= least:
                break
            items = [*assignment.on[node], item]
            score = assignment.score_of(node, items)
            raised = score if problem.goal == "makespan" else score - assignment.scores[node]
            if raised < least and assignment.fits(node, items):
                best, least = node, raised
        if best < 0:
            assignment.unplaced.append(item)
        else:
            assignment.put(best, [*assignment.on[best], item])


def _promising(assignment: Assignment, item: int) -> list[int]:
    """Return the nodes, those first that may be the best for an item."""
    return sorted(range(len(assignment.on)), key=lambda node: _least(assignment, node, item))


def _least(assignment: Assignment, node: int, item: int) -> float:
    """Return what a node's score, or what it is raised by, is not below with an item more."""
    if assignment.problem.goal == "makespan":
        free = assignment.problem.nodes[node].free_in_s
        return max(assignment.scores[node], free + float(assignment.costs.seconds[item, node]))
    return float(assignment.costs.prices[item, node]) if assignment.problem.goal == "cost" else 0.0


def improve(assignment: Assignment, until: float) -> None:
    """Move and swap items as long as that helps, at most until a time of the monotonic clock."""
    better = True
    while better:
        better = False
        for moves in (_placements(assignment), _moves(assignment), _swaps(assignment)):
            for change in moves:
                if time.monotonic() >= until:
                    return
                if _try(assignment, change):
                    better = True
                    break
            if better:
                break


_Change = dict[int, list[int]]
"""What some nodes would have instead."""


def _try(assignment: Assignment, change: _Change) -> bool:
    scores = list(assignment.scores)
    for node, items in change.items():
        scores[node] = assignment.score_of(node, items)
    placed = sum(map(len, change.values())) - sum(len(assignment.on[node]) for node in change)
    before = assignment.total()
    if placed == 0 and assignment.total(scores) >= before - 1e-9 * max(1.0, abs(before)):
        return False
    if not all(assignment.fits(node, items) for node, items in change.items()):
        return False
    for node, items in change.items():
        assignment.put(node, items)
    if placed:
        there = {item for items in assignment.on for item in items}
        assignment.unplaced = [item for item in assignment.unplaced if item not in there]
    return True


def _placements(assignment: Assignment) -> Iterator[_Change]:
    for item in list(assignment.unplaced):
        for node, items in enumerate(assignment.on):
            yield {node: [*items, item]}


def _moves(assignment: Assignment) -> Iterator[_Change]:
    for source in _worst_first(assignment):
        for item in list(assignment.on[source]):
            rest = [i for i in assignment.on[source] if i != item]
            for target, items in enumerate(assignment.on):
                if target != source:
                    yield {source: rest, target: [*items, item]}


def _swaps(assignment: Assignment) -> Iterator[_Change]:
    order = _worst_first(assignment)
    for source in order if assignment.problem.goal != "makespan" else order[:1]:
        for target, items in enumerate(assignment.on):
            if target == source:
                continue
            for mine in list(assignment.on[source]):
                for theirs in list(items):
                    yield {
                        source: [*(i for i in assignment.on[source] if i != mine), theirs],
                        target: [*(i for i in items if i != theirs), mine],
                    }


def _worst_first(assignment: Assignment) -> list[int]:
    return sorted(range(len(assignment.on)), key=lambda node: -assignment.scores[node])


def _order(assignment: Assignment) -> list[int]:
    problem, costs = assignment.problem, assignment.costs
    count = range(len(problem.items))
    if problem.goal == "makespan":
        least = costs.seconds.min(axis=1)
        return sorted(count, key=lambda i: -least[i])
    if problem.goal == "cost":
        two = np.sort(costs.prices, axis=1)[:, :2]
        regret = two[:, -1] - two[:, 0]
        return sorted(count, key=lambda i: -regret[i])

    def deadline(item: int) -> float:
        given = problem.items[item].deadline_s
        return math.inf if given is None else given

    return sorted(count, key=lambda i: (deadline(i), -costs.seconds[i].min()))
