"""Support: what an answer rests on, and how that shows."""

from __future__ import annotations

import numpy as np
import pytest

from foretell.catalog import CatalogTable
from foretell.parsing import Value
from foretell.predictor import Prediction, Predictor
from foretell.schema import Catalog, Feature, Metric, Schema
from tests.unit.engine.noise import NODES, TASKS, Noise
from tests.unit.engine.synthetic import Workload

COUNTS = {"often": 60, "sometimes": 30, "seldom": 5}


@pytest.fixture(scope="session")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A bundle of three models with 60, 30 and 5 rows, and one that only a catalog knows."""
    schema = Schema(
        workload="counted",
        features=(
            Feature(name="model", kind="category"),
            Feature(name="precision", kind="category"),
            Feature(name="size", kind="number"),
        ),
        catalogs=(
            Catalog(name="models", key="model", facts=(Feature(name="layers", kind="number"),)),
        ),
        metrics=(Metric(name="seconds"),),
        groups=(("model",), ("model", "precision")),
    )
    rng = np.random.default_rng(4)
    models = [name for name, rows in COUNTS.items() for _ in range(rows)]
    n = len(models)
    table = CatalogTable("models", ("often", "described"), {"layers": (10.0, 20.0)})
    features = {
        "model": models,
        "precision": ["half" if i % 3 == 0 else "full" for i in range(n)],
        "size": rng.uniform(0, 1, n).tolist(),
    }
    folder = tmp_path_factory.mktemp("counted")
    metrics = np.exp(rng.normal(0, 0.1, (n, 1)))
    Workload(schema, features, metrics, (table,)).train(folder)
    return Predictor.load(folder / "bundle")


def ask(predictor: Predictor, **features: Value) -> Prediction:
    """Return the prediction for one row."""
    return predictor.forecast(predictor.encoder.encode(features))


def test_rows_are_the_rows_of_the_training(counted: Predictor) -> None:
    """The graph tells exactly how many rows each id and each pair had."""
    assert counted.manifest.groups == (("model",), ("model", "precision"))
    start = 0
    for name, rows in COUNTS.items():
        halves = sum(i % 3 == 0 for i in range(start, start + rows))
        found = ask(counted, model=name, precision="half", size=0.5).rows
        assert found.tolist() == [[rows, halves]]
        start += rows


@pytest.mark.parametrize(
    ("model", "tier"),
    [
        ("often", "warm"),
        ("sometimes", "warm"),
        ("seldom", "few-shot"),
        ("described", "cold"),
        ("unheard of", "cold"),
        (None, "cold"),
    ],
)
def test_tiers_follow_the_rows_of_the_ids(counted: Predictor, model: str | None, tier: str) -> None:
    """Twenty rows or more are warm, fewer are few-shot; without rows, facts or not, it is cold."""
    assert ask(counted, model=model, precision="half", size=0.5).tier == [tier]


def test_an_unseen_pair_of_seen_ids_has_no_rows_but_is_warm(counted: Predictor) -> None:
    """The tier is that of the ids; the pair's own count says that it was never measured."""
    found = ask(counted, model="often", precision="quarter", size=0.5)
    assert found.rows.tolist() == [[60, 0]]
    assert found.tier == ["warm"]
    assert found.unknown == (("precision",),)


def test_support_grows_with_rows_and_falls_with_distance(counted: Predictor) -> None:
    """Support is in [0, 1], higher for ids with more rows, lower the farther a number is off."""
    ladder = [
        float(ask(counted, model=name, precision="half", size=0.5).support[0])
        for name in ("unheard of", "seldom", "sometimes", "often")
    ]
    assert 0 < ladder[0] < 0.1
    assert ladder == sorted(ladder)
    assert ladder[-1] <= 1
    assert ladder[1] < 0.6 < ladder[-1]


def test_an_unknown_id_lowers_support_and_widens_intervals(noise: Noise) -> None:
    """A row asked again with an unknown id has less support always, and is wider nearly always."""
    predictor = noise.predictor
    rng = np.random.default_rng(6)
    n = 500
    known = {
        "task": [f"task {i}" for i in rng.integers(0, TASKS, n)],
        "node": [f"node {i}" for i in rng.integers(0, NODES, n)],
        "size": np.exp(rng.uniform(0, 6, n)).tolist(),
        "load": rng.uniform(0, 1, n).tolist(),
    }
    before = predictor.forecast(predictor.encoder.encode_columns(known, n))
    for name in ("task", "node"):
        asked = {**known, name: ["never heard of"] * n}
        after = predictor.forecast(predictor.encoder.encode_columns(asked, n))
        assert np.all(after.support < 0.2 * before.support)
        assert set(after.tier) == {"cold"}
        assert after.unknown == ((name,),) * n
        narrow, wide = (
            np.log(np.divide(*p.forecasts.interval(0.8)[::-1])) for p in (before, after)
        )
        assert (wide > narrow).mean() > 0.98
        assert np.median(wide / narrow) > 1.5
        low, high = after.forecasts.confidence(), before.forecasts.confidence()
        assert (low < high).mean() > 0.95


def test_no_answer_of_an_unknown_id_is_sure(noise: Noise) -> None:
    """A task of which nothing is known is never predicted with high confidence."""
    assert noise.unseen_task.forecasts.confidence(0.2).max() < 0.7
    assert noise.unseen_task.prediction.support.max() < 0.1
