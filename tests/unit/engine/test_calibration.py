"""Calibration: what is asked is what comes true, on rows that the fit has never seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foretell.forecast import Forecasts
from foretell_trainer.engine.calibration import LEVELS, quantile_table, quantile_tables
from tests.unit.engine.noise import (
    FRESH,
    LAWS,
    METRICS,
    NEW_NODES,
    NEW_TASKS,
    NODES,
    ROWS,
    SETTINGS,
    TASKS,
    Noise,
)
from tests.unit.engine.synthetic import Floats

REGIMES = ("random", "unseen_pair", "unseen_task", "unseen_node")

_PAIRS = 0.7 * TASKS * NODES

KEYS = {
    # Rows of one new id stand or fall together, so ids count and not rows. The models that
    # answer are one draw, so of the rows of the random folds one fold counts.
    "random": (FRESH, ROWS / SETTINGS.random_folds),
    "unseen_pair": (TASKS * NODES - _PAIRS, _PAIRS),
    "unseen_task": (NEW_TASKS, TASKS),
    "unseen_node": (NEW_NODES, NODES),
}
"""Independent draws behind the fresh rows, and behind the quantile table that is judged."""


def margin(regime: str, level: float) -> float:
    """Return three standard errors of a mean coverage, of fresh rows and tables together."""
    fresh, known = KEYS[regime]
    return 3 * math.sqrt(level * (1 - level) * (1 / fresh + 1 / known) / LAWS)


def fresh(world: Noise, regime: str) -> tuple[Forecasts, Floats]:
    """Return the forecasts of a regime's fresh runs and what was then measured."""
    runs = getattr(world, regime)
    return runs.forecasts, runs.metrics


@pytest.mark.parametrize("metric", range(len(METRICS)), ids=METRICS)
@pytest.mark.parametrize("regime", REGIMES)
def test_intervals_cover_at_their_level(
    worlds: tuple[Noise, ...], regime: str, metric: int
) -> None:
    """Of fresh rows, known, in new pairs or of new ids, the asked share lies in the interval."""
    for level in (0.5, 0.8, 0.9, 0.95):
        shares = []
        for world in worlds:
            forecasts, actual = fresh(world, regime)
            lower, upper = (end[:, metric] for end in forecasts.interval(level))
            inside = (actual[:, metric] >= lower) & (actual[:, metric] <= upper)
            shares.append(inside.mean())
        assert np.mean(shares) == pytest.approx(level, abs=margin(regime, level)), level


@pytest.mark.parametrize("metric", range(len(METRICS)), ids=METRICS)
@pytest.mark.parametrize("regime", REGIMES)
def test_one_sided_bounds_hold(worlds: tuple[Noise, ...], regime: str, metric: int) -> None:
    """A quantile is exceeded as often as it says, high and low."""
    for level in (0.1, 0.5, 0.9, 0.98):
        below = []
        for world in worlds:
            forecasts, actual = fresh(world, regime)
            below.append((actual[:, metric] <= forecasts.quantile(level)[:, metric]).mean())
        assert np.mean(below) == pytest.approx(level, abs=margin(regime, level)), level


@pytest.mark.parametrize("metric", range(len(METRICS)), ids=METRICS)
@pytest.mark.parametrize("regime", ["random", "unseen_pair"])
def test_the_median_is_unbiased(worlds: tuple[Noise, ...], regime: str, metric: int) -> None:
    """The mean log of predicted over actual is nearly 0, however heavy the tails are."""
    biases = []
    for world in worlds:
        forecasts, actual = fresh(world, regime)
        biases.append(np.log(forecasts.median()[:, metric] / actual[:, metric]).mean())
    # Three standard errors: those of the tasks' and pairs' effects, and of the fresh rows.
    assert np.mean(biases) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("regime", ["random", "unseen_pair", "unseen_task"])
def test_confidence_is_how_often_it_is_right(worlds: tuple[Noise, ...], regime: str) -> None:
    """Among answers of about one confidence, that share lies within the tolerance."""
    asked, right = [], []
    for world in worlds:
        forecasts, actual = fresh(world, regime)
        asked.append(forecasts.confidence(0.2).ravel())
        median = forecasts.median()
        right.append((np.abs(actual - median) <= 0.2 * median).ravel())
    confidence, hit = np.concatenate(asked), np.concatenate(right)
    tenth = (confidence * 10).astype(int)
    rows = np.bincount(tenth, minlength=10)
    large = [b for b in range(10) if rows[b] >= 300]
    gaps = [abs(hit[tenth == b].mean() - confidence[tenth == b].mean()) for b in large]
    assert max(gaps) <= 0.02 + margin(regime, 0.5)
    assert np.average(gaps, weights=rows[large]) <= 0.06


