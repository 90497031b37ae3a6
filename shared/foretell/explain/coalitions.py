"""Shapley values of any function of two rows: which of the differences does how much.

Interventional Shapley values (Lundberg and Lee 2017; Janzing et al. 2020): the value of a set of
features is the function of the item with all other features taken from a background row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Masks = NDArray[np.bool_]
"""[m, d]: which of d features are the item's own; the others are the background row's."""
Weights = NDArray[np.float64]
"""[d, m]: what each feature's Shapley value takes of the function at each mask."""

MASKS_PER_ROW = 128
"""How many masks one background row may cost: up to 7 features that differ are exact."""


@dataclass(frozen=True, slots=True)
class Coalitions:
    """Where a function is to be asked, and how Shapley values follow from what it says."""

    masks: Masks
    weights: Weights
    exact: bool


def coalitions(features: int, rng: np.random.Generator) -> Coalitions:
    """Return coalitions of some features: all, if these are few, else those of sampled orders.

    Either way values sum up to the function at all minus the function at none.
    """
    if 2**features <= MASKS_PER_ROW:
        return _all_coalitions(features)
    return _sampled(features, rng)


@lru_cache(maxsize=16)
def _all_coalitions(d: int) -> Coalitions:
    masks = (np.arange(2**d)[:, None] >> np.arange(d) & 1).astype(bool)
    size = masks.sum(axis=1)
    # Of the d! orders, those in which a feature comes right after, or right before, the others.
    joining = np.array([math.factorial(max(s - 1, 0)) * math.factorial(d - s) for s in size])
    leaving = np.array([math.factorial(s) * math.factorial(max(d - s - 1, 0)) for s in size])
    weights = np.where(masks.T, joining, -leaving) / math.factorial(d)
    return Coalitions(masks, weights, exact=True)


def _sampled(d: int, rng: np.random.Generator) -> Coalitions:
    """Return the masks of random orders, each with its reverse: errors of the two cancel."""
    pairs = max((MASKS_PER_ROW - 2) // (2 * (d - 1)), 1)
    orders = np.array([rng.permutation(d) for _ in range(pairs)])
    orders = np.concatenate([orders, orders[:, ::-1]])
    # Features join one after the other: the place of a feature in an order is when.
    places = np.argsort(orders, axis=1)
    joined = places[:, None, :] < np.arange(d + 1)[:, None]
    masks, back = np.unique(joined.reshape(-1, d), axis=0, return_inverse=True)
    at = back.reshape(len(orders), d + 1)
    weights = np.zeros((d, len(masks)))
    for order, steps in zip(orders, at, strict=True):
        np.add.at(weights, (order, steps[1:]), 1.0)
        np.add.at(weights, (order, steps[:-1]), -1.0)
    return Coalitions(masks, weights / len(orders), exact=False)
