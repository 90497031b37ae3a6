"""The candidates of a question: what is wrong with them, and what an hour of each costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from foretell.decide.facts import FactBook
from foretell.decide.quantities import Quantities, Quantity, Violations
from foretell.decide.questions import PRICE, Candidate, Features, Recommend
from foretell.decide.risk import Loss
from foretell.errors import listing
from foretell.forecast import Floats
from foretell.predictor import Predictor

USUAL_FEATURES = ("hardware", "node")
"""What candidates are values of, unless the question says otherwise."""

NODE_FEATURES = USUAL_FEATURES[::-1]
"""What the nodes of a placement are values of, unless the question says otherwise."""


def place_feature(
    predictor: Predictor,
    named: str,
    field: str,
    note: Violations,
    usual_first: Sequence[str] = USUAL_FEATURES,
) -> str:
    """Return the category that says where work runs; "" once what is wrong is noted."""
    schema = predictor.schema
    sent = [f.name for f in schema.features if f.kind == "category" and f.derive is None]
    if not named:
        usual = [name for name in usual_first if name in sent]
        if usual:
            return usual[0]
        note.add(field, "", f"which feature says where work runs? One of {listing(sent)}")
        return ""
    if named not in sent:
        note.add(field, named, f"{named!r} is no category that is sent: {listing(sent)}")
        return ""
    return named


def check_all(
    given: Sequence[tuple[Candidate, str]], feature: str, book: FactBook, note: Violations
) -> None:
    """Note what is wrong with each candidate by itself, and which are the same."""
    known = book.known(feature)
    seen: dict[object, str] = {}
    for candidate, field in given:
        key = (candidate.name, frozenset(candidate.features.items()))
        if key in seen:
            note.add(field, candidate.name, f"{candidate.name!r} is the same as {seen[key]}")
        seen.setdefault(key, field)
        usual = candidate.price_per_hour is None and not candidate.available
        if not (usual and candidate.name in known and feature not in candidate.features):
            _check(candidate, field, feature, book, note)


def _check(
    candidate: Candidate, field: str, feature: str, book: FactBook, note: Violations
) -> None:
    if not candidate.name:
        note.add(f"{field}.name", "", f"a {feature} is needed")
    if feature in candidate.features:
        note.add(f"{field}.features[{feature}]", "", f"{feature!r} is what `name` says")
    if candidate.name:
        check_unknown(candidate.name, candidate.features, field, feature, book, note)
    check_price(candidate.price_per_hour, f"{field}.", note)
    if candidate.available is not None and candidate.available < 0:
        note.add(f"{field}.available", candidate.available, "is not at least 0")


def check_unknown(
    name: str, features: Features, field: str, feature: str, book: FactBook, note: Violations
) -> None:
    """Note a name that the bundle has never seen and about which the caller says nothing."""
    known = book.known(feature)
    if name in known:
        return
    facts = book.facts_of(feature)
    if any(fact in features for fact in facts):
        return
    how = f"send what is known of it: {listing(facts)}" if facts else "it has no facts to send"
    message = f"nothing is known of {name!r}; {how}; known: {listing(sorted(known))}"
    note.add(f"{field}.name", name, message)


def check_prices(
    prices: Iterable[float], prefixes: Sequence[str], loss: Loss | None, note: Violations
) -> None:
    """Note configurations without the price that the objective is made of."""
    if loss is None or not {q.kind for q in loss.quantities} & {"cost", "price"}:
        return
    for price, prefix in zip(prices, prefixes, strict=True):
        if math.isnan(price):
            note.add(f"{prefix}price_per_hour", "", "is needed: the objective is made of it")


def front_quantities(
    question: Recommend, quantities: Quantities, note: Violations
) -> tuple[Quantity, ...]:
    if len(question.pareto) == 1:
        note.add("pareto", question.pareto[0], "a front is between two quantities or more")
    found = []
    for i, name in enumerate(question.pareto):
        field = f"pareto[{i}]"
        if name in question.pareto[:i]:
            note.add(field, name, f"{name!r} is listed twice")
        quantity = note.trying(lambda name=name, field=field: quantities.resolve(name, field))  # type: ignore[misc]  # its defaults have types
        if quantity is not None:
            found.append(quantity)
    return tuple(found)


def prices_of(given: Sequence[Candidate], book: FactBook, feature: str) -> Floats:
    if not book.has_prices:
        return np.array([math.nan if c.price_per_hour is None else c.price_per_hour for c in given])
    return np.array(
        [price_of(c.price_per_hour, book, {feature: c.name, **c.features}) for c in given]
    )


def price_of(price_per_hour: float | None, book: FactBook, features: Features) -> float:
    """Return a price per hour, else the catalog's, else NaN."""
    if price_per_hour is not None:
        return price_per_hour
    fact = book.facts(features).get(PRICE) if book.has_prices else None
    return math.nan if fact is None or isinstance(fact, str) else float(fact)


def check_price(price: float | None, prefix: str, note: Violations) -> None:
    """Note a price that is none."""
    if price is not None and not (math.isfinite(price) and price >= 0):
        note.add(f"{prefix}price_per_hour", price, f"{price:g} is not at least 0")
