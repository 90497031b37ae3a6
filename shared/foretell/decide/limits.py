"""Limits: bounds on quantities, the probability with which they hold, and by how much they miss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell.decide.quantities import Quantities, Quantity, Violations, check_unit
from foretell.decide.questions import Limit
from foretell.decide.rows import Rows
from foretell.decide.units import factor
from foretell.forecast import Floats
from foretell.schema import Metric


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit, resolved for one schema."""

    limit: Limit
    quantity: Quantity
    is_upper: bool
    value: float
    """The bound, in the quantity's unit; NaN where each candidate has its own."""
    fact: str = ""
    """The fact of the candidate that is the bound; "" when the value is."""
    scale: float = 1.0
    """What a unit of that fact is in the quantity's unit, times the share that may be used."""

    def __str__(self) -> str:
        sign = "<=" if self.is_upper else ">="
        share = f"{self.limit.share:g} of " if self.limit.share < 1 else ""
        bound = f"{share}{self.fact}" if self.fact else f"{self.value:g} {self.quantity.unit}"
        sure = "" if self.quantity.is_certain else f" with {100 * self.limit.probability:g} %"
        return f"{self.quantity.name} {sign} {bound.rstrip(' 1')}{sure}"

    def bounds(self, rows: Rows) -> Floats:
        """Return the bound of every row, [n]; NaN where the fact that it is is unknown."""
        return rows.fact(self.fact) * self.scale if self.fact else np.full(len(rows), self.value)

    def keeping(self, rows: Rows) -> Keeping:
        """Return how well every row keeps the limit."""
        bounds = self.bounds(rows)
        needed = rows.needed(self.quantity, self.limit.probability, upper=self.is_upper)
        unknown = np.isnan(bounds) | np.isnan(needed)
        if self.quantity.is_certain:
            kept = needed <= bounds if self.is_upper else needed >= bounds
            probability = kept.astype(np.float64)
        else:
            below = rows.probability_within(self.quantity, np.where(unknown, 1.0, bounds))
            probability = below if self.is_upper else 1.0 - below
        probability = np.where(unknown, np.nan, probability)
        wanted = 1.0 if self.quantity.is_certain else self.limit.probability
        # One expression decides, so that what is told never contradicts what was done.
        return Keeping(probability, probability >= wanted, bounds, needed, unknown)

    def miss(self, bound: float, needed: float) -> float:
        """Return by what share of the bound the value that is needed lies beyond it."""
        over = needed - bound if self.is_upper else bound - needed
        return over / max(abs(bound), math.ulp(0.0)) if bound else math.inf


@dataclass(frozen=True, slots=True)
class Keeping:
    """How well n rows keep one limit; every array is [n]."""

    probability: Floats
    """P(the bound holds); NaN where it cannot be said."""
    holds: NDArray[np.bool_]
    bounds: Floats
    needed: Floats
    """What the bound would have to be for it to hold with the probability asked for."""
    unknown: NDArray[np.bool_]
    """Where a fact that the limit needs is not known. Such a limit does not hold."""


def resolve_limits(
    limits: Sequence[Limit], quantities: Quantities, note: Violations
) -> tuple[Bound, ...]:
    """Return the bounds; everything wrong with a limit, alone or beside others, is noted."""
    found = [_resolve(limit, f"limits[{i}]", quantities, note) for i, limit in enumerate(limits)]
    bounds = [bound for bound in found if bound is not None]
    for i, bound in enumerate(found):
        if bound is not None:
            _contradictions(bound, f"limits[{i}]", [b for b in found[:i] if b], note)
    return tuple(bounds)


def _resolve(limit: Limit, field: str, quantities: Quantities, note: Violations) -> Bound | None:
    note.unless(
        0 < limit.probability < 1, f"{field}.probability", limit.probability,
        "between 0 and 1, both excluded",
    )  # fmt: skip
    quantity = note.trying(lambda: quantities.resolve(limit.quantity, f"{field}.quantity"))
    given = [limit.at_most is not None, limit.at_least is not None, bool(limit.at_most_fact)]
    if sum(given) != 1:
        what = "at_most, at_least and at_most_fact"
        note.add(field, "", f"{sum(given)} of {what} are set; exactly one is needed")
        return None
    if quantity is None:
        return None
    if limit.at_most_fact:
        return _fact_bound(limit, quantity, field, quantities, note)
    name = "at_most" if limit.at_most is not None else "at_least"
    value = float(limit.at_most if limit.at_most is not None else limit.at_least or 0.0)
    note.unless(math.isfinite(value), f"{field}.{name}", value, "a finite number")
    check_unit(quantity, limit.unit, f"{field}.unit", value, note)
    _impossible(quantity, value, f"{field}.{name}", quantities, note)
    return Bound(limit, quantity, name == "at_most", value)


def _fact_bound(
    limit: Limit, quantity: Quantity, field: str, quantities: Quantities, note: Violations
) -> Bound | None:
    name = limit.at_most_fact
    note.unless(0 < limit.share <= 1, f"{field}.share", limit.share, "above 0 and at most 1")
    fact = quantities.facts.get(name)
    if fact is None:
        known = ", ".join(quantities.facts) or "none"
        note.add(f"{field}.at_most_fact", name, f"{name!r} is no numeric fact; known: {known}")
        return None
    rate = factor(fact.unit, quantity.unit)
    if rate is None:
        message = f"{name!r} is in {fact.unit!r}, which does not compare with {quantity.unit!r}"
        note.add(f"{field}.at_most_fact", name, message)
        return None
    return Bound(limit, quantity, True, math.nan, name, rate * limit.share)


def _impossible(
    quantity: Quantity, value: float, field: str, quantities: Quantities, note: Violations
) -> None:
    """Note a bound that nothing can keep: beyond what the quantity can be."""
    metric = quantities.schema.metric(quantity.name) if quantity.kind == "metric" else None
    least, most = _range(metric, positive=quantity.log)
    if field.endswith("at_most") and (value < least or (quantity.log and value <= 0)):
        note.add(field, value, f"{value:g} can never hold: {quantity.name!r} is above {least:g}")
    if field.endswith("at_least") and value > most:
        note.add(field, value, f"{value:g} can never hold: {quantity.name!r} is at most {most:g}")


def _range(metric: Metric | None, *, positive: bool) -> tuple[float, float]:
    low = 0.0 if positive else -math.inf
    if metric is None:
        return low, math.inf
    least = low if metric.minimum is None else max(low, metric.minimum)
    return least, math.inf if metric.maximum is None else metric.maximum


def _contradictions(bound: Bound, field: str, before: Sequence[Bound], note: Violations) -> None:
    for other in before:
        if other.quantity.name != bound.quantity.name:
            continue
        if other.is_upper == bound.is_upper and other.fact == bound.fact:
            if other.limit.probability == bound.limit.probability:
                message = f"{bound.quantity.name!r} has this kind of limit twice: {other}"
                note.add(field, bound.quantity.name, message)
        elif other.is_upper != bound.is_upper and not other.fact and not bound.fact:
            upper, lower = (bound, other) if bound.is_upper else (other, bound)
            if upper.value < lower.value:
                low, high = f"{lower.value:g}", f"{upper.value:g}"
                message = f"contradicts {other}: nothing is at least {low} and at most {high}"
                note.add(field, f"{bound.value:g}", message)
