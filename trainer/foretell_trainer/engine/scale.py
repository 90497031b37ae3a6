"""The scale of a metric: how large the errors are at a point, learnt from out-of-fold errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foretell_trainer.engine.inputs import Floats
from foretell_trainer.engine.trees import Singles, Trees, TreeSettings, grow

WIDENING = 0.5
"""How much the scale grows, as a share, for each standard deviation beyond the seen range."""

DISTANCE_STEPS = 64.0
"""Distances are rounded to steps: the last digits of a root near 0 differ between libraries."""

FARTHEST = 10.0

_FEW_ROWS = 150
SMALLEST = 1e-4
"""The floor of every scale."""


@dataclass(frozen=True)
class Scale:
    """The fitted scale of one metric: exp(offset + trees), times the widening beyond the data."""

    offset: float
    trees: Trees | None

    def predict(self, features: Singles, excess: Floats) -> Floats:
        """Return the scale of each row, [n], above 0."""
        logs = np.full(len(features), self.offset)
        if self.trees is not None:
            logs += self.trees.predict(features)
        return np.asarray(np.maximum(np.exp(logs), SMALLEST) * (1.0 + WIDENING * excess))


def fit_scale(
    features: Singles,
    residual: Floats,
    *,
    repeats: int,
    seed: int,
    should_stop: Callable[[], bool],
) -> Scale:
    """Fit log(|residual| + ε) on the location's features, counts and distance.

    `repeats` is how many times each row is there, once per kind of fold.
    """
    size = np.abs(residual)
    floor = max(0.05 * float(np.median(size)), SMALLEST)
    logs = np.log(size + floor)
    offset = float(logs.mean())
    if len(residual) < _FEW_ROWS:
        return Scale(offset, None)
    # The residuals of one row are nearly the same in every kind of fold: only rows count, or the
    # scale learns the luck of single rows, and is most wrong where it is smallest.
    settings = TreeSettings(
        rounds=80,
        leaves=int(np.clip(len(residual) // (150 * repeats), 4, 24)),
        learning_rate=0.08,
        smallest_leaf=30 * repeats,
        seed=seed,
    )
    return Scale(offset, grow(features, logs - offset, settings, should_stop=should_stop))


def scale_features(location_features: Singles, rows: Floats, distance: Floats) -> Singles:
    """Return what the scale's trees see, float32: the location's features, counts, distance."""
    counts = np.log(rows + 1.0)
    steps = np.floor(np.minimum(distance, FARTHEST) * DISTANCE_STEPS + 0.5) / DISTANCE_STEPS
    parts = [location_features, counts, steps[:, None]]
    return np.hstack(parts).astype(np.float32)
