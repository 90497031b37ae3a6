"""Folds: which rows are left out together, so that every regime has out-of-fold residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell_trainer.engine.inputs import Integers

MOST_KEPT = 3
"""How many rows of a key a few-shot fold keeps at most."""

_MOST_PART = 0.25
"""The largest share of a key's rows that a fold of parts keeps."""
_FEWEST_IN_PART = 5
_MANY_ROWS, _FEW_KEYS = 100, 40
"""Of so few keys with so many rows, each may be known by far fewer rows than the others."""

_FEW = 2000


@dataclass(frozen=True)
class FoldKind:
    """One way of leaving rows out: `fold` is [n], the fold that leaves the row out, or -1."""

    name: str
    fold: Integers
    count: int
    few: bool = False
    """Whether a few rows of what is left out are kept."""
    member: int = -1
    """The category whose rows are left out together; -1 for rows and pairs."""
    partly: bool = False
    """Whether a larger part of what is left out is kept."""
    whole: Integers | None = None
    """[n]: of a few-shot kind, the folds with the rows that are kept."""


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
    pair_count: int | None = None,
    seed: int,
) -> list[FoldKind]:
    """Return random folds, and grouped ones for each group (name, positions) with enough keys.

    An id comes twice: once with all of its rows left out, and once with all but a few; of few ids
    with many rows each, which others meet in pairs, there is a third kind that keeps part of the
    rows. Pairs have `pair_count` folds, by default as many as ids.
    """
    rng = np.random.default_rng(seed)
    n = len(codes)
    kinds = [FoldKind("random", random_folds(n, random_count, rng), random_count)]
    for name, members in groups:
        keys = _keys(codes[:, list(members)])
        wanted = grouped_count if len(members) == 1 else pair_count or grouped_count
        count = min(wanted, len(np.unique(keys)))
        if count >= 2:
            whole = grouped_folds(keys, count, rng)
            member = members[0] if len(members) == 1 else -1
            kinds.append(FoldKind(name, whole, count, member=member))
            if member >= 0:
                some = [("few", few_shot_folds(keys, whole, rng))]
                rows = np.unique(keys, return_counts=True)[1]
                meets = any(member in others for _, others in groups if len(others) > 1)
                if meets and len(rows) <= _FEW_KEYS and np.median(rows) >= _MANY_ROWS:
                    some.append(("part", part_folds(keys, whole, rng)))
                for share, found in some:
                    folds = _with_rows(found)
                    left = int(folds.max()) + 1
                    if left >= 1:
                        about, partly = f"{share} of {name}", share == "part"
                        kinds.append(FoldKind(about, folds, left, True, member, partly, whole))
    return kinds


def _with_rows(folds: Integers) -> Integers:
    """Return folds without those that nothing is left of: ids with a row or two keep them all."""
    return np.unique(np.append(folds, -1), return_inverse=True)[1][:-1].astype(np.int64) - 1


def few_shot_folds(keys: NDArray[np.int64], folds: Integers, rng: np.random.Generator) -> Integers:
    """Return grouped folds but for one to three rows of each key, which have the fold -1, [n]."""
    order = rng.permutation(len(keys))
    kept = rng.integers(1, MOST_KEPT + 1, len(np.unique(keys)))
    return _but_for(keys, folds, order, kept)


def part_folds(keys: NDArray[np.int64], folds: Integers, rng: np.random.Generator) -> Integers:
    """Return grouped folds but for five rows to a quarter of each key, which have -1, [n].

    How many is as likely to be from five to ten as from fifty to a hundred.
    """
    most = np.unique(keys, return_counts=True)[1] * _MOST_PART
    widest = np.log(np.maximum(most, _FEWEST_IN_PART) / _FEWEST_IN_PART)
    kept = _FEWEST_IN_PART * np.exp(rng.random(len(most)) * widest)
    return _but_for(keys, folds, rng.permutation(len(keys)), kept.astype(np.int64))


def _but_for(keys: NDArray[np.int64], folds: Integers, order: Integers, kept: Integers) -> Integers:
    """Return the folds but for the first `kept` rows of each key, by `order`, which have -1."""
    _, inverse = np.unique(keys, return_inverse=True)
    # The place of each row among its key's rows, in random order.
    by_key = order[np.argsort(inverse[order], kind="stable")]
    starts = np.searchsorted(inverse[by_key], np.arange(inverse.max() + 1))
    place = np.empty(len(keys), dtype=np.int64)
    place[by_key] = np.arange(len(keys)) - starts[inverse[by_key]]
    return np.where(place < kept[inverse], -1, folds)


def _keys(codes: Integers) -> NDArray[np.int64]:
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)


def turns(count: int, most: int, seed: int) -> list[tuple[Integers, Integers]]:
    """Return rows to learn from and rows to be predicted, of at most so many rows.

    A quarter is predicted; of few rows each quarter in turn, for one alone says little.
    """
    rng = np.random.default_rng(seed)
    tried = np.sort(rng.permutation(count)[:most])
    folds = random_folds(len(tried), 4, rng)
    used = range(4 if len(tried) < _FEW else 1)
    return [(tried[folds != fold], tried[folds == fold]) for fold in used]
