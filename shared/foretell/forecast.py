"""Forecasts: every answer read from one monotone distribution, so that none contradict.

For a metric on a log scale, quantile q of row i is exp(location + scale · R(q)); on a linear
scale it is location + scale · R(q). R is one of the bundle's quantile tables, chosen per row
and metric. Between the levels of a table R is linear in q. Beyond the outermost levels it is
linear in log(q / (1 - q)), through the last two levels, so that any q in (0, 1) has an answer.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretell.errors import InvalidInput, NotFound, Violation

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LARGEST_EXPONENT = 700.0
"""exp() of more is infinite, and no metric is."""

_REMEMBERED_LEVELS = 256
_FEW = 64


@dataclass(frozen=True)
class QuantileTables:
    """The calibrated quantiles R(q) of standardised residuals, in T tables for M metrics."""

    levels: Floats
    """[Q], increasing, inside (0, 1); at least two."""
    values: Floats
    """[T, M, Q], not decreasing along Q."""
    dispersion: Floats | None = None
    """[T, M], above 0: how what many rows take together varies, as a multiple of what their
    distributions say; None is 1 everywhere."""
    draws: Integers | None = None
    """[T], above 0: on how many independent draws a table rests. That for models never seen rests
    on as many as there are models, whatever their rows. None is enough for all levels."""
    _at: dict[float, Floats] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        levels, values = self.levels, self.values
        if levels.ndim != 1 or len(levels) < 2 or not np.all(np.diff(levels) > 0):
            raise ValueError("quantile levels must be at least two, and increasing")
        if not (levels[0] > 0 and levels[-1] < 1):
            raise ValueError("quantile levels must lie between 0 and 1, both excluded")
        if values.ndim != 3 or values.shape[2] != len(levels):
            raise ValueError(f"quantile values must be [tables, metrics, {len(levels)}]")
        if not np.all(np.isfinite(values)) or np.any(np.diff(values, axis=2) < 0):
            raise ValueError("quantile values must be finite and must not decrease")
        spread = self.dispersion
        if spread is not None and (spread.shape != values.shape[:2] or not np.all(spread > 0)):
            raise ValueError(f"dispersions must be above 0 and {list(values.shape[:2])}")
        draws = self.draws
        if draws is not None and (draws.shape != values.shape[:1] or not np.all(draws > 0)):
            raise ValueError(f"draws must be above 0, one for each of {len(values)} tables")

    def at(self, level: float) -> Floats:
        """Return R(level) of every table and metric, [T, M]."""
        known = self._at.get(level)
        if known is None:
            known = self._interpolate(level)
            # Levels come from callers: remember the usual ones, and no more than that.
            if len(self._at) < _REMEMBERED_LEVELS:
                self._at[level] = known
        return known

    def _interpolate(self, level: float) -> Floats:
        levels, values = self.levels, self.values
        if level < levels[0]:
            return values[:, :, 0] + (_logit(level) - _logit(levels[0])) * self.tails[0]
        if level > levels[-1]:
            return values[:, :, -1] + (_logit(level) - _logit(levels[-1])) * self.tails[1]
        i = min(int(np.searchsorted(levels, level, side="right")) - 1, len(levels) - 2)
        share = (level - levels[i]) / (levels[i + 1] - levels[i])
        left, right = values[:, :, i], values[:, :, i + 1]
        # This form is monotone in the share, rounding included, as quantiles must be.
        between: Floats = np.minimum(left + share * (right - left), right)
        return between

    @cached_property
    def tails(self) -> tuple[Floats, Floats]:
        """The slopes, per unit of log-odds, below the first and above the last level; [T, M]."""
        levels, values = self.levels, self.values
        low = (values[:, :, 1] - values[:, :, 0]) / (_logit(levels[1]) - _logit(levels[0]))
        high = (values[:, :, -1] - values[:, :, -2]) / (_logit(levels[-1]) - _logit(levels[-2]))
        return low, high

    def probability(self, table: Integers, z: Floats, metric: int | None = None) -> Floats:
        """Return P(residual ≤ z), the inverse of `at`, by the table of each row and metric.

        `table` and `z` are [n, M], or [n, 1] for one `metric`; so is the answer.
        """
        first = metric or 0
        if z.size <= _FEW:
            # For so few cells, plain floats are faster than arrays.
            rows = zip(table.tolist(), z.tolist(), strict=True)
            cells = [
                [self.plain[which[m]][first + m].probability(v) for m, v in enumerate(row)]
                for which, row in rows
            ]
            return np.array(cells, dtype=np.float64).reshape(z.shape)
        return self._invert_many(table, np.arange(first, first + z.shape[1]), z)

    @cached_property
    def plain(self) -> list[list[Residual]]:
        """The tables as plain numbers, [T][M]."""
        levels = [float(level) for level in self.levels]
        low, high = (side.tolist() for side in self.tails)
        return [
            [
                Residual(levels, values, (low[t][m], high[t][m]))
                for m, values in enumerate(by_metric)
            ]
            for t, by_metric in enumerate(self.values.tolist())
        ]

    def _invert_many(self, table: Integers, columns: Integers, z: Floats) -> Floats:
        levels, passed = self.levels, self._passed(table, columns, z)
        i = np.minimum(np.maximum(passed - 1, 0), len(levels) - 2)
        left, right = self.values[table, columns, i], self.values[table, columns, i + 1]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            share = (z - left) / (right - left)
            inside = levels[i] + share * (levels[i + 1] - levels[i])
        found: Floats = np.minimum(inside, levels[i + 1])
        for side, outside in ((0, passed == 0), (-1, passed == len(levels))):
            rows, metrics = np.nonzero(outside)
            if len(rows):
                where = (table[rows, metrics], columns[metrics])
                found[rows, metrics] = self._tail(side, *where, z[rows, metrics])
        return found

    def _tail(self, side: int, table: Integers, columns: Integers, z: Floats) -> Floats:
        """Return the probabilities of what lies beyond the first (0) or the last (-1) level."""
        slope = self.tails[side][table, columns]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            odds = _logit(self.levels[side]) + (z - self.values[table, columns, side]) / slope
        return np.where(slope > 0, _expit(odds), 0.0 if side == 0 else 1.0)

    def _passed(self, table: Integers, columns: Integers, z: Floats) -> Integers:
        """Return how many of its table's values each z has reached, by bisection of all at once."""
        count = len(self.levels)
        values = self.values.reshape(-1)
        before_first = (table * self.values.shape[1] + columns) * count - 1
        passed = np.zeros(z.shape, dtype=np.int64)
        for step in (1 << k for k in reversed(range(count.bit_length()))):
            further = np.minimum(passed + step, count)
            passed = np.where(values[before_first + further] <= z, further, passed)
        return passed

    @cached_property
    def columns(self) -> Integers:
        """The positions of the metrics, [M]."""
        return np.arange(self.values.shape[1])


