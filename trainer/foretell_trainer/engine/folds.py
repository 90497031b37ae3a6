"""Folds: which rows are left out together, so that every regime has out-of-fold residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell_trainer.engine.inputs import Integers


@dataclass(frozen=True)
class FoldKind:
    """One way of leaving rows out: `fold` is [n], the fold that leaves the row out."""

    name: str
    fold: Integers
    count: int


def random_folds(n: int, count: int, rng: np.random.Generator) -> Integers:
    """Return folds of equal size at random, [n]."""
    folds = np.empty(n, dtype=np.int64)
    folds[rng.permutation(n)] = np.arange(n) % count
    return folds


def grouped_folds(keys: NDArray[np.int64], count: int, rng: np.random.Generator) -> Integers:
    """Return folds that keep rows of one key together, of sizes as equal as keys allow, [n]."""
    _, inverse, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    load = np.zeros(count)
    fold_of = np.empty(len(sizes), dtype=np.int64)
    # Largest first, in random order among equals, each to the lightest fold.
    for key in sorted(range(len(sizes)), key=lambda k: (-sizes[k], rng.random())):
        lightest = int(load.argmin())
        fold_of[key] = lightest
        load[lightest] += sizes[key]
    return fold_of[inverse]


def fold_kinds(
    codes: Integers,
    groups: Sequence[tuple[str, Sequence[int]]],
    *,
    random_count: int,
    grouped_count: int,
    seed: int,
) -> list[FoldKind]:
    """Return random folds, and grouped ones for each group (name, positions) with enough keys."""
    rng = np.random.default_rng(seed)
    n = len(codes)
    kinds = [FoldKind("random", random_folds(n, random_count, rng), random_count)]
    for name, members in groups:
        keys = _keys(codes[:, list(members)])
        count = min(grouped_count, len(np.unique(keys)))
        if count >= 2:
            kinds.append(FoldKind(name, grouped_folds(keys, count, rng), count))
    return kinds


def _keys(codes: Integers) -> NDArray[np.int64]:
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)
