"""What may happen: the distributions of some rows as equally likely outcomes, side by side.

Every metric of every row is cut into strata of equal probability. Marginal distributions are
therefore those of the forecasts, whatever is assumed about how outcomes go together:

- Metrics that a link of the schema ties (throughput and latency) rise and fall together.
- Metrics that nothing ties are taken as independent.
- Two rows of one decision share a part of their error: what is not known about a model makes
  all its forecasts wrong in the same direction. `correlation` says how large that part is (a
  Gaussian copula with one common factor).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from foretell.forecast import Floats, Forecasts, QuantileTables
from foretell.schema import Schema

MOST_CELLS = 2**14
FEWEST, MOST = 256, 4096
OUTERMOST = 0.025
"""What lies beyond the quantiles of this level and of its complement counts as those, unless a
question is about rarer outcomes. Means of heavy tails would otherwise rest on outcomes that no
calibration has seen: on held-out language models, hardware chosen by means over all down to the
0.2 % quantile reached 0.92 of the best throughput, down to the 2.5 % quantile 0.95. Of a table that
rests on k draws, as that for unseen models on k models, what lies beyond the level 1 / (k + 1) has
not been seen either, and counts as that level's quantile does."""

_HIGHEST = 0.25
"""The level of the nearest of these quantiles."""

_LARGEST_EXPONENT = 700.0
_REMEMBERED_GRIDS = 32
_SEED = 20250214  # the same question has the same answer, in every process


class Strata:
    """The residuals R of a bundle's quantile tables at the middle of every stratum."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._coupling = _couplings(schema)
        self._tables: QuantileTables | None = None
        self._grids: dict[tuple[int, float], Floats] = {}
        self._placed: dict[tuple[object, ...], Floats] = {}

    def outcomes(
        self, forecasts: Forecasts, correlation: float, outermost: float = OUTERMOST
    ) -> Outcomes:
        """Return what may happen to the rows of one decision."""
        count = strata_for(len(forecasts))
        return Outcomes(self, forecasts, count, correlation, outermost)

    def residuals(self, tables: QuantileTables, count: int, outermost: float) -> Floats:
        """Return R in `count` strata, [T, M, count], not decreasing along the strata."""
        if tables is not self._tables or len(self._grids) > _REMEMBERED_GRIDS:
            self._tables, self._grids, self._placed = tables, {}, {}
        key = (count, outermost)
        grid = self._grids.get(key)
        if grid is None:
            ends = np.full(len(tables.values), outermost)
            if outermost == OUTERMOST and tables.draws is not None:
                ends = np.clip(1.0 / (tables.draws + 1.0), outermost, _HIGHEST)
            grid = self._grids[key] = _residuals(tables, levels_of(count), ends)
        return grid

    def placed(
        self, forecasts: Forecasts, m: int, count: int, outermost: float, correlation: float
    ) -> Floats:
        """Return the residuals of one metric, [n, count], each in the outcome where it happens.

        They follow from the rows' tables alone, and so are the same again and again.
        """
        grid = self.residuals(forecasts.tables, count, outermost)
        table = forecasts.table[:, m]
        key = (m, count, outermost, correlation, table.tobytes())
        placed = self._placed.get(key)
        if placed is None:
            places = _places(len(table), count, *self._coupling[m], correlation)
            placed = grid[table, m].take(places)
            if placed.size <= MOST_CELLS:
                if len(self._placed) >= _REMEMBERED_GRIDS:
                    self._placed.clear()
                self._placed[key] = placed
        return placed


class Outcomes:
    """Equally likely outcomes of n rows; column s of every metric and row happens together."""

    def __init__(
        self,
        strata: Strata,
        forecasts: Forecasts,
        count: int,
        correlation: float,
        outermost: float,
    ) -> None:
        self.forecasts = forecasts
        self.count = count
        self._strata = strata
        self._correlation = correlation
        self._outermost = outermost
        self._known: dict[int, Floats] = {}

    def metric(self, name: str) -> Floats:
        """Return the outcomes of one metric, [n, count], in its unit."""
        m = self.forecasts.metric_index(name)
        if m not in self._known:
            self._known[m] = self._values(m)
        return self._known[m]

    def _values(self, m: int) -> Floats:
        f = self.forecasts
        placed = self._strata.placed(f, m, self.count, self._outermost, self._correlation)
        values: Floats = placed * f.scale[:, m, None]
        # In place: for a few rows, room for each step would cost more than the step.
        values += f.location[:, m, None]
        if f.log[m]:
            if values.max() > _LARGEST_EXPONENT:
                np.minimum(values, _LARGEST_EXPONENT, out=values)
            np.exp(values, out=values)
        return values


def strata_for(rows: int) -> int:
    """Return into how many strata so many rows are cut: the fewer rows, the finer."""
    wanted = MOST_CELLS // max(rows, 1)
    return int(min(max(2 ** int(math.log2(max(wanted, 1))), FEWEST), MOST))


def levels_of(count: int) -> Floats:
    """Return the quantile level in the middle of each stratum, [count]."""
    levels: Floats = (np.arange(count) + 0.5) / count
    return levels


# MUST compute the same as QuantileTables.at; a test compares them. That one remembers each
# level, which hundreds of strata would crowd out.
def _residuals(tables: QuantileTables, levels: Floats, ends: Floats) -> Floats:
    known, (low, high) = tables.levels, tables.tails
    held = np.clip(levels, ends[:, None], 1 - ends[:, None])
    grid: Floats = np.array(
        [
            [np.interp(own, known, values) for values in table]
            for own, table in zip(held, tables.values, strict=True)
        ]
    )
    odds = np.log(held / (1 - held))[:, None, :]
    first, last = (math.log(level / (1 - level)) for level in (known[0], known[-1]))
    grid += low[..., None] * np.minimum(odds - first, 0.0)
    grid += high[..., None] * np.maximum(odds - last, 0.0)
    return grid


def _places(
    rows: int, count: int, stream: int, reversed_: bool, correlation: float
) -> NDArray[np.intp]:
    """Return where, in [rows, count] laid flat, each row's value of each outcome stands."""
    size = 2 ** math.ceil(math.log2(max(rows, 1)))
    if size * count > 2 * MOST_CELLS:  # too large to keep
        return _draw_places(rows, count, stream, reversed_, correlation)
    return _kept(size, count, stream, reversed_, correlation)[:rows]


