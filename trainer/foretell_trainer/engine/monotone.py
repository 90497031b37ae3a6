"""Monotone trends: what the schema says can only rise, or only fall, does so in every forecast.

Trees are grown under constraints. A base whose slope has the wrong sign somewhere, for any
combination of ids, is drawn towards a straight trend of the right sign, just as far as it takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foretell.schema import Schema
from foretell_trainer.engine.inputs import Floats, InputMap
from foretell_trainer.engine.linear import GROWTH, LinearModel
from foretell_trainer.engine.links import Derived

_PLACES = 65
"""At how many places of a number's range the slope is looked at."""


@dataclass(frozen=True)
class Rule:
    """That a metric only rises (sign 1) or only falls (sign -1) as one number rises."""

    number: int
    sign: int
    clipped: int | None
    """Where the number stands in `Inputs.clipped`, if it does."""
    places: Floats
    """[K]: standardised, over the range of the training."""
    steepness: Floats
    """[K]: how fast `clipped` grows there."""

    def held(self, model: LinearModel) -> LinearModel:
        """Return a model that obeys."""
        weights = model.weights.copy()
        column = None if self.clipped is None else len(model.layout.lowest) + self.clipped
        straight, bend = weights[self.number], 0.0 if column is None else weights[column]
        trend = self.sign * (straight + bend * self.steepness)
        least = float((trend + self._of_ids(model)).min())
        if least >= 0:
            return model
        mean = max(float(trend.mean()), 0.0)
        kept = mean / (mean - least)
        weights[self.number] = kept * straight + (1 - kept) * self.sign * mean
        if column is not None:
            weights[column] *= kept
        effects, slopes = list(model.effects), list(model.slopes)
        for place, (category, number, power) in enumerate(model.layout.slopes):
            if number != self.number:
                continue
            if power > 1:
                # The mean of a standardised square is 1: the level of the id stays where it was.
                effects[category] = effects[category] + (1 - kept) * slopes[place]
            slopes[place] = kept * slopes[place]
        return replace(model, weights=weights, effects=tuple(effects), slopes=tuple(slopes))

    def _of_ids(self, model: LinearModel) -> Floats:
        """Return what ids add to the slope at worst, [K]."""
        by_category: dict[int, Floats] = {}
        for (category, number, power), table in zip(model.layout.slopes, model.slopes, strict=True):
            if number == self.number:
                own = self.sign * table[:, None] * self._along(model, category, power)
                by_category[category] = by_category.get(category, np.zeros(1)) + own
        worst = [table.min(axis=0) for table in by_category.values()]
        return np.asarray(sum(worst, np.zeros_like(self.places)))

    def _along(self, model: LinearModel, category: int, power: int) -> Floats:
        """Return how fast what a slope is multiplied with grows, [K] or by id [V + 1, K]."""
        if power == GROWTH:
            return self.steepness / model.layout.growth(category, self.number).spread[:, None]
        return np.ones_like(self.places) if power == 1 else 2 * self.places


def rules_of(
    schema: Schema, inputs: InputMap, metric: int, derived: Sequence[Derived] = ()
) -> tuple[Rule, ...]:
    """Return what the schema says of a metric, and of those that are derived from it.

    A number that the link itself names is no rule for the source of a derived metric.
    """
    names = schema.metric_names
    found = signs_for(schema, names[metric])
    for one in derived:
        if one.source == metric:
            linked = {position for position, _ in one.numbers}
            turned = 1 if one.power > 0 else -1
            own = signs_for(schema, names[one.metric])
            found |= {n: turned * sign for n, sign in own.items() if n not in linked}
    return tuple(_rule(inputs, number, sign) for number, sign in found.items())


def signs_for(schema: Schema, metric: str) -> dict[int, int]:
    """Return, by number, whether a metric rises (1) or falls (-1) with it, as declared."""
    features = [f for f in schema.inputs if f.is_numeric]
    signs: Mapping[str, int] = {"increasing": 1, "decreasing": -1}
    return {i: signs[f.monotone[metric]] for i, f in enumerate(features) if metric in f.monotone}


def obeying(model: LinearModel, rules: Sequence[Rule]) -> LinearModel:
    """Return a model that obeys all rules."""
    for rule in rules:
        model = rule.held(model)
    return model


def constraints(rules: Sequence[Rule], width: int, others: int) -> tuple[int, ...]:
    """Return `TreeSettings.monotone` for what `Location.features` gives.

    That are `width` numbers, the location so far, and `others` that no rule is about.
    """
    if not rules:
        return ()
    signs = [0] * width
    for rule in rules:
        signs[rule.number] = rule.sign
    # What rises with the location so far rises with all that this rises with.
    return (*signs, 1, *[0] * others)


def _rule(inputs: InputMap, number: int, sign: int) -> Rule:
    places = np.linspace(inputs.seen_lowest[number], inputs.seen_highest[number], _PLACES)
    columns = np.flatnonzero(inputs.log_columns == number)
    if not len(columns):
        return Rule(number, sign, None, places, np.zeros(_PLACES))
    column = int(columns[0])
    deviation = inputs.deviation[number]
    raw = np.exp(places * deviation + inputs.mean[number])
    steepness = raw * deviation / inputs.raw_deviation[column]
    # Below the range the number counts in logs alone.
    places, steepness = np.append(places, places[0]), np.append(steepness, 0.0)
    return Rule(number, sign, column, places, steepness)
