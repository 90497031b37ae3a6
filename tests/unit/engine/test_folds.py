"""Folds: rows that belong together are left out together."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from foretell_trainer.engine.folds import (
    few_shot_folds,
    fold_kinds,
    grouped_folds,
    part_folds,
    random_folds,
)

keys = st.lists(st.integers(0, 30), min_size=1, max_size=300).map(np.array)


@given(keys, st.integers(2, 6), st.integers(0, 2**31))
def test_grouped_folds_keep_groups_together(rows: np.ndarray, count: int, seed: int) -> None:
    """All rows of one key are in one fold, and no fold has a number that is too high."""
    folds = grouped_folds(rows, count, np.random.default_rng(seed))
    assert all(len(set(folds[rows == key].tolist())) == 1 for key in set(rows.tolist()))
    assert set(folds.tolist()) <= set(range(count))


@given(keys, st.integers(2, 6), st.integers(0, 2**31))
def test_grouped_folds_are_balanced(rows: np.ndarray, count: int, seed: int) -> None:
    """Two folds never differ by more rows than the largest key has."""
    folds = grouped_folds(rows, count, np.random.default_rng(seed))
    load = np.bincount(folds, minlength=count)
    assert load.max() - load.min() <= np.bincount(rows).max()


@given(st.integers(1, 300), st.integers(2, 6), st.integers(0, 2**31))
def test_random_folds_are_of_equal_size(n: int, count: int, seed: int) -> None:
    """Random folds differ by at most one row."""
    load = np.bincount(random_folds(n, count, np.random.default_rng(seed)), minlength=count)
    assert load.max() - load.min() <= 1


def test_kinds_of_folds_follow_the_groups() -> None:
    """There is one kind per group with several keys; a group of one key cannot be left out."""
    codes = np.array([[i % 7, 0, i % 2] for i in range(70)])
    groups = [("task", [0]), ("constant", [1]), ("half", [2]), ("task/half", [0, 2])]
    kinds = fold_kinds(codes, groups, random_count=5, grouped_count=3, seed=0)
    assert {kind.name: kind.count for kind in kinds} == {
        "random": 5,
        "task": 3,
        "few of task": 3,
        "half": 2,
        "few of half": 2,
        "task/half": 3,
    }
    for kind in kinds:
        always_kept = {-1} if kind.name.startswith("few of") else set()
        assert set(kind.fold.tolist()) == set(range(kind.count)) | always_kept


def test_folds_are_those_of_the_seed() -> None:
    """The same seed leaves the same rows out."""
    codes = np.array([[i % 7] for i in range(70)])
    one, same, other = (
        fold_kinds(codes, [("task", [0])], random_count=5, grouped_count=3, seed=seed)
        for seed in (1, 1, 2)
    )
    assert all((a.fold == b.fold).all() for a, b in zip(one, same, strict=True))
    assert (one[0].fold != other[0].fold).any()


def test_few_shot_folds_leave_out_all_of_a_key_but_a_few_rows() -> None:
    """Of each key one to three rows are always kept; the others are left out together."""
    keys = np.repeat(np.arange(9), 11)
    rng = np.random.default_rng(4)
    folds = few_shot_folds(keys, grouped_folds(keys, 3, rng), rng)
    for key in range(9):
        own = folds[keys == key]
        assert 1 <= (own == -1).sum() <= 3
        assert len(set(own[own >= 0])) == 1
    assert set(folds) == {-1, 0, 1, 2}


def test_part_folds_keep_five_rows_to_a_quarter_of_each_key() -> None:
    """How many rows are kept differs between keys by orders of magnitude."""
    sizes = np.repeat([12, 4000], [5, 60])
    keys = np.repeat(np.arange(len(sizes)), sizes)
    rng = np.random.default_rng(4)
    folds = part_folds(keys, grouped_folds(keys, 3, rng), rng)
    kept = np.bincount(keys[folds == -1])
    assert (kept[:5] == 5).all()
    assert (kept >= 5).all()
    assert (kept <= 1000).all()
    assert (kept[5:] < 60).sum() > 10
    assert (kept[5:] > 300).sum() > 5
    for key in range(len(sizes)):
        assert len(set(folds[(keys == key) & (folds >= 0)])) == 1


def test_parts_are_kept_of_few_ids_with_many_rows() -> None:
    """A machine may be known by far fewer rows than the others; of many models each is."""
    codes = np.array([[i % 5, i % 90, i % 3] for i in range(1800)])
    groups = [("node", [0]), ("model", [1]), ("lone", [2]), ("model/node", [1, 0])]
    kinds = fold_kinds(codes, groups, random_count=5, grouped_count=3, seed=0)
    names = [kind.name for kind in kinds]
    assert [name for name in names if name.startswith("part of")] == ["part of node"]
    (part,) = (kind for kind in kinds if kind.name == "part of node")
    assert part.few
    assert part.whole is not None
    assert part.member == 0
