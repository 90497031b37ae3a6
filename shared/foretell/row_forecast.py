"""The forecast of one row in plain numbers, compiled once for what is asked again and again.

`Forecasts` reads the same distribution from arrays. For a single row those cost twenty times the
arithmetic, and a single row is what schedulers ask most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import exp, log

from foretell.forecast import LARGEST_EXPONENT, QuantileTables

MEDIAN = 0.5


class RowReader:
    """Answers a fixed list of questions about one metric of one row.

    MUST say the same as `Forecasts.quantile`, `confidence` and `probability_within`; a test
    compares them.
    """

    __slots__ = ("_deadlines", "_down", "_log", "_residuals", "_tables", "_tolerance", "_up")

    def __init__(
        self,
        tables: QuantileTables,
        metric: int,
        *,
        log: bool,
        levels: Sequence[float],
        tolerance: float,
        deadlines: Sequence[float] = (),
    ) -> None:
        """Compile the questions: the median, quantiles of `levels`, confidence, deadlines.

        `metric` is the metric's column in the tables, `log` whether it is on a log scale.
        """
        at = [tables.at(level).tolist() for level in (MEDIAN, *levels)]
        self._residuals = [[by[t][metric] for by in at] for t in range(len(tables.values))]
        self._tables = [by_metric[metric].probability for by_metric in tables.plain]
        self._log = log
        self._tolerance = tolerance
        self._up = math.log1p(tolerance)
        self._down = math.log1p(-tolerance) if tolerance < 1 else -math.inf
        self._deadlines = tuple(_log_limit(limit) if log else limit for limit in deadlines)

    def quantiles(self, location: float, scale: float, table: int) -> list[float]:
        """Return the median and the quantiles of the levels asked, in the metric's unit."""
        if self._log:
            return [
                exp(LARGEST_EXPONENT if (raw := location + scale * r) > LARGEST_EXPONENT else raw)
                for r in self._residuals[table]
            ]
        return [location + scale * r for r in self._residuals[table]]

    def confidence(self, location: float, scale: float, table: int) -> float:
        """Return P(|actual - median| ≤ tolerance · median)."""
        centre = self._residuals[table][0]
        probability = self._tables[table]
        if self._log:
            up, down = self._up, self._down
        else:
            up = self._tolerance * abs(location + scale * centre)
            down = -up
        return probability(centre + up / scale) - probability(centre + down / scale)

    def deadlines(self, location: float, scale: float, table: int) -> list[float]:
        """Return P(metric ≤ limit) for each of the deadlines asked."""
        probability = self._tables[table]
        return [probability((limit - location) / scale) for limit in self._deadlines]


def _log_limit(limit: float) -> float:
    # What is on a log scale is above 0: P(≤ 0) is 0.
    return log(limit) if limit > 0 else -math.inf
