"""Floors: a metric that is a sum of two parts is bent in logs, and forecast as the sum it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foretell.predictor import Predictor
from foretell.schema import Feature, Metric, Schema
from tests.unit.engine.synthetic import Workload

Floats = NDArray[np.float64]

PLATFORMS, TASKS = 12, 40
NOISE = 0.02

SCHEMA = Schema(
    workload="started",
    features=(
        Feature(name="platform", kind="category", required=True),
        Feature(name="size", kind="number", scale="log", required=True, extrapolate=True),
    ),
    metrics=(Metric(name="duration_ms"), Metric(name="rate_per_s")),
    groups=(("platform",),),
)


@dataclass(frozen=True)
class Started:
    """A bundle of tasks that take a start and then what their size costs, and its law."""

    predictor: Predictor
    start: Floats
    speed: Floats

    def duration(self, platform: NDArray[np.int64], size: Floats) -> Floats:
        """Return the true duration in ms."""
        return np.asarray(self.start[platform] + size * self.speed[platform])

    def median(self, platform: NDArray[np.int64], size: Floats) -> Floats:
        """Return the forecast medians, [n, 2]."""
        rows: dict[str, list[Any]] = {
            "platform": [f"p{p}" for p in platform],
            "size": size.tolist(),
        }
        encoded, _ = self.predictor.encoder.encode_table(rows)
        return self.predictor.forecast(encoded).forecasts.median()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Started:
    """Starts and speeds differ by platform; sizes span four orders of magnitude."""
    rng = np.random.default_rng(3)
    start = np.exp(rng.normal(3.0, 0.8, PLATFORMS))
    speed = np.exp(rng.normal(-2.0, 0.8, PLATFORMS))
    platform = np.repeat(np.arange(PLATFORMS), TASKS)
    size = np.exp(rng.uniform(0, np.log(1e4), PLATFORMS * TASKS))
    truth = start[platform] + size * speed[platform]
    measured = truth * np.exp(rng.normal(0, NOISE, len(truth)))
    rows = {"platform": [f"p{p}" for p in platform], "size": size.tolist()}
    folder = tmp_path_factory.mktemp("started")
    metrics = np.column_stack([measured, 1000 / measured])
    Workload(SCHEMA, rows, metrics).train(folder)
    return Started(Predictor.load(folder / "bundle", SCHEMA), start, speed)


def test_both_parts_are_found_inside_the_range(started: Started) -> None:
    """Where the start dominates and where the work does, the forecast is near the noise."""
    platform = np.repeat(np.arange(PLATFORMS), 30)
    size = np.tile(np.geomspace(2, 8000, 30), PLATFORMS)
    truth = started.duration(platform, size)
    median = started.median(platform, size)
    assert np.median(np.abs(median[:, 0] / truth - 1)) < 0.04
    assert np.median(np.abs(median[:, 1] * truth / 1000 - 1)) < 0.04


def test_the_work_goes_on_beyond_the_data_and_the_start_does_not(started: Started) -> None:
    """Eight times the largest size takes nearly eight times as long, on every platform."""
    platform = np.arange(PLATFORMS)
    size = np.full(PLATFORMS, 8e4)
    truth = started.duration(platform, size)
    median = started.median(platform, size)
    assert np.median(np.abs(median[:, 0] / truth - 1)) < 0.15
    assert np.abs(np.log(median[:, 0] / truth)).max() < 0.5


MODELS, HOSTS = 14, 8
CEILINGS = Schema(
    workload="ceilings",
    features=(
        Feature(name="model", kind="category", required=True),
        Feature(name="host", kind="category", required=True),
        Feature(name="batch", kind="number", scale="log", required=True, extrapolate=True),
    ),
    metrics=(Metric(name="rate"),),
    groups=(("model",), ("host",), ("model", "host")),
)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_saturates_where_is_found_for_each_host(tmp_path: Path, seed: int) -> None:
    """Hosts have ceilings of their own, that rise or fall with the batch: so they do beyond it."""
    rng = np.random.default_rng(seed)
    work, speed = rng.normal(0, 0.5, MODELS), rng.normal(0, 0.5, HOSTS)
    top, roof = rng.normal(0, 0.3, MODELS), rng.normal(0, 0.5, HOSTS)
    bend = rng.uniform(-0.5, 0.3, HOSTS)

    def runs(count: int, exponents: tuple[int, int]) -> tuple[dict[str, list[Any]], Floats]:
        model, host = rng.integers(0, MODELS, count), rng.integers(0, HOSTS, count)
        batch = 2.0 ** rng.integers(*exponents, count)
        rising = work[model] + speed[host] + np.log(batch)
        ceiling = 3.0 + top[model] + roof[host] + speed[host] + bend[host] * np.log(batch / 16)
        names = {"model": [f"m{m}" for m in model], "host": [f"h{h}" for h in host]}
        return {**names, "batch": batch.tolist()}, -np.logaddexp(-rising, -ceiling)

    known, logs = runs(1500, (0, 6))
    rate = np.exp(logs + rng.normal(0, 0.03, len(logs)))
    Workload(CEILINGS, known, rate[:, None]).train(tmp_path)
    predictor = Predictor.load(tmp_path / "bundle")
    beyond, truth = runs(800, (6, 9))
    found = predictor.forecast(predictor.encoder.encode_columns(beyond, len(truth))).forecasts
    assert np.median(np.abs(np.log(found.median()[:, 0]) - truth)) < 0.08
