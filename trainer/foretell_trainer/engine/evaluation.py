"""Evaluation: how good forecasts were, now that it is known what happened.

All errors are fractions (0.05 is 5 %), in the metric's own terms and not in logs, except for
`bias` and `r2_log`. The confidence is compared with how often it was right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.encoding import Encoded
from foretell.forecast import Forecasts
from foretell.predictor import Predictor
from foretell.schema import Schema

Floats = NDArray[np.float64]

COVERAGE_LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
GROUP_LEVEL = 0.9
GROUP_ROWS = 100
"""A group of fewer rows is too small for its coverage to mean much."""

OVERPROVISION_LEVEL = 0.95
TOLERANCE = 0.2
_BINS = 10


def evaluate(
    predictor: Predictor,
    schema: Schema,
    encoded: Encoded,
    metrics: Floats,
    by: Mapping[str, Sequence[str | None]] | None = None,
) -> dict[str, Any]:
    """Compare a bundle's forecasts with measured metrics [n, M], NaN where not measured.

    `by` names groups of rows, one label per row; by default the ids of the schema's groups.
    Returns `bundle`, `rows` and, per metric, what `compare` returns.
    """
    forecasts = predictor.forecast(encoded).forecasts
    groups = by if by is not None else _own_groups(predictor, encoded)
    return {
        "bundle": predictor.version,
        "rows": len(encoded),
        "metrics": {
            metric.name: compare(forecasts, metrics[:, m], m, groups)
            for m, metric in enumerate(schema.metrics)
        },
    }


def compare(
    forecasts: Forecasts,
    actual: Floats,
    metric: int,
    groups: Mapping[str, Sequence[str | None]],
) -> dict[str, Any]:
    """Return how good the forecasts of one metric were, over the rows where it was measured.

    `coverage` and `width` are by level; the width is the median of log(upper / lower), or of
    upper - lower for a metric on a linear scale. `worst_group` is the one that the 90 %
    interval covers least. `overprovision` is the mean of max(0, bound / actual - 1) for the
    one-sided 95 % bound.
    """
    known = np.flatnonzero(np.isfinite(actual))
    if len(known) == 0:
        return {"rows": 0}
    chosen, truth = forecasts.take(known), actual[known]
    log = bool(forecasts.log[metric])
    predicted = chosen.median()[:, metric]
    inside, width = _intervals(chosen, truth, metric)
    labels = {name: [values[i] for i in known.tolist()] for name, values in groups.items()}
    bound = chosen.quantile(OVERPROVISION_LEVEL)[:, metric]
    ratio = np.abs(predicted - truth) / np.maximum(np.abs(truth), 1e-300)
    return {
        "rows": len(known),
        "mape": float(ratio.mean()),
        "median_ape": float(np.median(ratio)),
        "rmse": float(np.sqrt(((predicted - truth) ** 2).mean())),
        "mae": float(np.abs(predicted - truth).mean()),
        "r2": _r2(truth, predicted),
        "r2_log": _r2(np.log(truth), np.log(predicted)) if log else None,
        "bias": float(np.mean(np.log(predicted / truth))) if log else None,
        "coverage": {str(level): float(rows.mean()) for level, rows in inside.items()},
        "width": width,
        "worst_group": _worst_group(inside[GROUP_LEVEL], labels),
        "confidence": _reliability(
            chosen.confidence(TOLERANCE)[:, metric], ratio_of(predicted, truth)
        ),
        "overprovision": float(np.maximum(0.0, bound / truth - 1.0).mean()),
    }


def ratio_of(predicted: Floats, actual: Floats) -> Floats:
    """Return |actual - predicted| / |predicted|: what the confidence is a statement about."""
    return np.asarray(np.abs(actual - predicted) / np.maximum(np.abs(predicted), 1e-300))


def _intervals(
    forecasts: Forecasts, truth: Floats, metric: int
) -> tuple[dict[float, NDArray[np.bool_]], dict[str, float]]:
    inside: dict[float, NDArray[np.bool_]] = {}
    width: dict[str, float] = {}
    for level in COVERAGE_LEVELS:
        lower, upper = (end[:, metric] for end in forecasts.interval(level))
        inside[level] = (truth >= lower) & (truth <= upper)
        span = np.log(upper / lower) if forecasts.log[metric] else upper - lower
        width[str(level)] = float(np.median(span))
    return inside, width


def _worst_group(
    inside: NDArray[np.bool_], labels: Mapping[str, Sequence[str | None]]
) -> dict[str, Any] | None:
    worst: dict[str, Any] | None = None
    for column, values in labels.items():
        names, index = np.unique([str(v) for v in values], return_inverse=True)
        rows = np.bincount(index, minlength=len(names))
        covered = np.bincount(index, weights=inside, minlength=len(names)) / rows
        for i in np.flatnonzero(rows >= min(GROUP_ROWS, rows.max())):
            if worst is None or covered[i] < worst["coverage"]:
                worst = {
                    "name": f"{column}={names[i]}",
                    "coverage": float(covered[i]),
                    "rows": int(rows[i]),
                }
    return worst


def _reliability(confidence: Floats, error: Floats) -> list[dict[str, float | int]]:
    """Return, per tenth of the confidence scale, what was asked and what was true."""
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    right = error <= TOLERANCE
    return [
        {
            "asked": float(confidence[bins == b].mean()),
            "true": float(right[bins == b].mean()),
            "rows": int((bins == b).sum()),
        }
        for b in range(_BINS)
        if (bins == b).any()
    ]


def _r2(actual: Floats, predicted: Floats) -> float | None:
    total = ((actual - actual.mean()) ** 2).sum()
    return float(1 - ((actual - predicted) ** 2).sum() / total) if total > 0 else None


def _own_groups(predictor: Predictor, encoded: Encoded) -> dict[str, list[str | None]]:
    schema = predictor.schema
    groups: dict[str, list[str | None]] = {}
    for group in schema.groups:
        if len(group) == 1:
            values = predictor.manifest.vocabulary[group[0]]
            codes = encoded.categories[:, schema.category_names.index(group[0])]
            groups[group[0]] = [values[c] if c >= 0 else "(unknown)" for c in codes]
    return groups
