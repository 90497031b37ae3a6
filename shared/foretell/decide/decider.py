"""Deciders: one bundle, and every decision that can be taken with its forecasts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from foretell.decide.candidates import (
    check_price,
    check_prices,
    front_quantities,
    place_feature,
    price_of,
)
from foretell.decide.curve import CurveAnswer, curve_points, swept_feature, trace
from foretell.decide.estimates import Estimator
from foretell.decide.facts import FactBook
from foretell.decide.limits import Bound, resolve_limits
from foretell.decide.matrix import MatrixPlan
from foretell.decide.outcomes import OUTERMOST, Strata
from foretell.decide.placing.batch import prepare
from foretell.decide.placing.place import describe, place
from foretell.decide.placing.results import Placement
from foretell.decide.quantities import Quantities, Quantity, Violations
from foretell.decide.questions import (
    Accounting,
    Curve,
    Features,
    Matrix,
    Place,
    Recommend,
    Share,
    WhatIf,
)
from foretell.decide.recommend import Ranking, judge
from foretell.decide.results import Recommendation
from foretell.decide.risk import Loss, resolve_objective
from foretell.decide.roster import Rosters
from foretell.decide.rows import Rows, encode_rows
from foretell.decide.sharing.results import Sharing
from foretell.decide.sharing.share import share
from foretell.decide.what_if import Comparison, check_what_if, compare
from foretell.errors import InvalidInput
from foretell.forecast import Floats
from foretell.parsing import Value
from foretell.predictor import Predictor
from foretell.variants import Variants

ERROR_CORRELATION = 0.5
"""How much of their error two configurations of one item share. Measured: the normal scores of
held-out models' throughput on two accelerators correlate by 0.5 (`benchmarks/decisions`)."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a question may be."""

    candidates: int = 10_000
    cells: int = 1_000_000
    pairs: int = 50_000
    """Items times kinds of nodes of one placement."""


class _Weighed(NamedTuple):
    """What a question weighs, whatever is asked about."""

    feature: str
    """What candidates are values of; "" where something is wrong with that."""
    quantities: Quantities
    loss: Loss | None
    """None where something is wrong with the objective."""
    bounds: tuple[Bound, ...]
    outermost: float
    front: tuple[Quantity, ...]


_REMEMBERED_WEIGHINGS = 256


