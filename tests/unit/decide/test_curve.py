"""Curves: bands, knees, the best point under a limit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.decide import Curve, Decider, Limit, Objective, Term
from foretell.decide.curve import knee
from foretell.schema import Metric

THROUGHPUT = Objective((Term("throughput_per_s"),))


def test_a_curve_has_bands_of_the_level_asked_for(decider: Decider) -> None:
    """Each metric has its median and interval at every point."""
    question = Curve({"hardware": "old"}, "batch_size", (1.0, 4.0, 16.0), interval_level=0.9)
    latency = decider.curve(question).metrics[0]
    np.testing.assert_allclose(latency.median, [40.0, 80.0, 160.0], rtol=1e-5)
    np.testing.assert_allclose(latency.upper / latency.median, math.exp(0.1645), rtol=1e-4)


def test_a_range_is_spaced_on_the_feature_s_scale(decider: Decider) -> None:
    """A log feature is swept in equal ratios, its ends included."""
    values = decider.curve(Curve({"hardware": "old"}, "batch_size", start=1, stop=256, points=9))
    np.testing.assert_allclose(values.values, 2.0 ** np.arange(9))


def test_a_range_of_whole_numbers_has_no_others(decider: Decider) -> None:
    """A batch of 107.6 is none: between whole ends only whole points are swept, each once."""
    counted = decider.curve(Curve({"hardware": "old"}, "batch_size", start=1, stop=512)).values
    assert (counted[0], counted[-1]) == (1, 512)
    assert len(counted) > 20
    assert (counted == np.unique(np.rint(counted))).all()
    dense = decider.curve(Curve({"hardware": "old"}, "batch_size", start=1, stop=4, points=7))
    assert len(dense.values) == 7


def test_the_best_point_keeps_the_limit_with_its_probability(decider: Decider) -> None:
    """The largest batch whose 95 % quantile of latency is below the limit is the best."""
    question = Curve(
        {"hardware": "fast"},
        "batch_size",
        tuple(float(b) for b in range(1, 65)),
        objective=THROUGHPUT,
        limits=(Limit("latency_ms", at_most=50.0),),
    )
    answer = decider.curve(question)
    largest = math.floor((50.0 / 10.0 / math.exp(1.645 * 0.05)) ** 2)
    assert answer.best is not None
    assert answer.best.value == largest
    assert answer.keeps == tuple(b <= largest for b in range(1, 65))
    assert answer.holds[answer.best.index] >= 0.95


def test_no_point_within_the_limit_is_said(decider: Decider) -> None:
    """Without a feasible point there is no best one, and the limit is named."""
    limits = (Limit("latency_ms", at_most=1.0),)
    question = Curve({"hardware": "fast"}, "batch_size", (1.0, 2.0), None, None, 0, THROUGHPUT)
    answer = decider.curve(
        Curve(question.features, "batch_size", (1.0, 2.0), objective=THROUGHPUT, limits=limits)
    )
    assert answer.best is None
    assert "latency_ms <= 1 ms" in answer.why


@given(st.floats(4.0, 64.0))
def test_the_knee_of_a_saturating_throughput_is_where_half_is_reached(half: float) -> None:
    """T = b / (b + c) bends at c, and so does its latency."""
    batch = np.geomspace(0.25, 1024, 60)
    throughput = batch / (batch + half)
    for y, direction in ((throughput, "higher"), (batch / throughput, "lower")):
        metric = Metric(name="m", direction=direction)  # type: ignore[arg-type]  # parametrised
        assert knee(batch, y, metric) == pytest.approx(half, rel=0.1)


def test_a_straight_line_has_no_knee(decider: Decider) -> None:
    """What grows in proportion, or by a constant power, does not bend."""
    answer = decider.curve(Curve({"hardware": "old"}, "batch_size", start=1, stop=256))
    knees = {m.metric: m.knee for m in answer.metrics}
    assert math.isnan(knees["memory_mb"])
    assert math.isnan(knees["power_w"])
