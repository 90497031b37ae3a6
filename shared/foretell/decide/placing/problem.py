"""A placement problem: the forecasts of every item on every kind of node."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from foretell.decide.outcomes import OUTERMOST, Strata, draw_ranks
from foretell.decide.quantities import Power, WorkTime
from foretell.decide.questions import Item, Node, PlacementGoal
from foretell.decide.together import Singles, Taken
from foretell.decide.units import SECONDS_PER_HOUR
from foretell.forecast import Floats, Forecasts

MOST_OUTCOMES, FEWEST_OUTCOMES = 4096, 512
"""4096 outcomes tell a risk of 1 % to within 0.2 points."""
MOST_KEPT = 2**24

_LARGEST_EXPONENT = 80.0  # exp() of more is infinite in single precision

_DURATION, _MEMORY, _POWER = range(101, 104)  # streams of outcomes; items of a stream are tied


@dataclass(frozen=True)
class Metrics:
    """Which metrics a placement reads; None where it needs none."""

    work: WorkTime
    memory: str | None
    power: Power | None


@dataclass(frozen=True)
class Problem:
    """n items, m nodes, and what every pair takes. Nodes of one kind share their forecasts."""

    items: tuple[Item, ...]
    nodes: tuple[Node, ...]
    goal: PlacementGoal
    overflow_risk: float
    may_wait: bool
    metrics: Metrics
    kinds: NDArray[np.intp]
    """[m], the kind of every node."""
    forecasts: Forecasts
    """Item by item, and kind by kind within each."""
    strata: Strata
    correlation: Floats
    """[n], how much of its error each item shares with others."""
    memory: Floats
    """[m], capacities; infinite where there is none."""
    power: Floats
    """[m]"""
    prices: Floats
    """[m], per hour; NaN where unknown."""
    _kept: dict[tuple[str, int], Taken] = field(default_factory=dict, repr=False)
    _ranks: dict[int, NDArray[np.intp]] = field(default_factory=dict, repr=False)

    @cached_property
    def outcomes(self) -> int:
        """How many outcomes are looked at; fewer, the more pairs there are."""
        return int(np.clip(MOST_KEPT // len(self.forecasts), FEWEST_OUTCOMES, MOST_OUTCOMES))

    @property
    def shape(self) -> tuple[int, int]:
        """How many items and nodes there are."""
        return len(self.items), len(self.nodes)

    def seconds(self, item: int, node: int) -> Singles:
        """Return how long an item takes on a node, [outcomes]."""
        work = self.metrics.work
        taken = self._outcomes(work.metric, item, node, _DURATION, reverse=work.is_rate)
        values = taken.outcomes
        unit = work.seconds / values if work.is_rate else values * work.seconds
        seconds: Singles = unit * np.float32(self.items[item].work)
        return seconds

    def megabytes(self, item: int, node: int) -> Taken:
        """Return the memory that an item takes on a node, in the metric's unit."""
        if self.metrics.memory is None:
            return self._nothing
        return self._outcomes(self.metrics.memory, item, node, _MEMORY)

    def watts(self, item: int, node: int) -> Taken:
        """Return the power that an item draws on a node, in the metric's unit."""
        if self.metrics.power is None:
            return self._nothing
        return self._outcomes(self.metrics.power.name, item, node, _POWER)

    def mean_seconds(self) -> Floats:
        """Return the expected durations, [n, m]."""
        mean = np.array(
            [
                [self.seconds(i, self._a_node_of(kind)).mean() for kind in range(self._kind_count)]
                for i in range(len(self.items))
            ]
        )
        expected: Floats = mean[:, self.kinds]
        return expected

    def mean_cost(self, seconds: Floats) -> Floats:
        """Return the expected price of every item on every node, [n, m]."""
        costs: Floats = seconds * self.prices[None, :] / SECONDS_PER_HOUR
        return costs

    @cached_property
    def _nothing(self) -> Taken:
        return Taken(np.zeros(self.outcomes, dtype=np.float32), 1.0)

    @cached_property
    def _kind_count(self) -> int:
        return int(self.kinds.max()) + 1

    def _a_node_of(self, kind: int) -> int:
        return int(np.flatnonzero(self.kinds == kind)[0])

    def row(self, item: int, node: int) -> int:
        """Return where the forecasts of an item on a node stand."""
        return item * self._kind_count + int(self.kinds[node])

    def _outcomes(
        self, metric: str, item: int, node: int, stream: int, *, reverse: bool = False
    ) -> Taken:
        row = self.row(item, node)
        known = self._kept.get((metric, row))
        if known is None:
            f = self.forecasts
            m = f.metric_index(metric)
            ranks = self._ranks_of(stream)[item]
            # Durations are weighed by their means, loads by how likely they are too much.
            outermost = OUTERMOST if stream == _DURATION else self.overflow_risk / 4
            grid = self.strata.residuals(f.tables, self.outcomes, outermost)[f.table[row, m], m]
            drawn = grid[self.outcomes - 1 - ranks if reverse else ranks]
            raw = f.location[row, m] + f.scale[row, m] * drawn
            values = np.exp(np.minimum(raw, _LARGEST_EXPONENT)) if f.log[m] else raw
            known = self._kept[(metric, row)] = Taken.of(f, row, metric, values)
        return known

    def _ranks_of(self, stream: int) -> NDArray[np.intp]:
        if stream not in self._ranks:
            self._ranks[stream] = draw_ranks(
                len(self.items), self.outcomes, stream, self.correlation
            )
        return self._ranks[stream]
