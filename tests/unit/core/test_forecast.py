"""Forecasts: one monotone distribution, from which every answer follows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foretell.errors import InvalidInput, NotFound
from foretell.forecast import Forecasts, QuantileTables

LEVELS = np.array([0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99])
TABLES, METRICS = 3, 2

probabilities = st.floats(1e-6, 1 - 1e-6)


@st.composite
def tables(draw: st.DrawFn, *, strict: bool = True) -> QuantileTables:
    """Draw tables; strictly increasing ones have an exact inverse, others may have steps."""
    smallest = 0.01 if strict else 0.0
    steps = draw(
        arrays(np.float64, (TABLES, METRICS, len(LEVELS)), elements=st.floats(smallest, 2))
    )
    start = draw(arrays(np.float64, (TABLES, METRICS, 1), elements=st.floats(-5, 0)))
    return QuantileTables(LEVELS, start + np.cumsum(steps, axis=2))


@st.composite
def forecasts(draw: st.DrawFn, *, strict: bool = True, rows: int | None = None) -> Forecasts:
    """Draw forecasts of a log and a linear metric, with tables mixed over rows and metrics."""
    n = rows or draw(st.integers(1, 30))
    matrix = (n, METRICS)
    return Forecasts(
        metric_names=("duration_s", "score"),
        log=np.array([True, False]),
        location=draw(arrays(np.float64, matrix, elements=st.floats(-3, 3))),
        scale=draw(arrays(np.float64, matrix, elements=st.floats(0.01, 3))),
        table=draw(arrays(np.int64, matrix, elements=st.integers(0, TABLES - 1))),
        tables=draw(tables(strict=strict)),
        support=np.full(n, 0.5),
    )


@given(forecasts(strict=False), probabilities, probabilities)
def test_quantiles_never_cross(forecast: Forecasts, one: float, other: float) -> None:
    """A higher level never has a lower quantile, beyond the outermost levels included."""
    low, high = sorted((one, other))
    assert np.all(forecast.quantile(low) <= forecast.quantile(high))


@given(forecasts(), probabilities)
def test_probability_inverts_the_quantile(forecast: Forecasts, level: float) -> None:
    """P(metric <= quantile q) is q, for every metric and row."""
    ends = forecast.quantile(level)
    for m, name in enumerate(forecast.metric_names):
        np.testing.assert_allclose(
            forecast.probability_within(name, ends[:, m]), level, rtol=1e-6, atol=1e-9
        )


@given(forecasts(strict=False), probabilities)
def test_where_the_distribution_has_steps_probability_is_at_least_the_level(
    forecast: Forecasts, level: float
) -> None:
    """With several quantiles in one point, the probability of that point is the highest's."""
    quantile = forecast.quantile(level)
    ends = quantile + 1e-9 * (1 + np.abs(quantile))  # exp() and log() round at the very step
    for m, name in enumerate(forecast.metric_names):
        assert np.all(forecast.probability_within(name, ends[:, m]) >= level - 1e-6)


@given(forecasts(strict=False), st.floats(0.01, 50), st.floats(0.01, 50))
def test_probability_never_falls(forecast: Forecasts, one: float, other: float) -> None:
    """A longer deadline is met with at least the same probability, and both lie in [0, 1]."""
    low, high = sorted((one, other))
    for name in forecast.metric_names:
        shorter = forecast.probability_within(name, low)
        longer = forecast.probability_within(name, high)
        assert np.all((shorter >= 0) & (shorter <= longer) & (longer <= 1))


@given(forecasts(), st.floats(0.001, 1000), probabilities)
def test_units_scale(forecast: Forecasts, factor: float, level: float) -> None:
    """In another unit every answer of a log metric is the same, times the factor."""
    moved = Forecasts(
        forecast.metric_names,
        forecast.log,
        forecast.location + np.array([math.log(factor), 0.0]),
        forecast.scale,
        forecast.table,
        forecast.tables,
        forecast.support,
    )
    expected = forecast.quantile(level)[:, 0] * factor
    np.testing.assert_allclose(moved.quantile(level)[:, 0], expected, rtol=1e-9)
    np.testing.assert_allclose(
        moved.confidence()[:, 0], forecast.confidence()[:, 0], rtol=1e-6, atol=1e-9
    )
    limit = forecast.median()[:, 0] * 1.1
    np.testing.assert_allclose(
        moved.probability_within("duration_s", limit * factor),
        forecast.probability_within("duration_s", limit),
        rtol=1e-6,
        atol=1e-9,
    )


@given(forecasts(rows=40))
def test_one_row_and_many_rows_agree(forecast: Forecasts) -> None:
    """A row's answers are the same alone and among others."""
    whole = forecast.confidence(0.3), forecast.probability_within("score", 1.0)
    for row in range(0, len(forecast), 7):
        alone = forecast.take(slice(row, row + 1))
        np.testing.assert_allclose(alone.confidence(0.3)[0], whole[0][row], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            alone.probability_within("score", 1.0)[0], whole[1][row], rtol=1e-9, atol=1e-12
        )


