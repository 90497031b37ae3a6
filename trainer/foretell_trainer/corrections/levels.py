"""Levels: where the recent residuals of many groups stand now, each by itself.

How far back to look is chosen by the intersection of confidence intervals (Goldenshluger and
Nemirovski, Mathematical Methods of Statistics 1997; Katkovnik, IEEE Transactions on Signal
Processing 1999): the window grows as long as its estimate agrees with those of all shorter ones.
So after a change the estimate follows within a few outcomes, and while nothing changes it rests
on all of them. In a window it is Huber's mean about the median; one outlier moves little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WINDOWS = (3, 4, 6, 8, 12, 16, 24, 32, 48)
"""How many of a group's newest outcomes are looked at."""
AGREEMENT = 2.0
"""How wide the intervals are that have to agree, in standard errors."""
HUBER = 1.5
_FEWEST_FOR_SPREAD = 6
_MAD = 1.4826


@dataclass(frozen=True)
class Levels:
    """One estimate for each of K groups."""

    shift: Floats
    """[K]: where the residuals stand; 0 with fewer than the smallest window."""
    strength: Floats
    """[K]: the square of the shift in standard errors."""
    length: Integers
    """[K]: on how many of the newest outcomes it rests."""


@dataclass(frozen=True)
class Newest:
    """The newest rows of each of K groups."""

    keys: Integers
    """[K]: the groups' numbers."""
    rows: Integers
    """[K, W]: positions of their rows, the newest first; -1 where there are no more."""

    def taken(self, values: Floats) -> Floats:
        """Return a value of each row, [K, W]; NaN where there is none."""
        return np.where(self.rows >= 0, values[self.rows], np.nan)


def newest_rows(numbers: Integers, usable: NDArray[np.bool_]) -> Newest:
    """Return the newest usable rows of each group; `numbers` [n] says whose they are, or -1."""
    rows = np.flatnonzero(usable & (numbers >= 0))
    order = rows[np.lexsort((-rows, numbers[rows]))]
    keys, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
    widest = min(WINDOWS[-1], int(counts.max(initial=1)))
    offsets = np.arange(widest)
    places = np.minimum(starts[:, None] + offsets, max(len(order) - 1, 0))
    inside = offsets < counts[:, None]
    found = np.where(inside, order[places] if len(order) else -1, -1)
    return Newest(keys.astype(np.int64), found.astype(np.int64))


def find_levels(error: Floats, noise: Floats, newest: Newest) -> Levels:
    """Return where the residuals [n] of each group stand, given their standard deviations [n]."""
    values, noises = newest.taken(error), newest.taken(noise)
    count = np.isfinite(values).sum(axis=1)
    spread = _spread(values, noises)
    shift, strength = np.zeros(len(values)), np.zeros(len(values))
    length = np.zeros(len(values), dtype=np.int64)
    low, high = np.full(len(values), -np.inf), np.full(len(values), np.inf)
    alive = count >= WINDOWS[0]
    for window in WINDOWS:
        reached = np.minimum(window, count)
        # Groups with fewer rows have nothing more to say than with the window before.
        alive &= (reached > length) | (window == WINDOWS[0])
        if not alive.any():
            break
        mean, error_of_mean = _huber_mean(
            values[alive, :window], noises[alive, :window], spread[alive]
        )
        low[alive] = np.maximum(low[alive], mean - AGREEMENT * error_of_mean)
        high[alive] = np.minimum(high[alive], mean + AGREEMENT * error_of_mean)
        agrees = low[alive] <= high[alive]
        alive[alive] = agrees
        best = np.clip(mean[agrees], low[alive], high[alive])
        shift[alive] = best
        strength[alive] = (best / error_of_mean[agrees]) ** 2
        length[alive] = reached[alive]
    return Levels(shift, strength, length)


def _huber_mean(values: Floats, noises: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Return the robust means of rows of a matrix, and their standard errors."""
    sigma = noises * spread[:, None]
    with np.errstate(divide="ignore"):
        clip = np.minimum(1.0, HUBER / np.abs((values - _median(values)[:, None]) / sigma))
    precision = np.where(np.isnan(values), 0.0, 1 / sigma**2)
    weights = np.where(np.isnan(values), 0.0, clip) * precision
    mean = np.nansum(weights * np.nan_to_num(values), axis=1) / weights.sum(axis=1)
    return mean, 1 / np.sqrt(precision.sum(axis=1))


def _spread(values: Floats, noises: Floats) -> Floats:
    """Return by how much the residuals scatter more than they should, [K], at least 1.

    From differences of neighbours, which a change of level does not disturb.
    """
    steps = np.abs(np.diff(values, axis=1)) / np.sqrt(noises[:, 1:] ** 2 + noises[:, :-1] ** 2)
    enough = np.isfinite(steps).sum(axis=1) >= _FEWEST_FOR_SPREAD
    found = np.ones(len(values))
    found[enough] = np.maximum(_MAD * _median(steps[enough]), 1.0)
    return found


def _median(values: Floats) -> Floats:
    """Return the medians of a matrix' rows, NaN left out; NaN for rows with nothing else."""
    if not values.size:
        return np.full(len(values), np.nan)
    ordered = np.sort(values, axis=1)  # NaN last
    count = np.isfinite(ordered).sum(axis=1)
    rows = np.arange(len(values))
    middle: Floats = ordered[rows, np.maximum(count - 1, 0) // 2] + ordered[rows, count // 2]
    return middle / 2
