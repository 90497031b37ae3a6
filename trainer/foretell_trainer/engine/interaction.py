"""Interactions of what runs with what it runs on: a Gaussian process on their product.

How far a subject is from the base in one setting says how far it will be in settings like it, and
how far subjects like it are in the same one. The covariance of two rows is that of their subjects
times that of their settings (Bonilla, Chai, Williams: Multi-task Gaussian process prediction, NIPS
2008). A subject has a part of its own, one that it shares with subjects of the same categories, and
one that is smooth in its numbers, by random Fourier features (Rahimi, Recht, NIPS 2007), so that a
forecast is a handful of look-ups and small products, for names that were never seen too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foretell_trainer.engine.inputs import Floats, Inputs
from foretell_trainer.engine.linear import huber_weights
from foretell_trainer.engine.plan import Bend, Plan
from foretell_trainer.engine.solver import ROUGH, TOLERANCE, Cells

_MOST_STEPS = 1000
_MORE_STEPS = 300


@dataclass(frozen=True)
class Interaction:
    """The fitted interaction of one metric."""

    plan: Plan
    weights: Floats
    """[D, S]: of the dense features."""
    tables: tuple[Floats, ...]
    """Per subject and shared category, [V + 1, S]: first that of an unknown value, which is 0."""

    def predict(self, inputs: Inputs) -> Floats:
        """Return what is added to the base of each row, [n]."""
        return np.asarray(self._said(inputs).sum(axis=1))

    def largest(self, inputs: Inputs) -> float:
        """Return how much the settings say of a row at most, whatever the signs."""
        return float(np.abs(self._said(inputs)).sum(axis=1).max(initial=0.0))

    def _said(self, inputs: Inputs) -> Floats:
        """Return what each known setting says of each row, [n, S]."""
        mixed = self.plan.dense(inputs) @ self.weights
        for codes, table in zip(self.plan.tables(inputs).T, self.tables, strict=True):
            mixed += table[codes + 1]
        return np.asarray(mixed * self.plan.likeness(inputs))


def fit_interaction(
    plan: Plan,
    inputs: Inputs,
    target: Floats,
    bend: Bend,
    should_stop: Callable[[], bool] = lambda: False,
    *,
    rough: bool = False,
) -> Interaction:
    """Fit the interaction to what the base leaves of the target, [n].

    `bend` turns what is added to the base into a location, [n], and says which share of a small
    addition arrives there. Outliers are weighted down in a second pass. Raises Cancelled.
    A rough fit, to compare plans, stops sooner.
    """
    cells = Cells.of(plan, inputs)
    nothing = np.zeros(len(target))
    located, share = bend(nothing)
    spread = float(np.sqrt(((target - located) ** 2).sum() / (share**2).sum())) or 1.0
    wanted = (target - located) / share / spread
    enough = ROUGH if rough else TOLERANCE
    solution = cells.solve(wanted, share**2, nothing, _MOST_STEPS, enough, should_stop)
    if rough and np.all(share == 1):
        return Interaction(plan, *cells.primal(spread * solution))
    added = cells.covary(solution)
    located, share = bend(spread * added)
    weights = share**2 * huber_weights(target - located, 1e-3 * spread)
    wanted = added + (target - located) / share / spread
    solution = cells.solve(wanted, weights, solution, _MORE_STEPS, enough, should_stop)
    return Interaction(plan, *cells.primal(spread * solution))
