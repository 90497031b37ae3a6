"""Outcomes: equally likely, as the forecasts say, and tied where the schema ties them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foretell.columns import Column
from foretell.decide.comparing import pareto_front, probability_best, probability_less
from foretell.decide.decider import ERROR_CORRELATION, Decider
from foretell.decide.outcomes import OUTERMOST, Outcomes, Strata, levels_of, strata_for
from foretell.decide.risk import tail_weights
from foretell.forecast import QuantileTables
from tests.lab import HARDWARE, lab_schema


@pytest.fixture(scope="module")
def outcomes(decider: Decider) -> Outcomes:
    """What may happen on each hardware at batch size 1."""
    predictor = decider.predictor
    columns: dict[str, Column] = {"hardware": list(HARDWARE), "batch_size": [1.0] * len(HARDWARE)}
    encoded = predictor.encoder.encode_columns(columns, len(HARDWARE))
    forecasts = predictor.forecast(encoded).forecasts
    return Strata(predictor.schema).outcomes(forecasts, ERROR_CORRELATION)


def test_sorted_outcomes_are_the_quantiles_of_the_forecast(outcomes: Outcomes) -> None:
    """Each metric's outcomes are its own quantiles, in the middle of every stratum."""
    levels = np.clip(levels_of(outcomes.count), OUTERMOST, 1 - OUTERMOST)
    for name in outcomes.forecasts.metric_names:
        m = outcomes.forecasts.metric_index(name)
        expected = outcomes.forecasts.quantiles(levels[::97].tolist())[:, m]
        np.testing.assert_allclose(np.sort(outcomes.metric(name))[:, ::97], expected, rtol=1e-9)


def test_residuals_of_strata_are_those_of_the_tables() -> None:
    """Strata and quantile tables interpolate alike, in the tails too."""
    rng = np.random.default_rng(3)
    values = np.sort(rng.normal(size=(2, 4, 5)), axis=2)
    tables = QuantileTables(np.array([0.05, 0.2, 0.5, 0.8, 0.9]), values)
    grid = Strata(lab_schema()).residuals(tables, 256, 1e-9)
    for s, level in enumerate(levels_of(256)):
        np.testing.assert_allclose(grid[:, :, s], tables.at(float(level)), rtol=1e-12)


@pytest.mark.parametrize(("draws", "end"), [(10_000, OUTERMOST), (9, 0.1), (1, 0.25)])
def test_what_few_draws_cannot_tell_counts_as_what_they_can(draws: int, end: float) -> None:
    """A table that rests on nine models knows nothing of what one in a hundred does."""
    rng = np.random.default_rng(3)
    levels, values = np.array([0.01, 0.1, 0.5, 0.9, 0.99]), np.sort(rng.normal(size=(2, 4, 5)))
    tables = QuantileTables(levels, values, draws=np.array([10_000, draws]))
    usual = Strata(lab_schema()).residuals(tables, 256, OUTERMOST)
    np.testing.assert_allclose(usual[1, :, 0], tables.at(end)[1], rtol=1e-12)
    np.testing.assert_allclose(usual[1, :, -1], tables.at(1 - end)[1], rtol=1e-12)
    np.testing.assert_allclose(usual[0, :, 0], tables.at(OUTERMOST)[0], rtol=1e-12)
    asked = Strata(lab_schema()).residuals(tables, 256, 0.005)
    np.testing.assert_allclose(asked[1, :, 0], tables.at(0.005)[1], rtol=1e-12)


def test_linked_metrics_happen_together(outcomes: Outcomes) -> None:
    """In every outcome, throughput and latency keep their identity."""
    product = outcomes.metric("throughput_per_s") * outcomes.metric("latency_ms")
    np.testing.assert_allclose(product, 1000.0, rtol=1e-5)


def test_two_rows_share_the_part_of_their_error_that_is_assumed(outcomes: Outcomes) -> None:
    """Errors of two rows correlate by about what is assumed, and not more."""
    logs = np.log(outcomes.metric("latency_ms"))
    found = np.corrcoef(logs)[0, 1]
    assert found == pytest.approx(ERROR_CORRELATION, abs=0.1)


def test_fewer_rows_are_cut_more_finely() -> None:
    """The work for a decision is bounded, and never too coarse."""
    counts = [strata_for(rows) for rows in (1, 10, 50, 1000, 10_000)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] >= 256


@given(st.floats(0, 0.99), st.integers(1, 600))
def test_tail_weights_are_a_mean(risk: float, count: int) -> None:
    """Whatever the risk, the weights are shares of the worst outcomes and add up to one."""
    weights = tail_weights(count, risk)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()
    assert (np.diff(weights) >= -1e-12).all()


@given(arrays(np.float64, (6, 2), elements=st.integers(0, 5).map(float)))
def test_the_front_is_exactly_what_nothing_dominates(losses: np.ndarray) -> None:
    """A row is off the front if, and only if, some other row dominates it."""
    front = pareto_front(losses)
    for i, row in enumerate(losses):
        beaten = ((losses <= row).all(axis=1) & (losses < row).any(axis=1)).any()
        assert front[i] == (not beaten)


def test_ties_are_shared() -> None:
    """Equals are the best equally often, and neither is better than the other."""
    same = np.ones((2, 8))
    assert probability_best(same).tolist() == [0.5, 0.5]
    assert probability_less(same[0], same[1]) == 0.5
