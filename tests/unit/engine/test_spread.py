"""Spread: an id whose errors are larger than its scale says has wider intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell_trainer.engine.calibration import LEVELS, quantile_table
from foretell_trainer.engine.inputs import Floats, Integers
from foretell_trainer.engine.seen import NEW_PAIR_TABLE, WARM_TABLE, GroupCounts, count_groups
from foretell_trainer.engine.spread import Spread, fit_spread
from tests.unit.engine.noise import NODES, TASKS, schema

ROWS = 4000


def codes(rng: np.random.Generator) -> Integers:
    """Return a task and a node for each row."""
    return np.column_stack([rng.integers(0, size, ROWS) for size in (TASKS, NODES)])


def counted(rows: Integers) -> GroupCounts:
    """Return what was seen of tasks, nodes and pairs."""
    return count_groups(schema(), (TASKS, NODES), rows)


def fitted(rows: Integers, residual: Floats, regime: int = WARM_TABLE) -> tuple[Spread, Floats]:
    """Fit the spread of rows that are all of one regime."""
    part = np.random.default_rng(1).integers(0, 4, ROWS)
    return fit_spread(counted(rows), rows, np.full(ROWS, regime), part, residual)


@pytest.mark.parametrize("regime", [WARM_TABLE, NEW_PAIR_TABLE])
def test_every_id_is_covered_alike(regime: int) -> None:
    """Nodes three times as noisy as others get their share of the width, and no row its own."""
    rng = np.random.default_rng(0)
    rows = codes(rng)
    noisy = 3.0 ** (rows[:, 1] % 2)
    residual = rng.normal(size=ROWS) * noisy
    spread, own = fitted(rows, residual, regime)
    if regime == WARM_TABLE:
        np.testing.assert_allclose(np.exp(spread.predict(rows)).std(), np.exp(own).std(), rtol=0.1)
    even = residual * np.exp(-own)
    bounds = np.interp([0.05, 0.95], LEVELS, quantile_table(even))
    inside = (even >= bounds[0]) & (even <= bounds[1])
    shares = [inside[rows[:, 1] == node].mean() for node in range(NODES)]
    assert 0.86 < min(shares) <= max(shares) < 0.94


def test_ids_that_are_alike_have_no_spread() -> None:
    """Where all ids err alike, what differs by chance is shrunk to nearly nothing."""
    rng = np.random.default_rng(3)
    rows = codes(rng)
    spread, own = fitted(rows, rng.normal(size=ROWS))
    assert np.abs(own).max() < 0.15
    assert np.abs(spread.predict(rows)).max() < 0.15


def test_what_is_not_known_has_no_spread() -> None:
    """An unknown id is as wide as all; a noisy one is wider than a quiet one."""
    rng = np.random.default_rng(4)
    rows = codes(rng)
    spread, _ = fitted(rows, rng.normal(size=ROWS) * 4.0 ** (rows[:, 1] % 2))
    quiet, noisy = spread.predict(np.array([[0, 0], [0, 1]]))
    assert noisy - quiet > 0.8
    np.testing.assert_array_equal(spread.predict(np.array([[-1, 1], [0, -1], [-1, -1]])), 0.0)


@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 2**31))
def test_few_independent_draws_widen_a_table(draws: int, each: int, seed: int) -> None:
    """The fewer pairs the rows are of, the farther out the quantiles; never crossing."""
    residual = np.random.default_rng(seed).normal(size=draws * each)
    rows, pairs = quantile_table(residual), quantile_table(residual, draws)
    assert np.all(np.diff(pairs) >= 0)
    assert np.all(pairs[LEVELS > 0.5] >= rows[LEVELS > 0.5])
    assert np.all(pairs[LEVELS < 0.5] <= rows[LEVELS < 0.5])
