"""Hardware that the catalog describes and the training never ran on."""

from __future__ import annotations

import numpy as np
import pytest

from foretell.catalog import CatalogTable
from foretell.predictor import Prediction, Predictor
from foretell.schema import Catalog, Feature, Metric, Schema
from tests.unit.engine.synthetic import Workload

RUN, DESCRIBED = 16, 8
ROWS = 640
SCHEMA = Schema(
    workload="described",
    features=(
        Feature(name="hardware", kind="category", required=True),
        Feature(name="size", kind="number", scale="log"),
    ),
    catalogs=(
        Catalog(
            name="hardware",
            key="hardware",
            facts=(Feature(name="tflops", kind="number", scale="log"),),
        ),
    ),
    metrics=(Metric(name="seconds"),),
    groups=(("hardware",),),
)


def tflops() -> np.ndarray:
    """Return what the catalog says; the last ones are within the range of the others."""
    rng = np.random.default_rng(3)
    logs = np.concatenate([np.linspace(0, 4, RUN), rng.uniform(0.5, 3.5, DESCRIBED)])
    return np.asarray(np.exp(logs))


def runs(first: int, count: int, rows: int, seed: int) -> Workload:
    """Return runs on some of the hardware: time is size over speed, give or take its own 10 %."""
    rng = np.random.default_rng(seed)
    which = first + rng.integers(0, count, rows)
    own = np.random.default_rng(1).normal(0, 0.1, RUN + DESCRIBED)
    size = np.exp(rng.uniform(0, 3, rows))
    logs = np.log(size) - np.log(tflops()[which]) + own[which] + rng.normal(0, 0.05, rows)
    table = CatalogTable(
        "hardware",
        tuple(f"h{i}" for i in range(RUN + DESCRIBED)),
        {"tflops": tuple(tflops().tolist())},
        {"new one": f"h{RUN}"},
    )
    features = {"hardware": [f"h{i}" for i in which], "size": size.tolist()}
    return Workload(SCHEMA, features, np.exp(logs)[:, None], (table,))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A bundle of runs on the first ones."""
    folder = tmp_path_factory.mktemp("described")
    runs(0, RUN, ROWS, 0).train(folder)
    return Predictor.load(folder / "bundle")


def asked(predictor: Predictor, work: Workload, **sent: list[object]) -> Prediction:
    """Return the forecasts of rows, with some features sent otherwise."""
    columns = {**work.features, **sent}
    return predictor.forecast(predictor.encoder.encode_columns(columns, len(work)))


def test_its_facts_are_used(predictor: Predictor) -> None:
    """A described device is predicted by its facts, many times better than a nameless one."""
    work = runs(RUN, DESCRIBED, 200, 5)
    described = asked(predictor, work)
    nameless = asked(predictor, work, hardware=["nobody knows"] * 200)
    errors = [
        np.median(np.abs(np.log(p.forecasts.median() / work.metrics)))
        for p in (described, nameless)
    ]
    assert errors[0] < 0.25 < 2 * errors[0] + 0.25 < errors[1]
    assert all("hardware" not in names for names in described.unknown)


def test_it_is_cold_and_does_not_look_sure(predictor: Predictor) -> None:
    """No row stands behind it: its tier is cold, support is low, and the interval holds."""
    work = runs(RUN, DESCRIBED, 200, 5)
    cold, warm = asked(predictor, work), asked(predictor, runs(0, RUN, 200, 6))
    assert set(cold.tier) == {"cold"}
    assert set(warm.tier) == {"warm"}
    assert cold.support.max() < 0.2 < np.median(warm.support)
    low, high = cold.forecasts.interval(0.8)
    assert ((work.metrics >= low) & (work.metrics <= high)).mean() > 0.7
    widths = [np.median(np.log(np.divide(*p.forecasts.interval(0.8)[::-1]))) for p in (cold, warm)]
    assert widths[0] > 1.3 * widths[1]


def test_it_is_found_under_another_name(predictor: Predictor) -> None:
    """A bundle keeps the catalog's other names, and answers to them alike."""
    one, other = (
        predictor.forecast(predictor.encoder.encode({"hardware": name, "size": 3.0}))
        for name in (f"h{RUN}", "New-One")
    )
    np.testing.assert_array_equal(one.forecasts.median(), other.forecasts.median())
    assert other.unknown == ((),)
