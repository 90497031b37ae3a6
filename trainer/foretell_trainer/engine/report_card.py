"""The report card: what a bundle's manifest says of its accuracy, by regime.

All numbers are out of fold. The tables that are judged are made from the other half of the
rows, so that coverage is not measured on what it was set by.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foretell.forecast import Forecasts, QuantileTables
from foretell_trainer.engine.calibration import LEVELS, quantile_tables
from foretell_trainer.engine.evaluation import compare
from foretell_trainer.engine.fitting import Fitted
from foretell_trainer.engine.metric import FittedMetric

OUTLIER_DEVIATIONS = 6.0
"""Rows whose residual is so many robust deviations are reported as outliers."""

_OUTLIERS_NAMED = 20


def report_card(fitted: Fitted) -> dict[str, Any]:
    """Return, per metric and kind of fold, the out-of-fold errors, coverage and width."""
    schema = fitted.training.schema
    return {
        "protocol": "out of fold; quantile tables from the other half of the rows",
        "folds": {kind.name: kind.count for m in fitted.metrics for kind in m.kinds},
        "metrics": {schema.metrics[m.metric].name: _card(fitted, m) for m in fitted.metrics},
        "derived": {
            schema.metrics[d.metric].name: f"from {schema.metrics[d.source].name}, by the link"
            for d in fitted.derived
        },
    }


def _card(fitted: Fitted, m: FittedMetric) -> dict[str, Any]:
    pooled = m.out_of_fold
    half = pooled.row % 2 == 0
    known = fitted.counts.known_tables
    count = len(known)
    halves = (
        quantile_tables(m.standardised[~half], pooled.calibrates[~half], known),
        quantile_tables(m.standardised[half], pooled.calibrates[half], known),
    )
    values = np.stack([halves[0], halves[1]], axis=0).reshape(2 * count, 1, len(LEVELS))
    scale = np.abs(pooled.residual / np.where(m.standardised == 0, np.inf, m.standardised))
    log = fitted.training.schema.metrics[m.metric].scale == "log"
    location, scale = pooled.location * m.unit, np.maximum(scale, 1e-9) * m.unit
    truth = location + pooled.residual * m.unit
    truth = np.exp(truth) if log else truth
    forecasts = Forecasts(
        metric_names=(fitted.training.schema.metrics[m.metric].name,),
        log=np.array([log]),
        location=location[:, None],
        scale=scale[:, None],
        table=(pooled.table + np.where(half, 0, count))[:, None],
        tables=QuantileTables(LEVELS, values),
        support=np.ones(len(truth)),
    )
    return {
        "rows": m.rows,
        "rounds": m.rounds,
        "outliers": _outliers(fitted, m),
        "splits": {
            kind.name: _split(forecasts, truth, pooled.kind == k)
            for k, kind in enumerate(m.kinds)
            if (pooled.kind == k).any()
        },
    }


def _outliers(fitted: Fitted, m: FittedMetric) -> dict[str, Any]:
    """Return the rows of the snapshot that are far from what all others say of them.

    They are learnt from, but weigh less (Huber's weights); nobody deletes them.
    """
    pooled = m.out_of_fold
    alone = pooled.kind == 0
    size = np.abs(m.standardised[alone])
    size = size / max(1.4826 * float(np.median(size)), 1e-12)
    rows = np.flatnonzero(np.isfinite(fitted.training.metrics[:, m.metric]))[pooled.row[alone]]
    far = np.flatnonzero(size > OUTLIER_DEVIATIONS)
    largest = far[np.argsort(-size[far])][:_OUTLIERS_NAMED]
    return {
        "deviations": OUTLIER_DEVIATIONS,
        "rows": len(far),
        "largest": [{"row": int(rows[i]), "deviations": round(float(size[i]), 1)} for i in largest],
    }


def _split(forecasts: Forecasts, truth: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    found = compare(forecasts.take(np.flatnonzero(rows)), truth[rows], 0, {})
    kept = ("rows", "mape", "median_ape", "bias", "coverage", "width")
    return {name: found[name] for name in kept if found.get(name) is not None}
