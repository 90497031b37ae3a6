"""From a question to a problem: what is wrong with it, and the forecasts of all its pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell.decide.candidates import (
    NODE_FEATURES,
    check_unknown,
    place_feature,
    price_of,
)
from foretell.decide.facts import FactBook
from foretell.decide.outcomes import Strata
from foretell.decide.placing.check import check_place
from foretell.decide.placing.problem import Metrics, Problem
from foretell.decide.quantities import Quantities, Violations
from foretell.decide.questions import Features, Node, Place
from foretell.decide.rows import encode_rows
from foretell.encoding import Encoded, Encoder
from foretell.errors import InvalidInput, Violation
from foretell.forecast import Floats
from foretell.predictor import Prediction, Predictor
from foretell.variants import Variants

KNOWN_CORRELATION, NEW_CORRELATION = 0.0, 0.5
"""How much of their error items share that run on one node.

What is not known about a function that was seen often is noise of its runs, each its own: in
sets of 4 to 32 held-out tasks, a joint 99 % reservation was exceeded by 0.8 to 1.4 % when errors
were taken as independent, and by 0.0 to 0.6 % with a correlation of 0.25. What is not known
about a new one is the same for all its runs.
"""


@dataclass(frozen=True)
class Batch:
    """A question that is good, with the forecasts of every item on every kind of node."""

    question: Place
    metrics: Metrics
    kinds: NDArray[np.intp]
    """[nodes], the kind of each."""
    prediction: Prediction
    """Item by item, and kind by kind within each."""
    prices: Floats
    """[nodes], per hour; NaN where unknown."""

    def problem(self, strata: Strata) -> Problem:
        """Return the problem to solve."""
        nodes = self.question.nodes
        return Problem(
            items=self.question.items,
            nodes=nodes,
            goal=self.question.goal,
            overflow_risk=self.question.overflow_risk,
            may_wait=self.question.may_wait,
            metrics=self.metrics,
            kinds=self.kinds,
            forecasts=self.prediction.forecasts,
            strata=strata,
            correlation=self._shared(),
            memory=np.array([_capacity(node.memory) for node in nodes]),
            power=np.array([_capacity(node.power) for node in nodes]),
            prices=self.prices,
        )

    def _shared(self) -> Floats:
        """Return how much of its error each item shares with others, [items]."""
        count = len(self.question.items)
        tiers = np.array(self.prediction.tier).reshape(count, -1)
        is_new = np.isin(tiers, ("cold", "few-shot")).any(axis=1)
        return np.where(is_new, NEW_CORRELATION, KNOWN_CORRELATION)


def prepare(question: Place, predictor: Predictor, book: FactBook, most_pairs: int) -> Batch:
    """Return the batch; InvalidInput has everything that is wrong with the question."""
    note = Violations()
    named = question.node_feature
    feature = place_feature(predictor, named, "node_feature", note, NODE_FEATURES)
    quantities = Quantities(predictor.schema, question.accounting)
    metrics = check_place(question, quantities, note)
    own = [_features_of(node, feature) for node in question.nodes]
    for j, node in enumerate(question.nodes):
        check_unknown(node.kind or node.name, node.features, f"nodes[{j}]", feature, book, note)
    kinds, firsts = _kinds(own)
    pairs = len(question.items) * len(firsts)
    if pairs > most_pairs:
        what = f"{len(question.items)} items on {len(firsts)} kinds of nodes"
        note.add("items", pairs, f"{what} are more than the {most_pairs} pairs that are allowed")
    prices = [
        price_of(node.price_per_hour, book, features)
        for node, features in zip(question.nodes, own, strict=True)
    ]
    if question.goal == "cost":
        for j in np.flatnonzero(np.isnan(prices)).tolist():
            note.add(f"nodes[{j}].price_per_hour", "", "is needed: the goal is cost")
    if note.found or metrics is None:
        raise InvalidInput(note.found)
    encoded = _encode(predictor.encoder, question, [own[j] for j in firsts], firsts)
    return Batch(question, metrics, kinds, predictor.forecast(encoded), np.array(prices))


def _features_of(node: Node, feature: str) -> Features:
    return {feature: node.kind or node.name, **node.features}


def _kinds(own: Sequence[Features]) -> tuple[NDArray[np.intp], list[int]]:
    """Return the kind of each node, and the first node of every kind."""
    found: dict[tuple[tuple[str, str], ...], int] = {}
    kinds: list[int] = []
    firsts: list[int] = []
    for j, features in enumerate(own):
        key = tuple(sorted((name, repr(value)) for name, value in features.items()))
        if key not in found:
            found[key] = len(firsts)
            firsts.append(j)
        kinds.append(found[key])
    return np.array(kinds, dtype=np.intp), firsts


def _encode(
    encoder: Encoder, question: Place, nodes: Sequence[Features], firsts: Sequence[int]
) -> Encoded:
    own = [{**item.features, **node} for item in question.items for node in nodes]
    try:
        return encode_rows(Variants(encoder, own), {}, [""] * len(own))
    except InvalidInput:
        raise InvalidInput(_violations(encoder, question, nodes, firsts)) from None


def _violations(
    encoder: Encoder, question: Place, nodes: Sequence[Features], firsts: Sequence[int]
) -> list[Violation]:
    """Return what the encoder refuses, under the names of the item or the node that sent it."""
    found = []
    for i, item in enumerate(question.items):
        for v in encoder.violations({**item.features, **nodes[0]}):
            name = v.field.removeprefix("features[").removesuffix("]")
            if name not in nodes[0]:
                found.append(Violation(f"items[{i}].{v.field}", v.value, v.message))
    for j, node in zip(firsts, nodes, strict=True):
        for v in encoder.violations({**question.items[0].features, **node}):
            name = v.field.removeprefix("features[").removesuffix("]")
            if name in node:
                found.append(Violation(f"nodes[{j}].{v.field}", v.value, v.message))
    return found


def _capacity(value: float | None) -> float:
    return math.inf if value is None else value