@given(forecasts(), st.floats(0.01, 0.99))
def test_interval_holds_its_level(forecast: Forecasts, level: float) -> None:
    """The central interval has the probability that was asked for, half of the rest each side."""
    lower, upper = forecast.interval(level)
    for m, name in enumerate(forecast.metric_names):
        below = forecast.probability_within(name, lower[:, m])
        within = forecast.probability_within(name, upper[:, m]) - below
        np.testing.assert_allclose(within, level, rtol=1e-6)
        np.testing.assert_allclose(below, (1 - level) / 2, rtol=1e-6)


@given(forecasts(), st.floats(0.05, 2.0))
def test_confidence_is_the_probability_of_being_near(forecast: Forecasts, tolerance: float) -> None:
    """Confidence is P(|actual - median| <= tolerance * median), read from the distribution."""
    medians, confidence = forecast.median(), forecast.confidence(tolerance)
    for m, name in enumerate(forecast.metric_names):
        reach = tolerance * np.abs(medians[:, m])
        expected = forecast.probability_within(
            name, medians[:, m] + reach
        ) - forecast.probability_within(name, medians[:, m] - reach)
        np.testing.assert_allclose(confidence[:, m], expected, atol=1e-12)
    assert np.all(forecast.confidence(tolerance * 2) >= confidence - 1e-12)


@given(forecasts(), st.floats(0.1, 10), st.floats(0.1, 10))
def test_reservation_costs_least(forecast: Forecasts, under: float, over: float) -> None:
    """The reservation is the quantile at under / (under + over)."""
    reserved = forecast.reservation("duration_s", under, over)
    np.testing.assert_array_equal(reserved, forecast.quantile(under / (under + over))[:, 0])


def test_reservation_minimises_the_expected_cost() -> None:
    """Over draws from the distribution, no other amount is cheaper on average."""
    forecast = normal(rows=1)
    draws = np.concatenate(
        [forecast.quantile(q)[:, 0] for q in np.linspace(0.0005, 0.9995, 1000).tolist()]
    )

    def cost(amount: float) -> float:
        short, idle = np.maximum(draws - amount, 0), np.maximum(amount - draws, 0)
        return float(np.mean(5 * short + idle))

    best = float(forecast.reservation("m", under_cost=5, over_cost=1)[0])
    assert all(cost(best) <= cost(best * factor) + 1e-9 for factor in (0.5, 0.8, 0.95, 1.05, 1.5))


def normal(rows: int = 2) -> Forecasts:
    """Return forecasts of a log metric whose log has mean 1 and whose spread is 0.5."""
    z = np.array([-2.326, -1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645, 2.326])
    return Forecasts(
        ("m",),
        np.array([True]),
        np.ones((rows, 1)),
        np.full((rows, 1), 0.5),
        np.zeros((rows, 1), dtype=np.int64),
        QuantileTables(LEVELS, z[None, None]),
        np.ones(rows),
    )


def test_answers_worked_out_by_hand() -> None:
    """Median, quantiles and probabilities of a log-normal are what a table of it says."""
    forecast = normal()
    assert forecast.median() == pytest.approx(np.full((2, 1), math.e))
    assert forecast.quantile(0.9)[0, 0] == pytest.approx(math.exp(1 + 0.5 * 1.282))
    assert forecast.probability_within("m", math.exp(1 - 0.5 * 1.645)) == pytest.approx([0.05] * 2)
    assert forecast.quantiles([0.1, 0.9]).shape == (2, 1, 2)


def test_what_is_on_a_log_scale_is_above_zero() -> None:
    """P(metric <= 0) is 0 on a log scale, and no warning is given."""
    forecast = normal()
    assert forecast.probability_within("m", [0.0, -1.0]).tolist() == [0.0, 0.0]
    assert forecast.probability_within("m", math.inf).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_a_level_is_a_probability(level: float) -> None:
    """Levels outside (0, 1), and NaN, are refused with their value."""
    with pytest.raises(InvalidInput, match="not a probability"):
        normal().quantile(level)
    with pytest.raises(InvalidInput, match="not a probability"):
        normal().interval(level)


def test_questions_that_make_no_sense_are_refused() -> None:
    """Costs and tolerances are above 0, limits are numbers, metrics exist."""
    forecast = normal()
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(InvalidInput):
            forecast.reservation("m", wrong, 1)
        with pytest.raises(InvalidInput):
            forecast.confidence(wrong)
    with pytest.raises(InvalidInput):
        forecast.probability_within("m", math.nan)
    with pytest.raises(NotFound, match="known: m"):
        forecast.probability_within("q", 1)


@pytest.mark.parametrize(
    ("levels", "values"),
    [
        ([0.5], [[[0.0]]]),
        ([0.5, 0.4], [[[0.0, 1.0]]]),
        ([0.0, 0.5], [[[0.0, 1.0]]]),
        ([0.1, 0.9], [[[1.0, 0.0]]]),
        ([0.1, 0.9], [[[0.0, math.nan]]]),
        ([0.1, 0.9], [[[0.0, 1.0, 2.0]]]),
    ],
)
def test_tables_that_are_not_monotone_are_refused(
    levels: list[float], values: list[list[list[float]]]
) -> None:
    """A table must have increasing levels and values that do not decrease."""
    with pytest.raises(ValueError, match="quantile"):
        QuantileTables(np.array(levels), np.array(values))
