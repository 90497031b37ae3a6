"""Scores of two bundles on the same rows, and whether one is worse for more than noise.

The score is the continuous ranked probability score, of the logarithm for a metric on a log
scale, as the mean pinball loss over quantiles (Gneiting & Raftery 2007): proper, so nothing but
an honest distribution minimises it. The test is paired: under the hypothesis that neither is
better, each row's difference has either sign alike, and P(sum d / sqrt(sum d²) ≥ z) ≤
exp(-z² / 2) for any number of rows and any spread of the differences (Efron 1969; de la Peña
1999). A few wild rows make it careful, not rash.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell.forecast import Forecasts

Booleans = NDArray[np.bool_]
Floats = NDArray[np.float64]

LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
COVERAGE_LEVEL = 0.9
LEAST_DIFFERENCE = 0.001
"""In units of log, or of the metric's spread: less than this matters to nobody."""


@dataclass(frozen=True)
class Scores:
    """How good one bundle's forecasts of one metric were, on rows where it was measured."""

    crps: Floats
    """[n], the less the better."""
    inside: Booleans
    """[n]: whether the 90 % interval held."""

    def take(self, rows: Booleans) -> Scores:
        """Return the scores of some of the rows."""
        return Scores(self.crps[rows], self.inside[rows])

    def __len__(self) -> int:
        return len(self.crps)


def score(forecasts: Forecasts, metric: str, truth: Floats) -> Scores:
    """Return the scores of forecasts [n] of a metric, given what was measured, [n]."""
    m = forecasts.metric_index(metric)
    quantiles = forecasts.quantiles(LEVELS)[:, m]
    actual = truth[:, None]
    if forecasts.log[m]:
        error = np.log(actual) - np.log(np.maximum(quantiles, 1e-300))
    else:
        error = (actual - quantiles) / (float(np.std(truth)) or 1.0)
    levels = np.array(LEVELS)
    crps = 2 * np.maximum(levels * error, (levels - 1) * error).mean(axis=1)
    lower, upper = (end[:, m] for end in forecasts.interval(COVERAGE_LEVEL))
    return Scores(crps, (truth >= lower) & (truth <= upper))


@dataclass(frozen=True)
class Margins:
    """How much worse is too much, and how sure that must be."""

    crps: float
    """Relative: 0.05 is 5 % more than the current bundle's."""
    coverage: float
    """Share of rows by which the interval may be further below what it says than the current
    one's is off."""
    significance: float
    """Probability, of one test, of calling equal bundles different."""


def complaint(candidate: Scores, current: Scores, margins: Margins) -> str:
    """Return why a candidate is worse than the current bundle on these rows; empty if not."""
    difference = candidate.crps - current.crps
    before, now = float(current.crps.mean()), float(candidate.crps.mean())
    enough = now - before > max(margins.crps * before, LEAST_DIFFERENCE)
    if enough and by_chance(difference) < margins.significance:
        return f"its error is {now:.3g}, the current one's {before:.3g}"
    held, holds = float(current.inside.mean()), float(candidate.inside.mean())
    lost = candidate.inside.astype(float) - current.inside
    # One that held too often was off as well, and wider than it need be.
    off = COVERAGE_LEVEL - holds - abs(COVERAGE_LEVEL - held)
    too_few = off > margins.coverage
    if too_few and by_chance(-lost) < margins.significance:
        return (
            f"its 90 % intervals hold for {holds:.0%} of the rows, the current one's for {held:.0%}"
        )
    return ""


def by_chance(difference: Floats) -> float:
    """Return how likely, at most, differences this far above 0 are if both signs are alike."""
    spread = math.sqrt(float((difference**2).sum()))
    if spread == 0:
        return 1.0
    z = float(difference.sum()) / spread
    return math.exp(-z * z / 2) if z > 0 else 1.0
