"""The forecasts that strategies are made of: every item alone, beside each other, and batched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foretell.decide.outcomes import Outcomes
from foretell.decide.quantities import WorkTime
from foretell.decide.questions import Features, Item, Share
from foretell.decide.together import Taken
from foretell.forecast import Floats, Forecasts

Key = tuple[int, str, float]
"""An item, how it runs ("alone", "beside", "batch"), and beside whom or at what batch size."""


@dataclass(frozen=True)
class Layout:
    """Which row of the forecasts is about what."""

    rows: dict[Key, int]
    own: tuple[Features, ...]
    """The features of every row."""
    fields: tuple[str, ...]
    """Where the caller finds them."""


def lay_out(
    question: Share, neighbour: str, item_feature: str, batch: str, nobody: Features
) -> Layout:
    """Return the rows that a question needs; "" for a feature that the schema does not have.

    `nobody` is what the features say of an item that nothing runs beside.
    """
    rows: dict[Key, int] = {}
    own: list[Features] = []
    fields: list[str] = []

    def add(key: Key, features: Features) -> None:
        rows[key] = len(own)
        own.append(features)
        fields.append(f"items[{key[0]}]")

    for i, item in enumerate(question.items):
        add((i, "alone", 0.0), {**item.features, **nobody})
        if neighbour:
            for j, other in enumerate(question.items):
                if j != i:
                    beside = {**item.features, neighbour: other.features[item_feature]}
                    add((i, "beside", float(j)), beside)
        for size in question.batch_sizes if batch else ():
            add((i, "batch", size), {**item.features, **nobody, batch: size})
    return Layout(rows, tuple(own), tuple(fields))


@dataclass(frozen=True)
class Known:
    """The forecasts of one question, by item and by how it runs."""

    items: Sequence[Item]
    layout: Layout
    forecasts: Forecasts
    outcomes: Outcomes
    tails: Outcomes
    """The same with the far tails, for what must not be exceeded."""
    work: WorkTime
    memory_metric: str | None
    slowdown: float | None
    """The caller's factor for each item beside; None to take what the bundle knows about them."""
    slowdown_metric: str | None = None
    """The metric that is that factor; None to divide the time beside another by that alone."""

    def seconds(self, item: int, how: str = "alone", which: float = 0.0) -> Floats:
        """Return how long an item takes for all of its work, [outcomes]."""
        values = self.outcomes.metric(self.work.metric)[self.layout.rows[item, how, which]]
        work = self.items[item].work
        if self.work.is_rate:
            rate_s: Floats = work * self.work.seconds / values
            return rate_s
        # A batch is one run: of so many units, fewer runs are needed.
        runs = np.ceil(work / which) if how == "batch" else work
        seconds: Floats = runs * values * self.work.seconds
        return seconds

    def factor(self, item: int, other: int) -> float:
        """Return how much longer an item takes beside another than alone, expected."""
        if self.slowdown is not None:
            return self.slowdown
        if self.slowdown_metric is not None:
            row = self.layout.rows[item, "beside", float(other)]
            return max(1.0, float(self.outcomes.metric(self.slowdown_metric)[row].mean()))
        beside = self.seconds(item, "beside", float(other)).mean()
        return max(1.0, float(beside / self.seconds(item).mean()))

    def memory(self, item: int, how: str = "alone", which: float = 0.0) -> Taken | None:
        """Return the memory that an item takes; None without such a metric."""
        if self.memory_metric is None:
            return None
        row = self.layout.rows[item, how, which]
        outcomes = self.tails.metric(self.memory_metric)[row]
        return Taken.of(self.forecasts, row, self.memory_metric, outcomes)

    def quantile(self, metric: str, level: float, item: int, how: str, which: float) -> float:
        """Return a quantile of one metric of an item."""
        row = self.layout.rows[item, how, which]
        m = self.forecasts.metric_index(metric)
        return float(self.forecasts.take(slice(row, row + 1)).quantile(level)[0, m])
