"""Monotone trends: what the schema says only rises or falls does so in the exported graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.predictor import Predictor
from foretell.schema import Feature, Link, Metric, Schema, Trend
from tests.conftest import MadeOnce
from tests.unit.engine.synthetic import Floats, Workload

TASKS = 6
ROWS = 500
ROUNDING = 2e-6
"""The graph's outputs are float32."""

TRENDS: Mapping[str, Mapping[str, Trend]] = {
    "size": {"seconds": "increasing"},
    "cores": {"seconds": "decreasing", "watts": "increasing"},
}


def workload() -> Workload:
    """Return runs that break the trends now and then: by noise, by a hump and by one odd task."""
    rng = np.random.default_rng(5)
    metrics = tuple(Metric(name=name) for name in ("seconds", "watts", "joules_per_item"))
    schema = Schema(
        workload="trends",
        features=(
            Feature(name="task", kind="category", required=True),
            Feature(
                name="size",
                kind="number",
                scale="log",
                extrapolate=True,
                monotone={**TRENDS["size"]},
            ),
            Feature(name="cores", kind="number", minimum=1, monotone={**TRENDS["cores"]}),
            Feature(name="load", kind="number"),
        ),
        metrics=metrics,
        groups=(("task",),),
        links=(Link(metric="joules_per_item", factors={"watts": 1.0}),),
    )
    task, size = rng.integers(0, TASKS, ROWS), 2.0 ** rng.integers(0, 8, ROWS)
    cores, load = rng.integers(1, 9, ROWS).astype(float), rng.uniform(0, 1, ROWS)
    hump = 0.8 * np.exp(-((np.log2(size) - 3) ** 2))
    odd = np.where(task == 0, -0.3, 0.4)
    seconds = odd * np.log(size) + hump - 0.5 * np.log(cores) + load * (cores > 4)
    watts = 3 + 0.2 * np.sin(cores) + 0.05 * cores + 0.1 * load
    noise = rng.normal(0, 0.15, (ROWS, 2))
    logs = np.column_stack([seconds + noise[:, 0], watts + noise[:, 1]])
    features = {
        "task": [f"task {i}" for i in task],
        "size": size.tolist(),
        "cores": cores.tolist(),
        "load": load.tolist(),
    }
    return Workload(schema, features, np.exp(logs[:, [0, 1, 1]]))


@pytest.fixture(scope="module")
def trends(made_once: MadeOnce) -> Predictor:
    """A bundle of these runs."""
    folder = made_once("trends", lambda folder: workload().train(folder))
    return Predictor.load(folder / "bundle")


def medians(predictor: Predictor, along: str, task: str, at: Mapping[str, float]) -> Floats:
    """Return the median of each metric along one number, within and beyond the data, [n, M]."""
    grid = np.geomspace(0.05, 5000, 120) if along == "size" else np.linspace(1, 12, 60)
    columns: dict[str, list[str] | list[float]]
    columns = {name: [value] * len(grid) for name, value in at.items()}
    columns |= {"task": [task] * len(grid), along: grid.tolist()}
    encoded = predictor.encoder.encode_columns(columns, len(grid))
    return np.log(predictor.forecast(encoded).forecasts.median())


@given(
    st.sampled_from([*(f"task {i}" for i in range(TASKS)), "never seen"]),
    st.floats(1.0, 128.0),
    st.floats(1.0, 8.0),
    st.floats(0.0, 1.0),
)
def test_declared_trends_hold_everywhere(
    trends: Predictor, task: str, size: float, cores: float, load: float
) -> None:
    """For known tasks and new ones, inside the data and beyond it, medians rise or fall."""
    at = {"size": size, "cores": cores, "load": load}
    for along, signs in TRENDS.items():
        found = medians(trends, along, task, at)
        for metric, trend in signs.items():
            steps = np.diff(found[:, trends.schema.metric_names.index(metric)])
            steps = steps if trend == "increasing" else -steps
            assert steps.min() >= -ROUNDING * 10, (along, metric)


def test_trends_are_learnt_all_the_same(trends: Predictor) -> None:
    """A constraint takes nothing from a task that obeys: its slope is that of its runs."""
    found = medians(trends, "size", "task 3", {"cores": 4.0, "load": 0.5})
    grid = np.log(np.geomspace(0.05, 5000, 120))
    inside = (grid > 0) & (grid < np.log(128))
    slope = np.polyfit(grid[inside], found[inside, 0], 1)[0]
    assert slope == pytest.approx(0.4, abs=0.15)
