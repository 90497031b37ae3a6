"""Growth: what grows exponentially with a number is forecast between the values that were seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foretell.predictor import Predictor
from foretell.schema import Feature, Metric, Schema
from tests.unit.engine.synthetic import Workload

RATE = {"towers of hanoi": 0.69, "naive fibonacci": 0.48}
"""What one more of n adds to the log of the time of a recursion."""

SCHEMA = Schema(
    workload="recursions",
    features=(
        Feature(name="task", kind="category", required=True),
        Feature(name="n", kind="number", scale="log", required=True, extrapolate=True),
    ),
    metrics=(Metric(name="duration_s"),),
    groups=(("task",),),
)


def truth(task: NDArray[Any], n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the true duration: recursions grow exponentially, sorting in proportion to n."""
    rates = np.array([RATE.get(name, 0.0) for name in task])
    return np.where(rates > 0, 1e-7 * np.exp(rates * n), 1e-6 * n)


RISING = SCHEMA.model_copy(
    update={
        "features": (
            SCHEMA.features[0],
            SCHEMA.features[1].model_copy(update={"monotone": {"duration_s": "increasing"}}),
        )
    }
)


def fitted(schema: Schema, folder: Path) -> Predictor:
    """Fit two recursions for every other n up to 40, and sorting of up to a million numbers."""
    rng = np.random.default_rng(5)
    few = np.tile(np.arange(20.0, 41.0, 2.0), 10)
    tasks = [*(np.full(len(few), name) for name in RATE), np.full(200, "sort")]
    task = np.concatenate(tasks)
    n = np.concatenate([few, few, np.exp(rng.uniform(np.log(10), np.log(1e6), 200)).round()])
    measured = truth(task, n) * np.exp(rng.normal(0, 0.02, len(n)))
    rows = {"task": task.tolist(), "n": n.tolist()}
    Workload(schema, rows, measured[:, None]).train(folder)
    return Predictor.load(folder / "bundle", schema)


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A bundle of recursions and sorting."""
    return fitted(SCHEMA, tmp_path_factory.mktemp("recursions"))


def median(predictor: Predictor, task: NDArray[Any], n: NDArray[np.float64]) -> Any:  # noqa: ANN401
    """Return the forecast median of each row."""
    encoded, _ = predictor.encoder.encode_table({"task": task.tolist(), "n": n.tolist()})
    return predictor.forecast(encoded).forecasts.median()[:, 0]


def test_recursions_are_forecast_between_known_arguments(predictor: Predictor) -> None:
    """For arguments that were never run, times are right where one more of n doubles them."""
    n = np.arange(25.0, 38.0, 2.0)
    for name in RATE:
        task = np.full(len(n), name)
        np.testing.assert_allclose(median(predictor, task, n) / truth(task, n), 1.0, atol=0.25)


def test_what_is_no_recursion_does_not_grow(predictor: Predictor) -> None:
    """Beside recursions, sorting twice as much takes twice the time."""
    n = np.array([1e3, 1e4, 1e5])
    task = np.full(len(n), "sort")
    np.testing.assert_allclose(median(predictor, task, n) / truth(task, n), 1.0, atol=0.25)


def test_growth_obeys_the_schema(tmp_path: Path) -> None:
    """A metric that only rises with a number does so where an id grows exponentially, too."""
    rising = fitted(RISING, tmp_path)
    n = np.linspace(21, 60, 100)
    for name in [*RATE, "sort", "never seen"]:
        assert (np.diff(np.log(median(rising, np.full(len(n), name), n))) > -1e-6).all()
