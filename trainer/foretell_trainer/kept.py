"""Which rows of a training set its bundle keeps, to explain answers with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encoding import Encoded
from foretell.known import MOST_BYTES, MOST_ROWS, KnownRows


def kept_rows(encoded: Encoded, metrics: NDArray[np.float64], seed: int) -> KnownRows:
    """Return distinct configurations of training rows, in random order.

    `metrics` are the measured values [n, M], NaN where there is none. When there are too many
    configurations, random ones are kept, whatever their number of rows.
    """
    configuration, counts = _configurations(encoded)
    order = np.random.default_rng(seed).permutation(len(counts))[: _most_rows(encoded, metrics)]
    by_configuration = np.argsort(configuration, kind="stable")
    ends = np.cumsum(counts)
    members = [by_configuration[ends[c] - counts[c] : ends[c]] for c in order]
    first = np.array([rows[0] for rows in members], dtype=np.int64)
    medians = [_medians(metrics[rows]) for rows in members]
    return KnownRows(
        encoded.numbers[first],
        encoded.categories[first],
        counts[order],
        np.array(medians).reshape(len(order), metrics.shape[1]),
    )


def _configurations(encoded: Encoded) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which configuration each row has, [n], and how many rows each of them has."""
    # By their bits, as NaN is no number's equal. Adding 0 makes one of the two zeros.
    bits = np.where(np.isnan(encoded.numbers), np.nan, encoded.numbers + 0.0).view(np.int64)
    rows = np.hstack([bits, encoded.categories])
    _, which, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return which.reshape(-1), counts


def _medians(measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each column's values; NaN for one without any."""
    if len(measured) == 1:
        return measured[0]
    found = np.full(measured.shape[1], np.nan)
    any_value = np.isfinite(measured).any(axis=0)
    found[any_value] = np.nanmedian(measured[:, any_value], axis=0)
    return found


def _most_rows(encoded: Encoded, metrics: NDArray[np.float64]) -> int:
    columns = encoded.numbers.shape[1] + metrics.shape[1]
    bytes_per_row = 8 * columns + 4 * encoded.categories.shape[1] + 4
    return min(MOST_ROWS, max(MOST_BYTES // bytes_per_row, 1))
