"""What an explanation says, for callers in this process and of a server alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["factor", "addend"]
"""How effects make a value: multiplied, for a metric on a log scale, or added in its unit."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one feature's value does to a metric, compared with the training data."""

    feature: str
    effect: float
    """A factor (1 changes nothing), or an addend in the metric's unit (0 changes nothing)."""


@dataclass(frozen=True, slots=True)
class MetricExplanation:
    """How the median of one metric comes about.

    `typical` times all effects times `calibration` is `median`; for addends, their sum.
    """

    metric: str
    unit: str
    kind: Kind
    typical: float
    """The mean answer about the training data (on a log scale the geometric one)."""
    contributions: tuple[Contribution, ...]
    """One for each feature, the largest effect first."""
    calibration: float
    """What calibration, and corrections by recent outcomes, make of it: factor or addend."""
    median: float
    """The median that `predict` answers with."""

    def effect(self, feature: str) -> float:
        """Return the effect of one feature; KeyError when there is no such feature."""
        found = {one.feature: one.effect for one in self.contributions}
        return found[feature]

    def effect_text(self, effect: float) -> str:
        """Return an effect as people read it: x3.10, or +0.25."""
        return f"x{_digits(effect)}" if self.kind == "factor" else f"{effect:+.3g}"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A configuration of the training data that is close to what was asked."""

    features: Mapping[str, float | bool | str]
    """Its features; what was not given is left out."""
    measured: Mapping[str, float]
    """By metric, of those that were asked for, the median of what was measured, in its unit."""
    training_rows: int
    """How many training rows have this very configuration."""
    distance: float
    """0 is the same; 1 is as far as two training rows are from each other on average."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a forecast is what it is."""

    workload: str
    bundle_version: str
    tier: str
    support: float
    groups: tuple[tuple[tuple[str, ...], int], ...]
    """Per group of categories, how many training rows share the item's values."""
    unknown_features: tuple[str, ...]
    correction: int
    """Number of the corrections that the medians were subject to; 0 when there are none."""
    metrics: Mapping[str, MetricExplanation]
    neighbours: tuple[Neighbour, ...]
    """The nearest first."""
    exact: bool
    """Whether effects are exact Shapley values; else orders of the features were sampled."""
    background_rows: int
    """With how many training rows the item was compared."""

    def __getitem__(self, metric: str) -> MetricExplanation:
        return self.metrics[metric]


def _digits(factor: float) -> str:
    """Return a factor with two decimals, or three significant digits where these say little."""
    return f"{factor:.2f}" if 0.095 <= factor < 100 else f"{factor:.3g}"
