"""Extrapolation: beyond the data the trend goes on where the schema allows it, and doubt grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foretell.forecast import Forecasts
from foretell.predictor import Predictor
from foretell.schema import Feature, Metric, Schema
from tests.unit.engine.synthetic import Workload

AnyFloats = NDArray[np.floating[Any]]

POWERS = {"fast": 0.5, "slow": 1.5, "falling": -0.8}
LARGEST = 64.0


@pytest.fixture(scope="session")
def powers(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A bundle of three tasks that are power laws of a batch size up to 64, and a speed."""
    schema = Schema(
        workload="powers",
        features=(
            Feature(name="task", kind="category", required=True),
            Feature(name="batch", kind="number", scale="log", extrapolate=True),
            Feature(name="speed", kind="number", scale="log"),
        ),
        metrics=(Metric(name="seconds"), Metric(name="score", scale="linear")),
        groups=(("task",),),
    )
    rng = np.random.default_rng(8)
    n = 450
    task = rng.choice(list(POWERS), n)
    batch = 2.0 ** rng.uniform(0, np.log2(LARGEST), n)
    speed = np.exp(rng.uniform(0, 2, n))
    power = np.array([POWERS[name] for name in task])
    seconds = np.exp(1 + power * np.log(batch) - 0.5 * np.log(speed) + rng.normal(0, 0.05, n))
    score = 10 - np.log(speed) + rng.normal(0, 0.1, n)
    features = {"task": task.tolist(), "batch": batch.tolist(), "speed": speed.tolist()}
    folder = tmp_path_factory.mktemp("powers")
    Workload(schema, features, np.column_stack([seconds, score])).train(folder)
    return Predictor.load(folder / "bundle")


def along(predictor: Predictor, task: str, batch: AnyFloats, speed: AnyFloats) -> Forecasts:
    """Return forecasts along batch sizes and speeds."""
    n = len(batch)
    columns = {"task": [task] * n, "batch": batch.tolist(), "speed": speed.tolist()}
    return predictor.forecast(predictor.encoder.encode_columns(columns, n)).forecasts


@pytest.mark.parametrize("task", list(POWERS))
def test_a_power_law_goes_on_beyond_the_data(powers: Predictor, task: str) -> None:
    """Each task keeps its own exponent, of the right sign, at 16 times the largest batch."""
    batch = LARGEST * 2.0 ** np.arange(5.0)
    medians = along(powers, task, batch, np.full(5, 3.0)).median()[:, 0]
    exponents = np.diff(np.log(medians)) / np.log(2)
    np.testing.assert_allclose(exponents, POWERS[task], atol=0.25)


@pytest.mark.parametrize("task", list(POWERS))
def test_intervals_widen_beyond_the_data(powers: Predictor, task: str) -> None:
    """The farther beyond the largest batch, the wider the interval and the less the confidence."""
    batch = LARGEST * 2.0 ** np.arange(6.0)
    forecasts = along(powers, task, batch, np.full(6, 3.0))
    lower, upper = forecasts.interval(0.8)
    for m, width in enumerate((np.log(upper / lower)[:, 0], (upper - lower)[:, 1])):
        assert np.all(np.diff(width[1:]) > 0), m
        assert width[-1] > 1.5 * width[0]
    confidence = forecasts.confidence(0.1)[:, 0]
    assert np.all(np.diff(confidence[1:]) < 0)


def test_the_smallest_batch_is_no_wall_either(powers: Predictor) -> None:
    """Below the smallest batch the trend goes on as well, and the interval widens."""
    batch = 2.0 ** -np.arange(5.0)
    forecasts = along(powers, "slow", batch, np.full(5, 3.0))
    exponents = np.diff(np.log(forecasts.median()[:, 0])) / -np.log(2)
    np.testing.assert_allclose(exponents, POWERS["slow"], atol=0.3)
    lower, upper = (end[:, 0] for end in forecasts.interval(0.8))
    assert np.all(np.diff((upper / lower)[1:]) > 0)


def test_other_numbers_are_held_at_the_edge_of_the_data(powers: Predictor) -> None:
    """A number that may not be extrapolated has its effect end where the data ends."""
    speed = np.exp(2.0) * 10.0 ** np.arange(1, 5)
    forecasts = along(powers, "fast", np.full(4, 8.0), speed)
    medians = forecasts.location
    np.testing.assert_allclose(medians, np.repeat(medians[:1], 4, axis=0), rtol=1e-6)
    edge = along(powers, "fast", np.full(1, 8.0), np.array([np.exp(2.0)]))
    np.testing.assert_allclose(medians[0], edge.location[0], atol=0.05)
    lower, upper = (end[:, 0] for end in forecasts.interval(0.8))
    widths = upper / lower
    assert widths[1] > widths[0]
    # From there on next to nothing is known, and an interval says so without being absurd.
    assert np.all(np.diff(widths) >= 0)
    assert widths[-1] < 1e5


def test_support_falls_beyond_the_data(powers: Predictor) -> None:
    """A batch far beyond the data is less supported than one within it."""
    batch = np.array([8.0, LARGEST * 64, LARGEST * 4096])
    support = along(powers, "fast", batch, np.full(3, 3.0)).support
    assert support[0] > 2 * support[1] > 2 * support[2]


def test_a_curve_that_levels_off_beyond_the_data_is_not_missed_with_confidence(
    tmp_path: Path,
) -> None:
    """Where the trend goes on bending, intervals up to 4 times beyond the data still cover."""
    rng = np.random.default_rng(9)
    schema = Schema(
        workload="saturating",
        features=(Feature(name="batch", kind="number", scale="log", extrapolate=True),),
        metrics=(Metric(name="rate", direction="higher"),),
    )
    batch = 2.0 ** rng.integers(0, 5, 400)
    rate = 100 * batch / (batch + 16) * np.exp(rng.normal(0, 0.03, 400))
    Workload(schema, {"batch": batch.tolist()}, rate[:, None]).train(tmp_path)
    predictor = Predictor.load(tmp_path / "bundle")
    beyond = np.array([24.0, 32.0, 64.0])
    encoded = predictor.encoder.encode_columns({"batch": beyond.tolist()}, len(beyond))
    lower, upper = predictor.forecast(encoded).forecasts.interval(0.9)
    actual = 100 * beyond / (beyond + 16)
    assert np.all((actual >= lower[:, 0]) & (actual <= upper[:, 0]))