class Residual:
    """One table's distribution of one metric's residual, in plain numbers: for a single row.

    One row is what schedulers ask most, and there an array costs twenty times the arithmetic.
    """

    __slots__ = ("_last", "_levels", "_odds", "_slopes", "_values")

    def __init__(
        self, levels: list[float], values: list[float], slopes: tuple[float, float]
    ) -> None:
        self._levels = levels
        self._values = values
        self._slopes = slopes
        self._odds = (_logit(levels[0]), _logit(levels[-1]))
        self._last = len(levels) - 1

    # MUST compute the same as QuantileTables._invert_many; a test compares them.
    def probability(self, z: float) -> float:
        """Return P(residual ≤ z)."""
        levels, values = self._levels, self._values
        i = bisect_right(values, z) - 1
        if 0 <= i < self._last:
            low, left = levels[i], values[i]
            high = levels[i + 1]
            share = low + (z - left) / (values[i + 1] - left) * (high - low)
            return share if share < high else high
        return self._beyond(z, 0 if i < 0 else 1)

    def _beyond(self, z: float, side: int) -> float:
        slope = self._slopes[side]
        if slope <= 0:
            # A flat tail has no more mass: what lies beyond it has probability 0 or 1.
            return float(side)
        odds = self._odds[side] + (z - self._values[-side]) / slope
        if odds < -LARGEST_EXPONENT:
            return 0.0
        return 1 / (1 + math.exp(-min(odds, LARGEST_EXPONENT)))


