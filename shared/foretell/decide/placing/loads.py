"""Loads: what runs together on a node takes together, and with what risk that is too much.

Memory is packed by the joint distribution of what is there at the same time, outcome by
outcome, and not by the sum of everybody's worst case: it is unlikely that all have it at once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from foretell.decide.placing.problem import Problem
from foretell.decide.together import Singles, Taken, together


@dataclass(frozen=True, slots=True)
class Overflow:
    """How likely it is that items take more than the node has."""

    memory: float
    power: float

    def within(self, risk: float) -> bool:
        """Whether each of the two is at most the risk."""
        return self.memory <= risk and self.power <= risk


class Loads:
    """Answers what sets of items take on nodes; remembers what it was asked before."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._known: dict[tuple[int, float, float, frozenset[int]], bool] = {}

    def fits(self, node: int, items: Collection[int]) -> bool:
        """Return whether items may run on a node at the same time."""
        p = self.problem
        slots = p.nodes[node].slots
        if slots is not None and len(items) > slots:
            return False
        if math.isinf(p.memory[node]) and math.isinf(p.power[node]):
            return True
        key = (int(p.kinds[node]), p.memory[node], p.power[node], frozenset(items))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self.overflow(node, items).within(p.overflow_risk)
        return known

    def overflow(self, node: int, items: Collection[int]) -> Overflow:
        """Return the probabilities that memory and power do not suffice for all at once."""
        p = self.problem
        return Overflow(
            _share_above(p.memory[node], [p.megabytes(i, node) for i in items]),
            _share_above(p.power[node], [p.watts(i, node) for i in items]),
        )

    def memory(self, node: int, items: Collection[int]) -> Singles:
        """Return what items take of memory together, [outcomes]."""
        p = self.problem
        return self._sum([p.megabytes(i, node) for i in items])

    def watts(self, node: int, items: Collection[int]) -> Singles:
        """Return what power items draw together, [outcomes]."""
        p = self.problem
        return self._sum([p.watts(i, node) for i in items])

    def worst_cases(self, node: int, items: Collection[int]) -> float:
        """Return the sum of what each item alone would have to reserve at the same risk."""
        p = self.problem
        level = 1 - p.overflow_risk
        return float(sum(np.quantile(p.megabytes(i, node).outcomes, level) for i in items))

    def _sum(self, parts: Sequence[Taken]) -> Singles:
        return together(parts) if parts else np.zeros(self.problem.outcomes, dtype=np.float32)


def _share_above(limit: float, parts: Sequence[Taken]) -> float:
    if math.isinf(limit) or not parts:
        return 0.0
    return float((together(parts) > limit).mean())