class Decider:
    """Takes decisions with one bundle, and remembers how questions were read. Shared by threads."""

    def __init__(self, predictor: Predictor, bounds: Bounds = Bounds()) -> None:
        self.predictor = predictor
        self.bounds = bounds
        self._strata = Strata(predictor.schema)
        self._book = FactBook(predictor)
        self._estimator = Estimator(predictor.schema, predictor.tables)
        self._usual = Quantities(predictor.schema, Accounting())
        self._rosters = Rosters(predictor, self._book, bounds.candidates)
        self._known: dict[tuple[Hashable, ...], _Weighed] = {}

    def recommend(self, question: Recommend) -> Recommendation:
        """Rank candidates for one item of work.

        Raises InvalidInput with everything that is wrong with the question.
        """
        note, predictor = Violations(), self.predictor
        feature, quantities, loss, bounds, outermost, front = self._weighed(question, note)
        roster = self._rosters.of(question, feature)
        note.found.extend(roster.wrong)
        roster.check_prices(loss, note)
        _check_answer(question, feature, note)
        if note.found or loss is None:
            raise InvalidInput(note.found)
        rows = self._rows(
            question.features, roster.variants, roster.fields, roster.prices, quantities, outermost
        )
        judged = judge(rows, loss, bounds, front)
        ranking = Ranking(question, roster, judged, loss, bounds)
        return ranking.recommendation(predictor.schema.workload, predictor.version)

    def matrix(self, question: Matrix) -> MatrixPlan:
        """Return the plan of a matrix, whose slices are answered one by one.

        Raises InvalidInput with everything that is wrong with the question.
        """
        return MatrixPlan(self.predictor, question, self.bounds.cells)

    def curve(self, question: Curve) -> CurveAnswer:
        """Sweep one number, everything else held.

        Raises InvalidInput with everything that is wrong with the question.
        """
        note, predictor = Violations(), self.predictor
        feature = swept_feature(question, predictor.encoder, note)
        quantities = self._quantities(question.accounting)
        loss = None
        if question.objective is not None:
            loss = resolve_objective(question.objective, quantities, note)
        bounds = resolve_limits(question.limits, quantities, note)
        points = curve_points(question, feature, note) if feature else np.zeros(0)
        check_price(question.price_per_hour, "", note)
        level = question.interval_level
        note.unless(0 < level < 1, "interval_level", level, "strictly between 0 and 1")
        price = price_of(question.price_per_hour, self._book, question.features)
        check_prices([price], [""], loss, note)
        if note.found or feature is None:
            raise InvalidInput(note.found)
        own = [{feature.name: value} for value in points.tolist()]
        fields = [f"values[{i}]" for i in range(len(own))]
        prices = np.full(len(own), price)
        variants, outermost = Variants(predictor.encoder, own), _outermost(loss, bounds)
        rows = self._rows(question.features, variants, fields, prices, quantities, outermost)
        return trace(question, feature, points, rows, loss, bounds, predictor.version)

    def what_if(self, question: WhatIf) -> Comparison:
        """Compare configurations with the first of them.

        Raises InvalidInput with everything that is wrong with the question.
        """
        note, predictor = Violations(), self.predictor
        quantities = self._quantities(question.accounting)
        loss = resolve_objective(question.objective, quantities, note)
        check_what_if(question, note)
        sides = question.configurations
        fields = [f"configurations[{i}]" for i in range(len(sides))]
        for side, field in zip(sides, fields, strict=True):
            check_price(side.price_per_hour, f"{field}.", note)
        prices = [price_of(s.price_per_hour, self._book, s.features) for s in sides]
        check_prices(prices, [f"{field}." for field in fields], loss, note)
        if note.found or loss is None:
            raise InvalidInput(note.found)
        variants = Variants(predictor.encoder, [side.features for side in sides])
        rows = self._rows({}, variants, fields, np.array(prices), quantities, _outermost(loss, ()))
        return compare(question, rows, loss, predictor.schema.workload, predictor.version)

    def place(self, question: Place) -> Placement:
        """Place a batch of items on nodes.

        Raises InvalidInput with everything that is wrong with the question.
        """
        predictor = self.predictor
        batch = prepare(question, predictor, self._book, self.bounds.pairs)
        problem = batch.problem(self._strata)
        assignment, bound = place(problem, question.seconds)
        workload = predictor.schema.workload
        return describe(assignment, bound, batch.prediction, predictor.version, workload)

    def share(self, question: Share) -> Sharing:
        """Say how several items shall share one device.

        Raises InvalidInput with everything that is wrong with the question.
        """
        return share(question, self.predictor, self._strata)

    def _weighed(self, question: Recommend, note: Violations) -> _Weighed:
        """Return what a question weighs; whoever asks about work of many kinds asks the same."""
        named, limits, pareto = question.candidate_feature, question.limits, question.pareto
        key = (named, question.objective, tuple(limits), question.accounting, tuple(pareto))
        found = self._known.get(key)
        if found is None:
            before = len(note.found)
            feature = place_feature(self.predictor, named, "candidate_feature", note)
            quantities = self._quantities(question.accounting)
            loss = resolve_objective(question.objective, quantities, note)
            bounds = resolve_limits(limits, quantities, note)
            front = front_quantities(question, quantities, note)
            outermost = _outermost(loss, bounds)
            found = _Weighed(feature, quantities, loss, bounds, outermost, front)
            if len(note.found) == before:
                if len(self._known) >= _REMEMBERED_WEIGHINGS:
                    self._known.clear()
                self._known[key] = found
        return found

    def _quantities(self, accounting: Accounting) -> Quantities:
        usual = accounting == Accounting()
        return self._usual if usual else Quantities(self.predictor.schema, accounting)

    def _rows(
        self,
        common: Features,
        variants: Variants,
        fields: Sequence[str],
        prices: Floats,
        quantities: Quantities,
        outermost: float,
    ) -> Rows:
        """Return configurations, encoded and forecast together."""
        encoded = encode_rows(variants, common, fields)
        prediction = self.predictor.forecast(encoded)
        outcomes = self._strata.outcomes(prediction.forecasts, ERROR_CORRELATION, outermost)
        book = self._book

        def facts() -> list[dict[str, Value]]:
            return [book.facts({**common, **features}) for features in variants.own]

        return Rows(prediction, outcomes, quantities, facts, prices, self._estimator)


def _outermost(loss: Loss | None, bounds: Sequence[Bound]) -> float:
    """Return how far out outcomes have to be told apart for what is asked.

    A tail, a quantile or a probability is read from outcomes that reach well beyond it.
    """
    levels = [OUTERMOST]
    if loss is not None:
        levels.append((1 - loss.risk) / 4)
        if loss.quantile is not None:
            levels.append(min(loss.quantile, 1 - loss.quantile) / 2)
    for bound in bounds:
        probability = bound.limit.probability
        if bound.quantity.kind in ("cost", "energy"):
            levels.append(min(probability, 1 - probability) / 2)
    return min(levels)


def _check_answer(question: Recommend, feature: str, note: Violations) -> None:
    if feature and feature in question.features:
        note.add(f"features[{feature}]", "", f"{feature!r} is what candidates are values of")
    if question.max_results < 1:
        note.add("max_results", question.max_results, "at least 1 is needed")
    level, floor = question.interval_level, question.support_floor
    note.unless(0 < level < 1, "interval_level", level, "strictly between 0 and 1")
    note.unless(0 <= floor <= 1, "support_floor", floor, "in [0, 1]")