def _draw_places(
    rows: int, count: int, stream: int, reversed_: bool, correlation: float
) -> NDArray[np.intp]:
    ranks = draw_ranks(rows, count, stream, correlation)
    # A flat index is looked up three times faster than one along an axis.
    starts = count * np.arange(rows)[:, None]
    return starts + (count - 1 - ranks if reversed_ else ranks)


def draw_ranks(rows: int, count: int, stream: int, correlation: float | Floats) -> NDArray[np.intp]:
    """Return in which of `count` strata each row is in every outcome, [rows, count].

    Each row goes once through all strata; how two rows go together is what `correlation` says,
    one number for all, or how much of its error each row shares, [rows].
    """
    shared = np.broadcast_to(np.asarray(correlation, dtype=np.float64), (rows,))[:, None]
    rng = np.random.default_rng((_SEED, stream))
    common = rng.standard_normal(count)
    own = rng.standard_normal((rows, count))
    mixed = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    return np.argsort(np.argsort(mixed, axis=1), axis=1)


_kept = lru_cache(maxsize=64)(_draw_places)


def _couplings(schema: Schema) -> tuple[tuple[int, bool], ...]:
    """Return, per metric, the metric whose outcomes it follows, and whether reversed."""
    names = schema.metric_names
    found = [(m, False) for m in range(len(names))]
    for link in schema.links:
        tied = [(name, power) for name, power in link.factors.items() if name in names]
        if len(tied) == 1:
            (name, power), m = tied[0], names.index(link.metric)
            (old, old_reversed), (root, reversed_) = found[m], found[names.index(name)]
            flip = old_reversed != (reversed_ != (power < 0))
            if old != root:
                found = [(root, r != flip) if base == old else (base, r) for base, r in found]
    return tuple(found)
