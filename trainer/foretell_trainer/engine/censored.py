"""Censored values: a run that was killed took at least as long as it had, and is not forgotten.

Dropping killed runs teaches that work is fast that was cut off; taking the bound for the value
teaches the limit. What lies above the bound is drawn from the residuals that are above it, which
with the drawn ones among them are consistent with themselves (Efron: The two sample problem with
censored data, 1967; Buckley and James, Biometrika 1979).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell_trainer.engine.inputs import Flags, Floats, Inputs
from foretell_trainer.engine.linear import Layout, fit_linear

_PASSES = 4
_FEWEST_MEASURED = 20
_FEWEST_ABOVE = 5
_BEYOND = 0.5
"""How far above the bound, in deviations, a value lies on average where no residual is."""


def with_censored(
    inputs: Inputs,
    metrics: Floats,
    lower_bounds: Floats,
    is_log: Sequence[bool],
    layout: Layout,
    seed: int = 0,
) -> Floats:
    """Return the metrics [n, M] with a value for each censored one.

    `lower_bounds` is [n, M], NaN where there is none; a bound beside a measured value is not
    used. Metrics with too few measured values stay as they are.
    """
    filled = metrics.copy()
    rng = np.random.default_rng(seed)
    for metric, log in enumerate(is_log):
        bounds = lower_bounds[:, metric]
        known = np.isfinite(metrics[:, metric])
        censored = ~known & np.isfinite(bounds) & ((bounds > 0) | (not log))
        if not censored.any() or known.sum() < _FEWEST_MEASURED:
            continue
        values = np.where(known, metrics[:, metric], bounds)[known | censored]
        target = np.log(values) if log else values
        drawn = _drawn(inputs.take(known | censored), target, known[known | censored], layout, rng)
        filled[censored, metric] = np.exp(drawn) if log else drawn
    return filled


def _drawn(
    inputs: Inputs, target: Floats, known: Flags, layout: Layout, rng: np.random.Generator
) -> Floats:
    """Return values for the rows that are not known, [c], each at least its target."""
    bound = target[~known]
    values = target.copy()
    for _ in range(_PASSES):
        predicted = fit_linear(inputs, values, layout).predict(inputs)
        pool = np.sort(values - predicted)
        gap = bound - predicted[~known]
        first = np.searchsorted(pool, gap, side="right")
        above = len(pool) - first
        place = first + (rng.random(len(gap)) * above).astype(np.int64)
        beyond = gap + rng.exponential(_BEYOND * float(np.std(pool)), len(gap))
        inside = pool[np.minimum(place, len(pool) - 1)]
        values[~known] = predicted[~known] + np.where(above >= _FEWEST_ABOVE, inside, beyond)
        # What was drawn last time is no better than what may be drawn now, but never below.
        values[~known] = np.maximum(values[~known], bound)
    return np.asarray(values[~known])
