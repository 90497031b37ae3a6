"""Packing memory: tasks are put on a node as long as the risk allows, then it is counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.scheduling.tasks import MEMORY, Estimates
from foretell.decide.outcomes import Strata, draw_ranks
from foretell.decide.placing.batch import KNOWN_CORRELATION
from foretell.decide.together import Singles, Taken, together
from foretell.forecast import Forecasts
from foretell_trainer.engine.inputs import Floats

RISK = 0.01
CAPACITY_KB = 1_000_000.0
_OUTCOMES = 4096


@dataclass(frozen=True)
class Packed:
    """Over many nodes that were filled."""

    nodes: int
    tasks_per_node: float
    overflow: float
    """Share of the nodes whose tasks really took more than there is."""
    waste: float
    """Mean share of a node that was left, where it sufficed."""


def pack(order: Iterable[int], fits: Filler, truth: Floats) -> Packed:
    """Fill one node after another with tasks as they come."""
    nodes: list[list[int]] = [[]]
    for task in order:
        if not fits.add(task):
            fits.clear()
            nodes.append([])
            fits.add(task)
        nodes[-1].append(task)
    used = np.array([truth[node].sum() for node in nodes[:-1]])  # the last one is not full
    left = np.maximum(0.0, 1.0 - used / CAPACITY_KB)
    return Packed(
        len(used),
        float(np.mean([len(node) for node in nodes[:-1]])),
        float((used > CAPACITY_KB).mean()),
        float(left[used <= CAPACITY_KB].mean()),
    )


@dataclass(frozen=True)
class Sized:
    """Over many sets of tasks, each with a reservation of its own."""

    overflow: float
    """Share of the sets that really took more than was reserved."""
    waste: float
    """What was reserved and not taken, as a share of what was taken."""


def size(estimates: Estimates, truth: Floats, together: int, sets: int, strata: Strata) -> Sized:
    """Reserve for sets of so many tasks: by joint risk where there are distributions, else sums."""
    rng = np.random.default_rng((3, together))
    joint = None
    if estimates.forecasts is not None:
        joint = JointFiller(estimates.forecasts, strata, KNOWN_CORRELATION)
    over, reserved, used = [], 0.0, 0.0
    for _ in range(sets):
        chosen = rng.choice(len(truth), together, replace=False)
        total = float(truth[chosen].sum())
        own = float(estimates.memory_kb[chosen].sum())
        needed = joint.needed(chosen.tolist()) if joint else own
        over.append(total > needed)
        reserved, used = reserved + needed, used + total
    return Sized(float(np.mean(over)), reserved / used - 1.0)


class Filler:
    """Fills a node by what each task reserves."""

    def __init__(self, reserved: Floats) -> None:
        self._reserved = reserved
        self._sum = 0.0

    def add(self, task: int) -> bool:
        """Put a task on the node if it fits; return whether it did."""
        total = self._sum + self._reserved[task]
        if total > CAPACITY_KB:
            return False
        self._sum = total
        return True

    def clear(self) -> None:
        """Begin a new node."""
        self._sum = 0.0


class JointFiller(Filler):
    """Fills a node by the joint distribution of what its tasks take, as PlaceBatch does."""

    def __init__(self, forecasts: Forecasts, strata: Strata, correlation: float) -> None:
        super().__init__(np.zeros(0))
        metric = forecasts.metric_index(MEMORY)
        grid = strata.residuals(forecasts.tables, _OUTCOMES, RISK / 4)
        outcomes = np.exp(
            forecasts.location[:, metric, None]
            + forecasts.scale[:, metric, None] * grid[forecasts.table[:, metric], metric]
        )
        self._alone = [Taken.of(forecasts, i, MEMORY, row) for i, row in enumerate(outcomes)]
        # One for each place on a node: who shares a node shares its common error.
        self._ranks = draw_ranks(64, _OUTCOMES, 1, correlation)
        self._there: list[int] = []

    def add(self, task: int) -> bool:
        """Put a task on the node if the risk stays; return whether it did."""
        total = self._together([*self._there, task])
        if self._there and (total > CAPACITY_KB).mean() > RISK:
            return False
        self._there.append(task)
        return True

    def needed(self, tasks: list[int]) -> float:
        """Return what tasks need together so that the risk is kept."""
        return float(np.quantile(self._together(tasks), 1 - RISK))

    def clear(self) -> None:
        """Begin a new node."""
        self._there = []

    def _together(self, tasks: list[int]) -> Singles:
        alone = [self._alone[task] for task in tasks]
        ranked = [
            replace(one, outcomes=one.outcomes[r])
            for one, r in zip(alone, self._ranks, strict=False)
        ]
        return together(ranked)


def fillers(estimates: Iterable[Estimates], strata: Strata) -> dict[str, Filler]:
    """Return who fills nodes, by name."""
    found: dict[str, Filler] = {}
    for one in estimates:
        if one.forecasts is None:
            found[one.name] = Filler(one.memory_kb)
        else:
            found[f"{one.name}, joint risk"] = JointFiller(one.forecasts, strata, KNOWN_CORRELATION)
            found[f"{one.name}, each one's 99 %"] = Filler(one.memory_kb)
    return found
