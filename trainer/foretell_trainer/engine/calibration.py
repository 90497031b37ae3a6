"""Calibration: quantile tables of standardised out-of-fold residuals, one per regime.

Split conformal prediction's finite-sample correction is applied to each level (Vovk et al.,
Algorithmic Learning in a Random World, 2005; Lei et al., JASA 2018). The residuals are out of
fold twice: neither the location nor the scale has seen the row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from foretell_trainer.engine.inputs import Floats, Integers

LEVELS: NDArray[np.float64] = np.array(
    [0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08]
    + [round(0.1 + 0.05 * i, 2) for i in range(17)]
    + [0.92, 0.94, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995, 0.998]
)
"""The levels at which the tables are kept; the forecast interpolates between them."""

_SHRINKAGE_ROWS = 50.0
_ENOUGH_ROWS = 400


def quantile_table(residuals: Floats, draws: int | None = None) -> Floats:
    """Return the corrected quantiles [Q] of standardised residuals at `LEVELS`.

    `draws` is how many of them are independent, where that is less than all: rows of one pair
    stand or fall together (Dunn, Wasserman, Ramdas, JASA 2023).
    """
    ordered = np.sort(residuals)
    n = len(ordered)
    more = 1.0 + 1.0 / (draws or n)
    # A whole number stays one in spite of rounding.
    upper = np.ceil(np.round(n * more * LEVELS, 9)) - 1
    lower = np.floor(np.round(n * (1.0 - more * (1.0 - LEVELS)), 9))
    ranks = np.clip(np.where(LEVELS > 0.5, upper, lower), 0, n - 1).astype(np.int64)
    table = ordered[ranks]
    table[LEVELS == 0.5] = np.median(ordered)
    return np.asarray(np.maximum.accumulate(table))


def quantile_tables(
    residuals: Floats,
    table: Integers,
    known: Sequence[bool],
    draws: Mapping[int, int] = MappingProxyType({}),
) -> Floats:
    """Return [T, Q]: one table per regime, shrunk towards the pooled one when it has few rows.

    `residuals` and `table` are [r]: standardised out-of-fold residuals and their regime; `draws`
    says of some regimes how many independent draws their rows are. Where ids are new, the few
    that were left out were all too fast or too slow together, which says nothing of the next one:
    such a table, not `known`, is made the same on both sides. A regime without any rows takes the
    widest of the others.
    """
    pooled = quantile_table(residuals)
    found: list[Floats | None] = []
    for regime, well_known in enumerate(known):
        own = residuals[table == regime]
        if len(own) == 0:
            found.append(None)
            continue
        # Enough rows speak for themselves.
        weight = 1.0 if len(own) >= _ENOUGH_ROWS else len(own) / (len(own) + _SHRINKAGE_ROWS)
        values = own if well_known else np.concatenate([own, -own])
        blended = weight * quantile_table(values, draws.get(regime)) + (1 - weight) * pooled
        found.append(blended if well_known else (blended - blended[::-1]) / 2)
    filled = [entry for entry in found if entry is not None]
    widest = max(filled, key=lambda entry: float(entry[-5] - entry[4]))
    widest = (widest - widest[::-1]) / 2
    return np.array([widest if entry is None else entry for entry in found])


def centred(tables: Floats) -> Floats:
    """Return the tables [T, Q] with the location for the median, which then rises as it does."""
    middle = np.where(LEVELS == 0.5, 0.0, tables)
    return np.where(LEVELS < 0.5, np.minimum(middle, 0.0), np.maximum(middle, 0.0))
