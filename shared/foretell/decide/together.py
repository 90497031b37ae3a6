"""Together: what several rows take at the same time, outcome by outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from foretell.forecast import Floats, Forecasts

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Taken:
    """What one row takes."""

    outcomes: Singles
    """[outcomes], equally likely."""
    dispersion: float
    """How sums of many such rows vary, as a multiple of what their distributions say."""

    @classmethod
    def of(cls, forecasts: Forecasts, row: int, metric: str, outcomes: Floats) -> Taken:
        """Return what a row of some forecasts takes, from its outcomes of a metric."""
        m, spread = forecasts.metric_index(metric), forecasts.tables.dispersion
        many = 1.0 if spread is None else float(spread[forecasts.table[row, m], m])
        return cls(outcomes.astype(np.float32), many)

    @cached_property
    def variance(self) -> float:
        """The variance of the outcomes."""
        return float(self.outcomes.var())


def together(parts: Sequence[Taken]) -> Singles:
    """Return what rows take together, [outcomes]; at least one row.

    Each one's distribution is calibrated for itself, and so is a sum that one of them decides.
    That of many goes by their variances, and its deviations from the mean by `dispersion`.
    """
    total = parts[0].outcomes.copy()
    for part in parts[1:]:
        total += part.outcomes
    factor = _factor(parts)
    if factor == 1.0:
        return total
    mean = total.mean()
    spread: Singles = mean + np.float32(factor) * (total - mean)
    return spread


def _factor(parts: Sequence[Taken]) -> float:
    if len(parts) < 2 or all(part.dispersion == 1.0 for part in parts):
        return 1.0
    whole = sum(part.variance for part in parts)
    if whole == 0.0:
        return 1.0
    of_one = sum(part.variance**2 for part in parts) / whole**2
    of_many = sum(part.variance * part.dispersion**2 for part in parts) / whole
    return math.sqrt(of_one + (1.0 - of_one) * of_many)
