"""Trees behind gates: one walk finds the ensemble that is for what is known of a row."""

from __future__ import annotations

import numpy as np
import pytest

from foretell_trainer.engine.gated import Gate, Gated
from foretell_trainer.engine.learners import grow
from foretell_trainer.engine.trees import Singles, Trees, TreeSettings


def settings(rounds: int) -> TreeSettings:
    """Return settings of small trees."""
    return TreeSettings(rounds=rounds, leaves=4, learning_rate=0.3, smallest_leaf=3)


@pytest.fixture(scope="module")
def features() -> Singles:
    """Two numbers, and two gates that are open, one of them shut, or both."""
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(400, 2))
    return np.hstack([numbers, rng.integers(0, 2, (400, 2))]).astype(np.float32)


@pytest.fixture(scope="module")
def ensembles(features: Singles) -> list[Trees]:
    """Three ensembles of different lengths that say different things."""
    numbers = features[:, :2]
    doubles = numbers.astype(np.float64)
    targets = [doubles[:, 0], 10.0 + doubles[:, 1], np.full(400, -7.0)]
    return [
        grow(numbers, target, settings(rounds))
        for target, rounds in zip(targets, (5, 9, 2), strict=True)
    ]


def test_each_row_is_answered_by_the_ensemble_of_its_first_shut_gate(
    features: Singles, ensembles: list[Trees]
) -> None:
    """The first ensemble is for open gates; the other two for the first gate and the second."""
    said = Gated(2, 2, ensembles.__getitem__).predict(features)
    alone = np.array([one.predict(features[:, :2]) for one in ensembles])
    which = np.where(features[:, 2] == 0, 1, np.where(features[:, 3] == 0, 2, 0))
    assert set(which) == {0, 1, 2}
    np.testing.assert_array_equal(said, alone[which, np.arange(400)])


def test_the_joined_trees_say_the_same(features: Singles, ensembles: list[Trees]) -> None:
    """There are as many as the longest ensemble has, and their sum is what is predicted."""
    gated = Gated(2, 2, ensembles.__getitem__)
    trees = list(gated.trees())
    assert len(trees) == max(len(list(one.trees())) for one in ensembles)
    total = np.sum([tree.predict(features) for tree in trees], axis=0)
    np.testing.assert_allclose(total, gated.predict(features), rtol=1e-6, atol=1e-6)


def test_an_ensemble_is_grown_when_it_is_asked(features: Singles, ensembles: list[Trees]) -> None:
    """Folds that leave nothing unknown pay for one ensemble, and once."""
    asked: list[int] = []

    def grown(which: int) -> Trees:
        asked.append(which)
        return ensembles[which]

    gated = Gated(2, 2, grown)
    known = features.copy()
    known[:, 2:] = 1.0
    gated.predict(known)
    gated.predict(known)
    assert asked == [0]


def test_a_gate_is_open_for_values_with_rows() -> None:
    """Unknown values, and those of a catalog that no row has, are not known."""
    gate = Gate.of(0, 4, np.array([1, 3, -1, 1]))
    assert gate.known.tolist() == [False, False, True, False, True]
