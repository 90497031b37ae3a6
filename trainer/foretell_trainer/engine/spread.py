"""Spread: how much wider or narrower the errors of one id are than its scale says.

A Mondrian table per group would want hundreds of rows of each (Vovk et al., Algorithmic Learning
in a Random World, 2005). Instead each value of an id has a factor on the scale, from the upper
quantiles of its standardised out-of-fold residuals, shrunk towards 1 the more the fewer rows it
has, and the more the halves of a value's rows disagree (empirical Bayes). One table, calibrated
on residuals over these factors, then holds for all. Errors of known pairs and of new ones are of
different kinds, so each has factors of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foretell_trainer.engine.inputs import Floats, Integers
from foretell_trainer.engine.seen import (
    FEW_SHOT_ROWS,
    NEW_PAIR_TABLE,
    WARM_TABLE,
    GroupCounts,
    combined,
)

_REGIMES = (WARM_TABLE, NEW_PAIR_TABLE)

_LEVELS = (0.8, 0.9)
"""The quantiles of sizes that a factor goes by: where intervals are asked for."""

_FEWEST_ROWS = 20
_FEWEST_IN_HALF = 5
_FEWEST_VALUES = 3
_MOST = 1.1
"""The largest factor is exp() of this."""


@dataclass(frozen=True)
class Spread:
    """The logs of the factors of one metric, by the cells of a pair, or else by each id."""

    members: tuple[tuple[int, ...], ...]
    """The categories of the first pair, or of each id where there is no pair."""
    sizes: tuple[tuple[int, ...], ...]
    """Per group, one more than the number of known values of each member; 0 is unknown."""
    logs: tuple[Floats, ...]
    """Per group, by combination, in the order of `GroupCounts`."""

    def predict(self, codes: Integers) -> Floats:
        """Return the log of each row's factor, [n]."""
        total = np.zeros(len(codes))
        for members, sizes, table in zip(self.members, self.sizes, self.logs, strict=True):
            total += table[combined(codes, members, sizes)]
        return total

    def of_group(self, counts: GroupCounts, group: int) -> Floats:
        """Return the logs of a group's combinations; 0 for a group that does not count here."""
        if counts.members[group] in self.members:
            return self.logs[self.members.index(counts.members[group])]
        return np.zeros(len(counts.counts[group]))

    def widened(self, sizes: Sequence[int]) -> Spread:
        """Return wider factors with room for values that are new, all after those known.

        `sizes` [C] are the numbers of values. What has changed is not as sure as it was, so that
        no id stays narrower than all.
        """
        shapes = tuple(tuple(sizes[m] + 1 for m in members) for members in self.members)
        logs = []
        for old, new, table in zip(self.sizes, shapes, self.logs, strict=True):
            more = [(0, after - before) for before, after in zip(old, new, strict=True)]
            logs.append(np.pad(np.maximum(table, 0.0).reshape(old), more).reshape(-1))
        return Spread(self.members, shapes, tuple(logs))


NO_SPREAD = Spread((), (), ())


def fit_spread(
    counts: GroupCounts, codes: Integers, table: Integers, part: Integers, residual: Floats
) -> tuple[Spread, Floats]:
    """Return the factors, and for each row the log of what they are without the row's own part.

    All are of r rows left out: `codes` [r, C], the calibration `table` [r], the `part` [r] that a
    row is left out with here, and standardised residuals [r].
    """
    groups = counts.pairs[:1] or counts.singles
    members = sorted({m for group in groups for m in counts.members[group]})
    sizes = dict(_sizes(counts))
    own = np.zeros(len(residual))
    whole: dict[tuple[int, int], Floats] = {}
    for regime in _REGIMES:
        rows = np.flatnonzero(table == regime)
        half = part[rows] % 2
        left = np.log(np.maximum(np.abs(residual[rows]), 1e-9))
        for member in members:
            values, size = codes[rows, member], sizes[member]
            whole[regime, member] = _factors(left, values, half, size)
            found = np.zeros(len(rows))
            for one in np.unique(part[rows]):
                mine = part[rows] == one
                others = _factors(left[~mine], values[~mine], half[~mine], size)
                found[mine] = others[values[mine]]
            own[rows] += found
            left = left - found
    logs = tuple(_cells(counts, group, whole) for group in groups)
    members_of = tuple(counts.members[group] for group in groups)
    return Spread(members_of, tuple(counts.sizes[group] for group in groups), logs), own


def _factors(logs: Floats, values: Integers, half: Integers, size: int) -> Floats:
    """Return the shrunken log factor of each value, [size], from the logs of sizes [r]."""
    common = _upper(logs, np.zeros(len(logs), np.int64), 1)[0][0]
    found, rows = _upper(logs, values, size)
    (one, few), (other, fewer) = (_upper(logs[half == h], values[half == h], size) for h in (0, 1))
    told = (rows >= _FEWEST_ROWS) & (np.minimum(few, fewer) >= _FEWEST_IN_HALF)
    if told.sum() < _FEWEST_VALUES:
        return np.zeros(size)
    one, other = one[told] - common, other[told] - common
    noise = float(np.mean((one - other) ** 2 / (1 / few[told] + 1 / fewer[told])))
    signal = max(float(np.mean(one * other)), 1e-9)
    shrunk = rows / (rows + noise / signal) * (found - common)
    return np.where(rows >= _FEWEST_ROWS, np.clip(shrunk, -_MOST, _MOST), 0.0)


def _upper(logs: Floats, values: Integers, size: int) -> tuple[Floats, Integers]:
    """Return the mean upper quantile of each value's logs, 0 where it has none, and its rows."""
    rows = np.bincount(values, minlength=size)
    if len(logs) == 0:
        return np.zeros(size), rows
    ordered = logs[np.lexsort((logs, values))]
    starts = np.cumsum(rows) - rows
    last = np.maximum(rows - 1, 0)
    places = [
        np.minimum(starts + np.rint(q * last).astype(np.int64), len(logs) - 1) for q in _LEVELS
    ]
    mean = np.mean([ordered[place] for place in places], axis=0)
    return np.where(rows > 0, mean, 0.0), rows


def _sizes(counts: GroupCounts) -> Sequence[tuple[int, int]]:
    pairs = zip(counts.members, counts.sizes, strict=True)
    return [
        (m, size - 1) for members, sizes in pairs for m, size in zip(members, sizes, strict=True)
    ]


def _cells(counts: GroupCounts, group: int, whole: dict[tuple[int, int], Floats]) -> Floats:
    """Return the log factors of a group's cells; 0 where a member is unknown or has few rows."""
    shape = counts.sizes[group]
    rows = counts.counts[group].reshape(shape)
    total, known = np.zeros(shape), np.ones(shape, bool)
    for axis, member in enumerate(counts.members[group]):
        along = [1] * len(shape)
        along[axis] = -1
        by_regime = [np.insert(whole[regime, member], 0, 0.0).reshape(along) for regime in _REGIMES]
        total = total + np.where(rows > 0, *by_regime)
        own = rows.sum(axis=tuple(a for a in range(len(shape)) if a != axis))
        known &= (own >= FEW_SHOT_ROWS).reshape(along)
    return np.asarray(np.where(known, total, 0.0).reshape(-1))
