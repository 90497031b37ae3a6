"""Censored values: runs that were killed at a limit are learnt from, as longer than the limit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from foretell.predictor import Predictor
from foretell.schema import Feature, Metric, Schema
from tests.unit.engine.synthetic import Workload

Floats = NDArray[np.float64]

LIMIT = 60.0
SPREAD = 0.4

SCHEMA = Schema(
    workload="limited",
    features=(Feature(name="task", kind="category", required=True),),
    metrics=(Metric(name="duration_s"),),
    groups=(("task",),),
)
TYPICAL = {"short": 5.0, "medium": 20.0, "long": 50.0, "longer": 70.0}
"""The median duration of each task; the last two are often killed."""


def limited(seed: int = 2) -> Workload:
    """Return 300 runs of each task; those that would take longer than the limit are killed."""
    rng = np.random.default_rng(seed)
    tasks = [task for task in TYPICAL for _ in range(300)]
    truth = np.array([TYPICAL[task] for task in tasks]) * np.exp(rng.normal(0, SPREAD, 1200))
    killed = truth > LIMIT
    measured = np.where(killed, np.nan, truth)[:, None]
    reached = np.where(killed, LIMIT, np.nan)[:, None]
    return Workload(SCHEMA, {"task": tasks}, measured, lower_bounds=reached)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("limited")
    limited().train(folder)
    return Predictor.load(folder / "bundle", SCHEMA)


def test_the_median_is_not_that_of_the_runs_that_ended(predictor: Predictor) -> None:
    """A task whose median is above the limit is forecast above it, though no run shows it."""
    encoded, _ = predictor.encoder.encode_table({"task": list(TYPICAL)})
    median = predictor.forecast(encoded).forecasts.median()[:, 0]
    assert median == pytest.approx(np.array(list(TYPICAL.values())), rel=0.15)
    assert median[3] > LIMIT


def test_the_chance_of_being_killed_is_forecast(predictor: Predictor) -> None:
    """P(duration above the limit) is near how often runs were killed."""
    encoded, _ = predictor.encoder.encode_table({"task": list(TYPICAL)})
    below = predictor.forecast(encoded).forecasts.probability_within("duration_s", LIMIT)
    killed = np.isnan(limited().metrics[:, 0]).reshape(4, 300).mean(axis=1)
    assert 1 - below == pytest.approx(killed, abs=0.08)


def test_what_was_learnt_from_bounds_is_counted(tmp_path: Path) -> None:
    """The manifest says how many values are only known to be above a bound."""
    runs = limited(seed=3)
    manifest = runs.train(tmp_path)
    assert manifest.training["censored_values"] == np.isnan(runs.metrics).sum() > 100
