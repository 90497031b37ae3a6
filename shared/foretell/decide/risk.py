"""From outcomes to one number: losses, and what is made of a distribution of them.

A loss is what shall be small. That of a rate is its reciprocal, the time per unit of work: the
mean of a rate itself would grow with our ignorance of it, and so prefer what we know least.
The mean over the worst share of the outcomes is the conditional value at risk (Rockafellar and
Uryasev, 2000).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foretell.decide.outcomes import levels_of
from foretell.decide.quantities import Quantities, Quantity, Violations, check_unit
from foretell.decide.questions import Objective
from foretell.forecast import Floats

HIGHEST_RISK = 0.99


@dataclass(frozen=True, slots=True)
class LossTerm:
    """One quantity's part of a loss."""

    quantity: Quantity
    weight: float
    reference: float

    def loss(self, values: Floats) -> Floats:
        """Return what these values cost."""
        if not self.quantity.higher_is_better:
            return values * (self.weight / self.reference)
        if self.quantity.log:
            return (self.weight * self.reference) / values
        return values * (-self.weight / self.reference)

    def value(self, loss: Floats) -> Floats:
        """Return the values of the quantity that cost so much, in its own unit."""
        if not self.quantity.higher_is_better:
            return loss * (self.reference / self.weight)
        if self.quantity.log:
            return (self.weight * self.reference) / loss
        return loss * (-self.reference / self.weight)


@dataclass(frozen=True, slots=True)
class Loss:
    """An objective, resolved for one schema."""

    terms: tuple[LossTerm, ...]
    risk: float
    quantile: float | None

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What has to be known about each row."""
        return tuple(term.quantity for term in self.terms)

    @property
    def unit(self) -> str:
        """The unit in which the objective is told: that of its quantity, 1 for a mix."""
        return self.terms[0].quantity.unit if len(self.terms) == 1 else "1"

    @property
    def name(self) -> str:
        """The objective in one word: its quantity, or those of the mix."""
        return (
            " + ".join(f"{t.weight:g} {t.quantity.name}" for t in self.terms)
            if len(self.terms) > 1
            else self.terms[0].quantity.name
        )

    def losses(self, values: Mapping[str, Floats]) -> Floats:
        """Return the losses of outcomes given by the quantities' names, [n, outcomes]."""
        parts = [term.loss(values[term.quantity.name]) for term in self.terms]
        return parts[0] if len(parts) == 1 else np.add.reduce(parts)

    def measure(self, losses: Floats) -> Floats:
        """Return what ranks the rows, [n]: a mean over the worst outcomes, or a quantile."""
        if self.quantile is None and self.risk == 0:
            # The same as mean(), which takes longer to call than it takes for some dozens of rows.
            means: Floats = np.add.reduce(losses, axis=1) / losses.shape[1]
            return means
        ordered = np.sort(losses, axis=1)
        if self.quantile is not None:
            levels = levels_of(losses.shape[1])
            return np.array([np.interp(self.quantile, levels, row) for row in ordered])
        measured: Floats = ordered @ tail_weights(losses.shape[1], self.risk)
        return measured

    def told(self, loss: Floats) -> Floats:
        """Return losses as people read them: a single quantity in its own unit."""
        return self.terms[0].value(loss) if len(self.terms) == 1 else loss


def tail_weights(count: int, risk: float) -> Floats:
    """Return the weights of sorted outcomes whose sum is the mean over the worst 1 - risk."""
    reached = np.arange(1, count + 1) / count - risk
    weights: Floats = np.clip(reached, 0.0, 1.0 / count) / (1.0 - risk)
    return weights


def resolve_objective(
    objective: Objective, quantities: Quantities, note: Violations, field: str = "objective"
) -> Loss | None:
    """Return the objective's loss; None once everything wrong with it is noted."""
    before = len(note.found)
    if not objective.terms:
        known = ", ".join(quantities.known())
        note.add(f"{field}.terms", "", f"an objective is needed: one of {known}, or a mix")
    note.unless(
        0 <= objective.risk <= HIGHEST_RISK, f"{field}.risk", objective.risk,
        f"a share from 0 to {HIGHEST_RISK}",
    )  # fmt: skip
    if objective.quantile is not None:
        good = 0 < objective.quantile < 1
        note.unless(good, f"{field}.quantile", objective.quantile, "between 0 and 1")
        if objective.risk:
            note.add(f"{field}.quantile", objective.quantile, "is instead of risk; set only one")
    terms = [_term(objective, i, quantities, note, field) for i in range(len(objective.terms))]
    if len(note.found) > before:
        return None
    return Loss(tuple(t for t in terms if t), objective.risk, objective.quantile)


def _term(
    objective: Objective, i: int, quantities: Quantities, note: Violations, field: str
) -> LossTerm | None:
    term, field = objective.terms[i], f"{field}.terms[{i}]"
    note.unless(
        np.isfinite(term.weight) and term.weight > 0, f"{field}.weight", term.weight, "above 0"
    )
    good = np.isfinite(term.reference) and term.reference > 0
    note.unless(bool(good), f"{field}.reference", term.reference, "above 0")
    if term.quantity in [other.quantity for other in objective.terms[:i]]:
        note.add(f"{field}.quantity", term.quantity, f"{term.quantity!r} is listed twice")
    where = f"{field}.quantity"
    found = note.trying(lambda: quantities.resolve(term.quantity, where))
    if found is None:
        return None
    check_unit(found, term.unit, f"{field}.unit", term.reference, note)
    return LossTerm(found, term.weight, term.reference)


def names(quantities: Sequence[Quantity]) -> tuple[str, ...]:
    """Return the quantities' names, each once."""
    return tuple(dict.fromkeys(q.name for q in quantities))
