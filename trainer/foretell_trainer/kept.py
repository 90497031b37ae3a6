"""Which rows of a training set its bundle keeps, to explain answers with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encoding import Encoded
from foretell.known import MOST_BYTES, MOST_ROWS, KnownRows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# The constants of splitmix64 (Steele, Lea and Flood 2014).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIXING = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)


def kept_rows(encoded: Encoded, metrics: Floats, seed: int) -> KnownRows:
    """Return distinct configurations of training rows, in random order.

    `metrics` are the measured values [n, M], NaN where there is none. When there are too many
    configurations, random ones are kept, whatever their number of rows.
    """
    which, first, counts = _configurations(encoded)
    order = np.random.default_rng(seed).permutation(len(counts))[: _most_rows(encoded, metrics)]
    medians = [_medians(which, values, len(counts)) for values in metrics.T]
    return KnownRows(
        encoded.numbers[first[order]],
        encoded.categories[first[order]],
        counts[order],
        np.column_stack(medians)[order],
    )


def _configurations(encoded: Encoded) -> tuple[Integers, Integers, Integers]:
    """Return each row's configuration [n], and each one's first row and number of rows [G]."""
    _, first, which, counts = np.unique(
        _hashes(encoded), return_index=True, return_inverse=True, return_counts=True
    )
    return which, first, counts


def _hashes(encoded: Encoded) -> NDArray[np.uint64]:
    """Return 64 bits for each row that are the same for equal rows, [n].

    Two of a million configurations share theirs with a probability of 3e-8. Sorting numbers
    takes a hundredth of the time that sorting rows would.
    """
    # By their bits, as NaN is no number's equal. Adding 0 makes one of the two zeros.
    bits = np.where(np.isnan(encoded.numbers), np.nan, encoded.numbers + 0.0).view(np.uint64)
    mixed = np.zeros(len(encoded), dtype=np.uint64)
    for column in (*bits.T, *encoded.categories.T.astype(np.uint64)):
        mixed = (mixed ^ column) + _GOLDEN
        for shift, factor in _MIXING:
            mixed = (mixed ^ (mixed >> shift)) * factor
        mixed ^= mixed >> np.uint64(31)
    return mixed


def _medians(which: Integers, values: Floats, groups: int) -> Floats:
    """Return the median of the values of each configuration, [G]; NaN where there are none."""
    measured = np.isfinite(values)
    own, found = which[measured], values[measured]
    ordered = found[np.lexsort((found, own))]
    counts = np.bincount(own, minlength=groups)
    any_value = np.flatnonzero(counts)
    starts = (np.cumsum(counts) - counts)[any_value]
    lower = ordered[starts + (counts[any_value] - 1) // 2]
    upper = ordered[starts + counts[any_value] // 2]
    medians = np.full(groups, np.nan)
    medians[any_value] = (lower + upper) / 2
    return medians


def _most_rows(encoded: Encoded, metrics: Floats) -> int:
    columns = encoded.numbers.shape[1] + metrics.shape[1]
    bytes_per_row = 8 * columns + 4 * encoded.categories.shape[1] + 4
    return min(MOST_ROWS, max(MOST_BYTES // int(bytes_per_row), 1))
