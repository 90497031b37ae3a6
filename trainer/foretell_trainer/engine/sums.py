"""Sums: whether what many rows take together is as uncertain as their distributions say.

A table of quantiles serves all rows of its regime, and is right for one row at a time. A sum of
many goes by the errors of the largest, which the common shape may overstate or miss.
"""

from __future__ import annotations

import math

import numpy as np

from foretell.decide.outcomes import Strata
from foretell.forecast import QuantileTables
from foretell_trainer.engine.fitting import Fitted
from foretell_trainer.engine.inputs import Floats
from foretell_trainer.engine.metric import FittedMetric
from foretell_trainer.engine.seen import WARM_TABLE

_SETS, _TOGETHER = 2000, 16
_LEVEL = 0.99
_FEWEST_ROWS, _MOST_ROWS = 100, 4000
_SHRINKAGE_ROWS = 100
_STRATA = 512
_OUTERMOST = 0.0025
"""As sums are reckoned for a risk of 1 %."""

_LARGEST = 2.0


def dispersions(fitted: Fitted, tables: QuantileTables) -> Floats:
    """Return, per table and metric, how sums vary, as a multiple of what is said; [T, M].

    It is measured on rows of known ids that were left out. Rows of a new id err together, and
    of metrics that are derived from others nothing is measured: 1.
    """
    schema = fitted.training.schema
    found = np.ones(tables.values.shape[:2])
    grid = Strata(schema).residuals(tables, _STRATA, _OUTERMOST)
    for m in fitted.metrics:
        log = schema.metrics[m.metric].scale == "log"
        found[WARM_TABLE, m.metric] = _dispersion(m, grid[WARM_TABLE, m.metric], log=log)
    return found


def _dispersion(m: FittedMetric, residuals: Floats, *, log: bool) -> float:
    pooled = m.out_of_fold
    alone = (pooled.kind == 0) & (pooled.table == WARM_TABLE) & (m.standardised != 0)
    rows = np.flatnonzero(alone)[:_MOST_ROWS]
    if len(rows) < _FEWEST_ROWS:
        return 1.0
    residual = pooled.residual[rows]
    said = (residual / m.standardised[rows])[:, None] * residuals
    if log:
        middle = np.exp(pooled.location[rows] - pooled.location[rows].max())
        residual, said = middle * np.expm1(residual), middle[:, None] * np.expm1(said)
    share, missed = _of_sets(residual - said.mean(axis=1), said)
    whole = max((missed**2 - share) / (1.0 - share), 0.0) if share < 1.0 else 1.0
    weight = len(rows) / (len(rows) + _SHRINKAGE_ROWS)
    found = 1.0 + weight * (math.sqrt(whole) - 1.0)
    return float(np.clip(found, 1 / _LARGEST, _LARGEST))


def _of_sets(error: Floats, said: Floats) -> tuple[float, float]:
    """Return what one row decides of a set on average, and by how much sets miss what is said.

    `error` [n] is what rows were above their means, `said` [n, strata] their distributions. A
    set misses by its error as a share of what is reserved above its mean, of which the quantile
    over sets is taken, as for single rows (split conformal prediction; Vovk et al., Algorithmic
    Learning in a Random World, 2005).
    """
    rng = np.random.default_rng(0)
    variance = said.var(axis=1)
    misses, shares = np.zeros(_SETS), np.zeros(_SETS)
    for i in range(_SETS):
        chosen = rng.choice(len(error), _TOGETHER, replace=False)
        total = rng.permuted(said[chosen], axis=1).sum(axis=0)
        reserved = float(np.quantile(total, _LEVEL) - total.mean())
        misses[i] = error[chosen].sum() / max(reserved, 1e-300)
        shares[i] = (variance[chosen] ** 2).sum() / max(variance[chosen].sum() ** 2, 1e-300)
    return float(shares.mean()), float(np.quantile(misses, _LEVEL))
