"""Trials on pairs left out: which floor a base has, and which settings are alike.

What explains residuals best is not what forecasts best: a covariance that is wrong in a detail
would rather call small things noise. So what cannot be read off residuals is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foretell_trainer.engine.floors import Parts
from foretell_trainer.engine.folds import grouped_folds
from foretell_trainer.engine.inputs import Floats, InputMap, Inputs, Integers
from foretell_trainer.engine.interaction import fit_interaction
from foretell_trainer.engine.likeness import Term, scaled
from foretell_trainer.engine.linear import Restraint
from foretell_trainer.engine.location import FEW_ROWS, Location, Recipe
from foretell_trainer.engine.plan import Plan

_MOST_ROWS = 6000
_FOLDS = 5
_FAMILY_SHARE = 0.15
"""What each family of terms has at first, beside what was learnt."""

_STEPS = (3.0, 3.0, 3.0)
"""In each sweep, a weight is tried that many times as large and as small."""

_WORTHWHILE = 0.999
"""The share of the error that a change has to come down to."""

_ENOUGH = 0.99
"""The share of the error that a further sweep has to follow from."""

_NEAR, _FAR = 2.0, 8.0
_WORST = 1.0
"""An error of a row, in logs, counts as this at most."""


@dataclass(frozen=True)
class PairTrials:
    """Rows of some subjects, of which some pairs are left out in turn."""

    inputs: Inputs
    target: Floats
    rows: Integers
    folds: Integers
    """Which of them is left out when; [len(rows)]."""
    should_stop: Callable[[], bool]

    @classmethod
    def of(
        cls,
        inputs: Inputs,
        target: Floats,
        subject: int,
        pair: Sequence[int],
        seed: int,
        should_stop: Callable[[], bool],
        most: int = _MOST_ROWS,
    ) -> PairTrials:
        """Return the trials on whole subjects, so that each is known as well as it will be."""
        rng = np.random.default_rng(seed)
        codes = inputs.codes[:, subject]
        order = rng.permutation(int(codes.max()) + 1)
        counts = np.bincount(codes[codes >= 0], minlength=len(order))[order]
        used = order[np.cumsum(counts) - counts < most]
        rows = np.flatnonzero(np.isin(codes, used))
        pairs = np.unique(inputs.codes[rows][:, list(pair)], axis=0, return_inverse=True)[1]
        folds = grouped_folds(pairs.reshape(-1), _FOLDS, rng)
        return cls(inputs, target, rows, folds, should_stop)

    @property
    def _turns(self) -> list[tuple[Integers, Integers]]:
        """The rows to learn from and to be predicted; of few rows one turn says little."""
        turns = range(_FOLDS if len(self.rows) < FEW_ROWS else 1)
        return [(self.rows[self.folds != turn], self.rows[self.folds == turn]) for turn in turns]

    def error_of(self, recipe: Recipe) -> float:
        """Return how far base and interaction are off pairs left out. Raises Cancelled."""
        found = []
        for kept, out in self._turns:
            location = recipe.bare(self.inputs.take(kept), self.target[kept], self.should_stop)
            found.append(self._error(location, out))
        return float(np.mean(found))

    def with_likeness(self, plan: Plan, base: Location) -> Plan:
        """Return the plan with the weights of its likeness that err least. Raises Cancelled.

        `base` is fitted to all rows: it is the same for whatever is tried.
        """
        kept, out = self._turns[0]
        known, target = self.inputs.take(kept), self.target[kept]
        bend = base.bend(known)

        def error(families: Sequence[Sequence[Term]]) -> float:
            tried = replace(plan, terms=merged(families))
            found = fit_interaction(tried, known, target, bend, self.should_stop, rough=True)
            return self._error(replace(base, interaction=found), out)

        families: list[tuple[Term, ...]] = [(term,) for term in plan.terms]
        families += [scaled(family, _FAMILY_SHARE) for family in _families(plan)]
        least = error(families)
        for step in _STEPS:
            before = least
            for place, family in enumerate(families):
                weight = sum(term.weight for term in family)
                for factor in (step, 1 / step):
                    tried = [*families]
                    tried[place] = scaled(family, factor * weight)
                    found = error(tried)
                    if found < _WORTHWHILE * least:
                        families, least = tried, found
                        break
            if least > _ENOUGH * before:
                break
        return replace(plan, terms=merged(families))

    def _error(self, location: Location, out: Integers) -> float:
        off = np.abs(self.target[out] - location.untreed(self.inputs.take(out)))
        return float(np.minimum(off, _WORST).mean())


def floor_of_settings(parts: Parts, plan: Plan, inputs: InputMap) -> Parts:
    """Return the parts with a floor in which what runs has no part, only where it runs."""
    own = plan.subject_numbers
    width = len(inputs.mean)
    raw = width + np.flatnonzero(np.isin(inputs.log_columns, own))
    missing = width + len(inputs.log_columns) + np.flatnonzero(np.isin(parts.floor.missing, own))
    numbers = tuple(np.concatenate([own, raw, missing]).tolist())
    categories = (plan.subject, *plan.shared)
    return parts.restrained(Restraint(categories, numbers))


def merged(families: Sequence[Sequence[Term]]) -> tuple[Term, ...]:
    """Return the terms of all families, those that are alike as one, with weights adding to 1."""
    found: dict[tuple[tuple[int, ...], float | None, float], Term] = {}
    for term in (term for family in families for term in family):
        key = (term.same, term.reach, term.otherwise)
        before = found[key].weight if key in found else 0.0
        found[key] = replace(term, weight=before + term.weight)
    return scaled([*found.values()], 1.0)


def _families(plan: Plan) -> list[list[Term]]:
    """Return what settings may have in common: anything, one thing, two, facts, or both."""
    count = len(plan.setting_categories) + len(plan.setting_flags)
    pairs = [(one, other) for other in range(count) for one in range(other)]
    found = [
        [Term(())],
        [Term((place,)) for place in range(count)],
        [Term(pair) for pair in pairs],
    ]
    if len(plan.setting_numbers):
        found += [[Term((), _NEAR)], [Term((), _FAR)]]
        found.append([Term((place,), _FAR) for place in range(count)])
    return [family for family in found if family]