@dataclass(frozen=True)
class Forecasts:
    """The predictive distributions of M metrics for n rows."""

    metric_names: tuple[str, ...]
    log: NDArray[np.bool_]
    """[M]: whether location and scale are those of the metric's logarithm."""
    location: Floats
    """[n, M]"""
    scale: Floats
    """[n, M], above 0."""
    table: Integers
    """[n, M]: which quantile table holds for the row's metric."""
    tables: QuantileTables
    support: Floats
    """[n], in [0, 1]: how well the training data covers the row."""

    def __post_init__(self) -> None:
        if self.table.shape != self.location.shape:
            raise ValueError(f"tables are {self.table.shape}, locations {self.location.shape}")

    @cached_property
    def _cells(self) -> Integers:
        """[n, M]: where each table and metric stands in a flat [T · M]."""
        return self.table * len(self.metric_names) + self.tables.columns

    def __len__(self) -> int:
        return len(self.location)

    def metric_index(self, metric: str) -> int:
        """Return the column of a metric, or raise NotFound."""
        if metric not in self.metric_names:
            raise NotFound("metric", metric, self.metric_names)
        return self.metric_names.index(metric)

    def take(self, rows: NDArray[np.int64] | slice) -> Forecasts:
        """Return the forecasts of some of the rows."""
        return Forecasts(
            self.metric_names,
            self.log,
            self.location[rows],
            self.scale[rows],
            self.table[rows],
            self.tables,
            self.support[rows],
        )

    def median(self) -> Floats:
        """Return the medians [n, M], in the metrics' own units."""
        return self.quantile(0.5)

    def quantile(self, level: float) -> Floats:
        """Return the quantiles of one level in (0, 1), [n, M], in the metrics' own units."""
        _check("quantile", level)
        return self._value(self.location + self.scale * self._residual(level), self.log)

    def quantiles(self, levels: Sequence[float]) -> Floats:
        """Return the quantiles of several levels, [n, M, levels]."""
        for level in levels:
            _check("quantile", level)
        # All levels at once: for a few rows each call to numpy costs more than its arithmetic.
        by_cell = np.stack([self.tables.at(level).reshape(-1) for level in levels], axis=1)
        residuals = by_cell[self._cells]
        raw = self.location[:, :, None] + self.scale[:, :, None] * residuals
        return self._value(raw, self.log[:, None])

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Return the lower and upper ends, [n, M] each, of the central interval of a level."""
        _check("interval level", level)
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    def probability_within(self, metric: str, limit: ArrayLike) -> Floats:
        """Return P(metric ≤ limit) of each row, [n]; `limit` is one number or one per row."""
        m = self.metric_index(metric)
        limits = np.broadcast_to(np.asarray(limit, dtype=np.float64), (len(self),))
        if np.isnan(limits).any():
            raise InvalidInput([Violation("limit", "nan", "a limit must be a number")])
        return self._below(limits[:, None], m)[:, 0]

    def confidence(self, tolerance: float = 0.2) -> Floats:
        """Return P(|actual - median| ≤ tolerance · median), [n, M]."""
        if not (math.isfinite(tolerance) and tolerance > 0):
            raise InvalidInput([Violation("tolerance", str(tolerance), "must be above 0")])
        # In units of scale around the median, so that nothing is taken to exp() and back.
        centre = self._residual(0.5)
        reach = tolerance * np.abs(self.location + self.scale * centre)
        down = math.log1p(-tolerance) if tolerance < 1 else -math.inf
        above = np.where(self.log, math.log1p(tolerance), reach) / self.scale
        below = np.where(self.log, down, -reach) / self.scale
        ends = np.concatenate([centre + above, centre + below])
        both = self.tables.probability(np.concatenate([self.table, self.table]), ends)
        return both[: len(self)] - both[len(self) :]

    def reservation(self, metric: str, under_cost: float, over_cost: float) -> Floats:
        """Return, per row [n], what to reserve so that the expected cost is least.

        `under_cost` is what each unit too little costs, `over_cost` each unit too much. The
        answer is the quantile at under / (under + over).
        """
        for name, cost in (("under_cost", under_cost), ("over_cost", over_cost)):
            if not (math.isfinite(cost) and cost > 0):
                raise InvalidInput([Violation(name, str(cost), "a cost must be above 0")])
        m = self.metric_index(metric)
        return self.quantile(under_cost / (under_cost + over_cost))[:, m]

    def _below(self, limits: Floats, metric: int | None = None) -> Floats:
        """Return P(metric ≤ limit), [n, M] or, for one metric, [n, 1]."""
        chosen = slice(None) if metric is None else slice(metric, metric + 1)
        log, location, scale = self.log[chosen], self.location[:, chosen], self.scale[:, chosen]
        if log.any():
            with np.errstate(divide="ignore", invalid="ignore"):
                # What is on a log scale is above 0: P(≤ 0) is 0.
                logs = np.where(limits > 0, np.log(limits), -np.inf)
            limits = logs if log.all() else np.where(log, logs, limits)
        return self.tables.probability(self.table[:, chosen], (limits - location) / scale, metric)

    def _residual(self, level: float) -> Floats:
        """Return R(level) by the table of each row and metric, [n, M]."""
        return self.tables.at(level).take(self._cells)

    def _value(self, raw: Floats, log: NDArray[np.bool_]) -> Floats:
        if log.all():
            return np.exp(np.minimum(raw, LARGEST_EXPONENT))
        exponents = np.minimum(np.where(log, raw, 0.0), LARGEST_EXPONENT)
        return np.where(log, np.exp(exponents), raw)


def _logit(level: float) -> float:
    return math.log(level / (1 - level))


def _expit(odds: Floats) -> Floats:
    bounded = np.clip(odds, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    return np.where(odds < -LARGEST_EXPONENT, 0.0, 1 / (1 + np.exp(-bounded)))


def _check(name: str, level: float) -> None:
    if not 0 < level < 1:
        message = f"{level:g} is not a probability between 0 and 1, both excluded"
        raise InvalidInput([Violation(name, f"{level:g}", message)])
