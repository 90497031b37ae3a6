"""Whether a measured run was inside what had been predicted of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from foretell.client import Interval, MetricForecast, Prediction
from foretell.demo.outcomes import (
    HeldOut,
    observation_of,
    pace_change,
    share_inside,
    typical_excess,
)
from foretell.measure import Configuration, Measurement


def run_of(outcome: str = "completed", **fields: object) -> Measurement:
    """A run of a task, with what was measured of it."""
    return Measurement(
        *("an-id", datetime(2026, 1, 1, tzinfo=UTC), "sieve", "cranelift-speed", 1000, outcome),
        **fields,  # type: ignore[arg-type]  # fields of several types
    )


def held_out(run: Measurement) -> HeldOut:
    """The run beside a prediction of 1 to 3 seconds."""
    forecast = MetricForecast(
        "duration_s", "s", 2.0, Interval(1.0, 3.0, 0.8), {}, 0.5, 1.0, False, "", {}, ()
    )
    prediction = Prediction("serverless", {"duration_s": forecast}, "v", "warm", (), (), "p-1")
    return HeldOut(Configuration.of("sieve", 1000, "cranelift-speed"), prediction, run)


@pytest.mark.parametrize(
    ("run", "inside"),
    [
        (run_of(duration_s=2.5), True),
        (run_of(duration_s=3.5), False),
        (run_of("timeout", lower_bounds={"duration_s": 4.0}), False),
        (run_of("timeout", lower_bounds={"duration_s": 2.0}), None),
        (run_of("failed"), None),
    ],
)
def test_inside_is_only_said_when_it_is_known(run: Measurement, inside: bool | None) -> None:
    """A run that was ended is outside once it was longer than the interval, else unknown."""
    assert held_out(run).inside("duration_s") is inside


def test_the_share_leaves_out_what_is_not_known() -> None:
    """Runs without a verdict count neither as inside nor as outside."""
    runs = [run_of(duration_s=2.0), run_of(duration_s=9.0), run_of("failed")]
    assert share_inside([held_out(run) for run in runs], "duration_s") == (1, 2)


def test_runs_of_a_slowed_machine_can_be_judged_at_the_earlier_pace() -> None:
    """What took half as long again is divided by that, and how far it lies from medians is said."""
    runs = [held_out(run_of(duration_s=4.2)), held_out(run_of(duration_s=5.0))]
    assert share_inside(runs, "duration_s") == (0, 2)
    assert share_inside(runs, "duration_s", longer=0.5) == (1, 2)
    assert typical_excess(runs, "duration_s") == pytest.approx(4.6 / 2 - 1)
    assert typical_excess([held_out(run_of("failed"))], "duration_s") is None


def test_an_outcome_carries_the_id_of_its_prediction() -> None:
    """What is reported back says which prediction it is the outcome of."""
    observation = held_out(run_of(duration_s=2.5, memory_kb=30_000.0)).observation()
    assert observation["prediction_id"] == "p-1"
    assert observation["metrics"] == {"duration_s": 2.5, "memory_kb": 30_000.0}


def test_a_timed_out_run_is_reported_with_its_lower_bound() -> None:
    """Metrics that were not reached are absent, not zero."""
    observation = observation_of(run_of("timeout", lower_bounds={"duration_s": 4.0}))
    assert (observation["metrics"], observation["lower_bounds"]) == ({}, {"duration_s": 4.0})
    assert observation["outcome"] == "timeout"


def test_the_machine_is_slower_when_its_yardstick_takes_longer() -> None:
    """The change is that of the medians; without a yardstick nothing is said."""
    before = [run_of(pace_s=pace) for pace in (1.0, 2.0, 3.0)]
    assert pace_change(before, [run_of(pace_s=3.0)]) == pytest.approx(0.5)
    assert pace_change(before, [run_of()]) is None