def test_intervals_follow_the_noise(noise: Noise) -> None:
    """Where the noise is larger the interval is wider, and it covers in calm and noise alike."""
    forecasts, actual = fresh(noise, "random")
    load = np.array(noise.random.features["load"])
    lower, upper = (end[:, 0] for end in forecasts.interval(0.9))
    inside, width = (actual[:, 0] >= lower) & (actual[:, 0] <= upper), np.log(upper / lower)
    calm, rough = load < 0.25, load > 0.75
    assert np.median(width[rough]) > 1.5 * np.median(width[calm])
    assert inside[calm].mean() > 0.8
    assert inside[rough].mean() > 0.8


def test_cold_intervals_are_wider_than_warm_ones(noise: Noise) -> None:
    """A task that was never seen has wider intervals than one that was."""
    warm, cold = (
        np.median(np.log(np.divide(*fresh(noise, regime)[0].interval(0.8)[::-1])), axis=0)
        for regime in ("random", "unseen_task")
    )
    assert np.all(cold > 2 * warm)


residuals = st.integers(1, 400).flatmap(
    lambda n: arrays(np.float64, (n,), elements=st.floats(-50, 50))
)


@given(residuals)
def test_quantile_tables_are_monotone(values: Floats) -> None:
    """A table never decreases and never leaves the range of what was seen."""
    table = quantile_table(values)
    assert np.all(np.diff(table) >= 0)
    assert table[0] >= values.min()
    assert table[-1] <= values.max()


@given(residuals)
def test_quantile_tables_cover_their_own_rows(values: Floats) -> None:
    """At least the asked share of the rows lies on the right side of each bound."""
    table = quantile_table(values)
    for level, bound in zip(LEVELS, table, strict=True):
        if level > 0.5:
            assert (values <= bound).mean() >= min(level, 1) - 1e-9
        elif level < 0.5:
            assert (values >= bound).mean() >= 1 - level - 1e-9


@given(residuals, st.integers(2, 4))
def test_repeated_rows_do_not_change_a_table(values: Floats, times: int) -> None:
    """Rows given several times move a bound by at most one rank: the correction's rounding."""
    once, again = quantile_table(values), quantile_table(np.repeat(values, times))
    ordered = np.sort(values)
    last = len(ordered) - 1
    lowest = ordered[np.maximum(np.searchsorted(ordered, once, side="left") - 1, 0)]
    highest = ordered[np.minimum(np.searchsorted(ordered, once, side="right"), last)]
    assert np.all((again >= lowest) & (again <= highest))
    assert again[LEVELS == 0.5] == pytest.approx(once[LEVELS == 0.5])


@given(residuals, st.floats(0.01, 100))
def test_quantile_tables_scale_with_their_residuals(values: Floats, factor: float) -> None:
    """Residuals twice as large have quantiles twice as large."""
    np.testing.assert_allclose(
        quantile_table(values * factor), quantile_table(values) * factor, rtol=1e-12, atol=1e-12
    )


@given(residuals, st.integers(0, 2**31))
def test_tables_of_regimes_lie_between_their_own_and_the_pooled(values: Floats, seed: int) -> None:
    """A regime's table is its own shrunk towards all rows'; one without rows is the widest.

    Of what is not well known, both sides are the same.
    """
    regimes = np.random.default_rng(seed).integers(0, 3, len(values))
    tables = quantile_tables(values, regimes, (True, True, False, False))
    pooled = quantile_table(values)
    assert tables[2:] == pytest.approx(-tables[2:, ::-1])
    for regime in set(regimes.tolist()) - {2}:
        own = quantile_table(values[regimes == regime])
        low, high = np.minimum(own, pooled) - 1e-9, np.maximum(own, pooled) + 1e-9
        assert np.all((tables[regime] >= low) & (tables[regime] <= high))
    assert np.all(np.diff(tables, axis=1) >= -1e-12)
    known = sorted(set(regimes.tolist()))
    span = tables[:, -5] - tables[:, 4]
    assert span[3] == pytest.approx(max(span[known]))
