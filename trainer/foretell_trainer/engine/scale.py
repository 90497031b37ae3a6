"""The scale of a metric: how large the errors are at a point, learnt from out-of-fold errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foretell_trainer.engine.inputs import Floats, Inputs
from foretell_trainer.engine.learners import grow
from foretell_trainer.engine.spread import NO_SPREAD, Spread
from foretell_trainer.engine.trees import Singles, Trees, TreeSettings

WIDENING = 0.5
"""The least by which the scale grows, as a share, for each unit of `reach` beyond the data."""

MOST_WIDENING = 50.0

_FEW_ROWS = 150
SMALLEST = 1e-4
"""The floor of every scale."""

LARGEST = 3.0
"""The ceiling of the scale of a metric in logs: a factor of 20 says that next to nothing is known,
and what comes of a larger one, such as a bound of 10^13 times the truth, serves nobody."""


@dataclass(frozen=True)
class Scale:
    """The fitted scale of one metric: exp(offset + trees + spread), widened beyond the data."""

    offset: float
    trees: Trees | None
    widening: Floats | float = WIDENING
    """[F], or the same for each number: by how much the scale grows for each unit of `reach`."""
    drift: Floats | None = None
    """[F]: what the location would change per standard deviation beyond the range, if the trend
    of a number that is held to its range went on; 0 for numbers whose trend does go on."""
    spread: Spread = NO_SPREAD
    most: float = float("inf")
    """The largest scale, however far a row is from the data."""
    left_out: Floats | None = None
    """[F]: the log of how much wider it is where a number is left out that every row had."""

    def predict(self, features: Singles, inputs: Inputs) -> Floats:
        """Return the scale of each row, [n], above 0; `features` are `scale_features`."""
        logs, beyond = np.full(len(features), self.offset), inputs.beyond
        if self.trees is not None:
            logs += self.trees.predict(features)
        logs += self.spread.predict(inputs.codes)
        if self.left_out is not None:
            logs += inputs.missing @ self.left_out
        sizes = np.maximum(np.exp(logs), SMALLEST)
        wider = sizes * (1.0 + (reach(beyond) * self.widening).sum(axis=1))
        wider = wider if self.drift is None else wider + beyond @ self.drift
        return np.asarray(np.minimum(wider, self.most))


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
        rounds=40,
        leaves=int(np.clip(len(residual) // (150 * repeats), 4, 24)),
        learning_rate=0.15,
        smallest_leaf=30 * repeats,
        seed=seed,
    )
    return Scale(offset, grow(features, logs - offset, settings, should_stop=should_stop))


def reach(excess: Floats) -> Floats:
    """Return how far beyond the data counts, from the standard deviations beyond it; any shape.

    What a straight trend misses of a bent one grows with the square of the distance.
    """
    return excess * (1.0 + excess)


def widening_for(
    residual: Floats, scale: Floats, excess: Floats, ends: tuple[float, float]
) -> float:
    """Return the widening with which nine of ten residuals beyond a range would be covered.

    All are [n], of rows that a model predicted whose training ended below them; `ends` are the
    5 % and 95 % quantiles of its standardised residuals within the range.
    """
    standardised = residual / scale
    needed = np.maximum(standardised / max(ends[1], 1e-6), standardised / min(ends[0], -1e-6))
    slope = np.maximum(needed - 1.0, 0.0) / reach(np.maximum(excess, 1e-3))
    return float(np.clip(np.quantile(slope, 0.9), WIDENING, MOST_WIDENING))


def scale_features(location_features: Singles, rows: Floats, distance: Floats) -> Singles:
    """Return what the scale's trees see, float32: the location's features, counts, distance."""
    parts = [location_features, np.log(rows + 1.0), distance[:, None]]
    return np.hstack(parts).astype(np.float32)
