"""Estimates: the forecasts of the rows that an answer tells of, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

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
        self._metrics = [(m.name, m.unit, m.scale == "log") for m in schema.metrics]
        self._tables = tables
        self._by_level: dict[float, list[RowReader]] = {}

    def estimates(
        self, forecasts: Forecasts, which: Sequence[int], level: float
    ) -> list[tuple[Estimate, ...]]:
        """Return the estimates of all metrics of some rows, in the order of `which`."""
        chosen = list(which)
        columns = (forecasts.location, forecasts.scale, forecasts.table)
        rows = zip(*(column[chosen].tolist() for column in columns), strict=True)
        readers = self._readers(level)
        return [self._row(readers, level, *row) for row in rows]

    def _row(
        self,
        readers: Sequence[RowReader],
        level: float,
        location: Sequence[float],
        scale: Sequence[float],
        table: Sequence[int],
    ) -> tuple[Estimate, ...]:
        found = []
        cells = zip(self._metrics, readers, location, scale, table, strict=True)
        for (name, unit, _), read, at, wide, which in cells:
            median, lower, upper = read.quantiles(at, wide, which)
            sure = read.confidence(at, wide, which)
            found.append(Estimate(name, unit, median, lower, upper, level, sure))
        return tuple(found)

    def _readers(self, level: float) -> list[RowReader]:
        known = self._by_level.get(level)
        if known is None:
            ends = ((1 - level) / 2, (1 + level) / 2)
            known = [
                RowReader(self._tables, m, log=log, levels=ends, tolerance=TOLERANCE)
                for m, (_, _, log) in enumerate(self._metrics)
            ]
            # Levels come from callers: remember the usual ones, and no more than that.
            if len(self._by_level) < _REMEMBERED_LEVELS:
                self._by_level[level] = known
        return known
