"""Estimates: the forecasts of the rows that an answer tells of, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell.decide.results import Estimate
from foretell.forecast import Forecasts, QuantileTables
from foretell.row_forecast import RowReader
from foretell.schema import Schema

TOLERANCE = 0.2
"""Of the confidence that is told: P(|actual - median| ≤ 20 % of the median)."""

_REMEMBERED_LEVELS = 64


class Estimator:
    """Reads the forecasts of one bundle. For few rows, plain numbers are faster than arrays."""

    def __init__(self, schema: Schema, tables: QuantileTables) -> None:
        self._metrics = schema.metrics
        self._tables = tables
        self._by_level: dict[float, list[tuple[str, str, RowReader]]] = {}

    def estimates(
        self, forecasts: Forecasts, which: Sequence[int], level: float
    ) -> list[tuple[Estimate, ...]]:
        """Return the estimates of all metrics of some rows, in the order of `which`."""
        chosen = np.array(which, dtype=np.intp)
        columns = (forecasts.location, forecasts.scale, forecasts.table)
        cells = (column.take(chosen, axis=0).tolist() for column in columns)
        readers = self._readers(level)
        found = []
        for row in zip(*cells, strict=True):
            estimates = []
            for (name, unit, read), *cell in zip(readers, *row, strict=True):
                median, lower, upper = read.quantiles(*cell)
                sure = read.confidence(*cell)
                estimates.append(Estimate(name, unit, median, lower, upper, level, sure))
            found.append(tuple(estimates))
        return found

    def _readers(self, level: float) -> list[tuple[str, str, RowReader]]:
        known = self._by_level.get(level)
        if known is None:
            ends = ((1 - level) / 2, (1 + level) / 2)
            known = [
                (
                    metric.name,
                    metric.unit,
                    RowReader(
                        self._tables, m, log=metric.scale == "log", levels=ends, tolerance=TOLERANCE
                    ),
                )
                for m, metric in enumerate(self._metrics)
            ]
            # Levels come from callers: remember the usual ones, and no more than that.
            if len(self._by_level) < _REMEMBERED_LEVELS:
                self._by_level[level] = known
        return known
