"""Rows of a decision: configurations encoded and forecast together, with prices and facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from foretell.decide.estimates import Estimator
from foretell.decide.outcomes import Outcomes, levels_of
from foretell.decide.quantities import Power, Quantities, Quantity, WorkTime
from foretell.decide.questions import COST, Features
from foretell.decide.results import Estimate
from foretell.decide.units import SECONDS_PER_HOUR
from foretell.encoding import Encoded
from foretell.errors import InvalidInput, Violation
from foretell.forecast import Floats
from foretell.parsing import Value
from foretell.predictor import Prediction
from foretell.variants import Variants


@dataclass(frozen=True)
class Rows:
    """n configurations of one decision, forecast, and everything that can be weighed of them."""

    prediction: Prediction
    outcomes: Outcomes
    quantities: Quantities
    facts: Callable[[], Sequence[Mapping[str, Value]]]
    """Per row, the facts that are known about it; most questions never need them."""
    prices: Floats
    """[n], per hour; NaN where unknown."""
    estimator: Estimator
    _known: dict[str, Floats] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.prices)

    @cached_property
    def _facts(self) -> Sequence[Mapping[str, Value]]:
        return self.facts()

    def fact(self, name: str) -> Floats:
        """Return a numeric fact, [n], NaN where unknown."""
        values = [facts.get(name) for facts in self._facts]
        return np.array([np.nan if v is None or isinstance(v, str) else float(v) for v in values])

    def values(self, quantity: Quantity) -> Floats:
        """Return the outcomes of a quantity, [n, outcomes]; NaN where it cannot be known."""
        found = self._known.get(quantity.name)
        if found is None:
            found = self._known[quantity.name] = self._values(quantity)
        return found

    def _values(self, quantity: Quantity) -> Floats:
        if quantity.kind == "metric":
            return self.outcomes.metric(quantity.name)
        if quantity.kind == "cost":
            return self.work_seconds() * (self.prices[:, None] / SECONDS_PER_HOUR)
        if quantity.kind == "energy":
            return self.work_seconds() * self._watts(self.quantities.power(quantity.name))
        certain = self.prices if quantity.kind == "price" else self.fact(quantity.name)
        return np.repeat(certain[:, None], self.outcomes.count, axis=1)

    def work_seconds(self) -> Floats:
        """Return how long a unit of work takes, [n, outcomes]."""
        work: WorkTime = self.quantities.work("work")
        values = self.outcomes.metric(work.metric)
        return work.seconds / values if work.is_rate else values * work.seconds

    def _watts(self, power: Power) -> Floats:
        if power.is_metric:
            return self.outcomes.metric(power.name) * power.watts
        return self.fact(power.name)[:, None] * power.watts

    def needed(self, quantity: Quantity, probability: float, *, upper: bool) -> Floats:
        """Return the bound, [n], that holds with just this probability."""
        if quantity.is_certain:
            return self.values(quantity)[:, 0]
        level = probability if upper else 1 - probability
        if quantity.kind == "metric":
            forecasts = self.prediction.forecasts
            return forecasts.quantile(level)[:, forecasts.metric_index(quantity.name)]
        levels = levels_of(self.outcomes.count)
        ordered = np.sort(self.values(quantity), axis=1)
        return np.array([np.interp(level, levels, row) for row in ordered])

    def probability_within(self, quantity: Quantity, bounds: Floats) -> Floats:
        """Return P(quantity ≤ bound) of each row, [n]."""
        if quantity.kind == "metric":
            return self.prediction.forecasts.probability_within(quantity.name, bounds)
        levels = levels_of(self.outcomes.count)
        ordered = np.sort(self.values(quantity), axis=1)
        return np.array(
            [
                np.interp(bound, row, levels, left=0.0, right=1.0)
                for bound, row in zip(bounds, ordered, strict=True)
            ]
        )

    def estimates(self, which: Sequence[int], level: float) -> list[tuple[Estimate, ...]]:
        """Return the forecasts of all metrics of some rows, in the order of `which`."""
        return self.estimator.estimates(self.prediction.forecasts, which, level)

    def expected(self, quantity: str) -> list[float | None]:
        """Return the expectation of cost or energy of each row; None where it cannot be told."""
        unknown: list[float | None] = [None] * len(self)
        if quantity == COST and all(price != price for price in self.prices.tolist()):  # noqa: PLR0124 -- NaN
            return unknown
        found = self.quantities.find(quantity)
        return unknown if found is None else plain(self.values(found).mean(axis=1))


def encode_rows(variants: Variants, common: Features, field_of: Sequence[str]) -> Encoded:
    """Encode rows that share features and have some of their own, which replace the shared.

    Raises InvalidInput whose fields are `features[...]` for what is shared, and begin with the
    row's `field_of` for its own: `candidates[2].features[batch_size]`.
    """
    try:
        return variants.encode(common)
    except InvalidInput:
        raise InvalidInput(_violations(variants, common, field_of)) from None


def _violations(variants: Variants, common: Features, field_of: Sequence[str]) -> list[Violation]:
    """Return what is wrong, each thing once and under the name by which the caller sent it."""
    found: dict[tuple[str, str], Violation] = {}
    for features, prefix in zip(variants.own, field_of, strict=True):
        for violation in variants.encoder.violations({**common, **features}):
            name = violation.field.removeprefix("features[").removesuffix("]")
            at = f"{prefix}.{violation.field}" if name in features else violation.field
            found.setdefault(
                (at, violation.message), Violation(at, violation.value, violation.message)
            )
    return list(found.values()) or [Violation("features", "", "the rows cannot be encoded")]


def plain(values: Floats) -> list[float | None]:
    """Return numbers as a list, which is read ten times faster; None for NaN."""
    return [None if v != v else v for v in values.tolist()]  # noqa: PLR0124 -- only NaN does
