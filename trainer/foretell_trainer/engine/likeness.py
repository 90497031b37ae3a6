"""Likeness: how much one setting says about another, learnt from subjects that were in both.

What two settings have in common is the same category, facts near each other, or several of these
at once. How much each of these counts is a regression of products of residuals on them (Haseman
and Elston, Behavior Genetics 1972): for two settings, the mean over the subjects seen in both.
Weights are not negative, so that their sum is a covariance, for settings never seen too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import scipy.optimize

from foretell_trainer.engine.inputs import Floats, Integers

_REACHES = (0.3, 2.0, 8.0)
"""Facts are near one another to exp(-gap / reach)."""
_LEAST_WEIGHT = 0.01
_OWN_WEIGHT = 0.1
"""What a setting has in common with nothing but itself, as a share of the rest."""


@dataclass(frozen=True)
class Term:
    """One thing that two settings may have in common."""

    same: tuple[int, ...]
    """The places, among categories and then flags, that have to agree."""
    reach: float | None = None
    """How far facts may be apart; None where they do not count."""
    weight: float = 1.0
    otherwise: float = 0.0
    """What each place that does not agree leaves of the term, as a factor."""

    def values(self, same: Sequence[Floats], gaps: Floats | None) -> Floats | float:
        """Return how much is in common, before the weight, [n, S]."""
        found: Floats | float = 1.0
        for place in self.same:
            found = found * np.where(same[place] > 0, 1.0, self.otherwise)
        if self.reach is None or gaps is None:
            return found
        return np.asarray(found * np.exp(-gaps / self.reach))


def learn_terms(
    same: Sequence[Floats], gaps: Floats | None, sums: Floats, weights: Floats
) -> tuple[Term, ...]:
    """Return the terms that explain how residuals of one subject go together, weights adding to 1.

    `same` and `gaps` are [S, S]; `sums` and `weights` are [subjects, S]: residuals times their
    weights, and the weights. Empty where nothing goes together.
    """
    terms = _candidates(len(same), with_gaps=gaps is not None)
    products, behind = sums.T @ sums, weights.T @ weights
    apart = ~np.eye(len(behind), dtype=bool) & (behind > 0)
    if apart.sum() < len(terms):
        return ()
    roots = np.sqrt(behind[apart])
    columns = [np.broadcast_to(t.values(same, gaps), behind.shape)[apart] * roots for t in terms]
    found, _ = scipy.optimize.nnls(np.column_stack(columns), products[apart] / roots)
    total = float(found.sum())
    if total <= 0:
        return ()
    kept = [(t, w) for t, w in zip(terms, found / total, strict=True) if w > _LEAST_WEIGHT]
    whole = sum(w for _, w in kept) + _OWN_WEIGHT
    own = Term(tuple(range(len(same))), None, _OWN_WEIGHT / whole)
    return (*(Term(t.same, t.reach, float(w / whole)) for t, w in kept), own)


def scaled(terms: Sequence[Term], total: float) -> tuple[Term, ...]:
    """Return the terms with weights that add to `total`."""
    factor = total / sum(term.weight for term in terms)
    return tuple(replace(term, weight=float(factor * term.weight)) for term in terms)


def blended(terms: Sequence[Term], same: Sequence[Floats], gaps: Floats | None) -> Floats:
    """Return the weighted sum of the terms, [n, S]; there is at least one of `same`."""
    total = np.zeros_like(same[0])
    for term in terms:
        total += term.weight * term.values(same, gaps)
    return total


def _candidates(count: int, *, with_gaps: bool) -> list[Term]:
    singles = [(i,) for i in range(count)]
    reaches = [None, *(_REACHES if with_gaps else ())]
    found = [Term(same, reach) for same in ((), *singles) for reach in reaches]
    return [*found, *(Term(pair) for pair in combinations(range(count), 2))]


def mean_products(
    subjects: Integers, settings: Integers, count: int, residual: Floats, weights: Floats
) -> tuple[Floats, Floats]:
    """Return per subject and setting the sums of weighted residuals and of weights."""
    place = np.unique(subjects, return_inverse=True)[1].reshape(-1)
    cells = place * count + settings
    shape = (int(place.max()) + 1, count)
    size = shape[0] * shape[1]
    sums = np.bincount(cells, residual * weights, size).astype(np.float64)
    behind = np.bincount(cells, weights, size).astype(np.float64)
    return sums.reshape(shape), behind.reshape(shape)
