"""Training: from a snapshot to a bundle, or to nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foretell.bundle import MODEL_FILE, write_bundle
from foretell.errors import BundleRejected, Cancelled, InvalidInput
from foretell.predictor import Predictor
from foretell.schema import Feature, Metric, Schema
from foretell_trainer.engine.fitting import SMALLEST_TRAINING_SET
from foretell_trainer.engine.training_set import FitSettings
from tests.unit.engine.synthetic import QUICK, Workload

ROWS = 300


def schema(metrics: tuple[str, ...] = ("seconds",)) -> Schema:
    """Return a workload of tasks with a size."""
    return Schema(
        workload="tasks",
        features=(
            Feature(name="task", kind="category", required=True),
            Feature(name="size", kind="number", scale="log"),
        ),
        metrics=tuple(Metric(name=name) for name in metrics),
        groups=(("task",),),
    )


def workload(rows: int = ROWS, unit: float = 1.0, seed: int = 0) -> Workload:
    """Return a power law per task with noise of 10 %."""
    rng = np.random.default_rng(seed)
    task, size = rng.integers(0, 12, rows), np.exp(rng.uniform(0, 5, rows))
    logs = 0.3 * task + 0.8 * np.log(size) + rng.normal(0, 0.1, rows)
    features = {"task": [f"t{i}" for i in task], "size": size.tolist()}
    return Workload(schema(), features, unit * np.exp(logs)[:, None])


def load(work: Workload, folder: Path, settings: FitSettings = QUICK) -> Predictor:
    """Train a bundle and load it, which checks its golden rows."""
    work.train(folder, settings)
    return Predictor.load(folder / "bundle")


def error(predictor: Predictor, fresh: Workload) -> float:
    """Return the median relative error on fresh rows."""
    encoded = predictor.encoder.encode_columns(dict(fresh.features), len(fresh))
    median = predictor.forecast(encoded).forecasts.median()
    return float(np.median(np.abs(median / fresh.metrics - 1)))


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A bundle of the workload as it is."""
    return load(workload(), tmp_path_factory.mktemp("plain"))


def test_a_bundle_says_what_it_was_made_from(plain: Predictor) -> None:
    """The manifest has the snapshot, the settings, the proof, the card and the libraries."""
    manifest = plain.manifest
    assert manifest.lineage.rows == ROWS
    assert manifest.lineage.sources == ("made up",)
    assert manifest.training["settings"]["seed"] == QUICK.seed
    assert manifest.training["proof"]["rows"] == ROWS
    assert manifest.training["proof"]["largest_error"] < 1e-4
    unseen = ("unseen task", "unseen several")
    tables = ("warm", "new pair", *unseen, "few-shot task", "few-shot several")
    assert manifest.quantiles.table_names == tables
    assert manifest.evaluation["metrics"]["seconds"]["rows"] == ROWS
    assert {"lightgbm", "onnx", "onnxruntime"} <= set(manifest.libraries)
    assert len(manifest.golden.location) == 16


def test_golden_rows_are_checked_when_a_bundle_is_loaded(tmp_path: Path) -> None:
    """A bundle whose graph is another's, hash and all, is refused by its golden rows."""
    manifest = workload().train(tmp_path / "one")
    workload(unit=2.0).train(tmp_path / "two")
    graph = (tmp_path / "two" / "bundle" / MODEL_FILE).read_bytes()
    write_bundle(tmp_path / "mixed", graph, manifest)
    with pytest.raises(BundleRejected, match="golden rows: location"):
        Predictor.load(tmp_path / "mixed")


def test_the_same_rows_and_seed_give_the_same_graph(tmp_path: Path) -> None:
    """Two trainings of one snapshot with one seed write the same bytes; another seed does not."""
    graphs = [
        workload().train(tmp_path / str(i), settings).files[MODEL_FILE].sha256
        for i, settings in enumerate((QUICK, QUICK, replace(QUICK, seed=1)))
    ]
    assert graphs[0] == graphs[1]
    assert graphs[0] != graphs[2]


def test_a_change_of_unit_changes_nothing_else(plain: Predictor, tmp_path: Path) -> None:
    """Seconds or milliseconds: medians and ends scale by 1000, confidence stays."""
    other = load(workload(unit=1000.0), tmp_path)
    fresh = workload(seed=5)
    one, thousand = (
        p.forecast(p.encoder.encode_columns(dict(fresh.features), ROWS)).forecasts
        for p in (plain, other)
    )
    np.testing.assert_allclose(thousand.median(), 1000 * one.median(), rtol=0.02)
    for end, scaled in zip(one.interval(0.8), thousand.interval(0.8), strict=True):
        np.testing.assert_allclose(scaled, 1000 * end, rtol=0.05)
    np.testing.assert_allclose(thousand.confidence(), one.confidence(), atol=0.05)


def test_a_few_wild_labels_do_not_spoil_the_rest(plain: Predictor, tmp_path: Path) -> None:
    """With 1 % of the labels 50 times too large, the median error hardly grows."""
    work, fresh = workload(), workload(seed=5)
    wild = work.metrics.copy()
    wild[:: ROWS // 3] *= 50
    spoilt = load(replace(work, metrics=wild), tmp_path)
    assert error(spoilt, fresh) < 1.3 * error(plain, fresh)


@pytest.mark.parametrize("measured", [SMALLEST_TRAINING_SET - 1, 0])
def test_too_few_rows_of_a_metric_are_refused_by_its_name(tmp_path: Path, measured: int) -> None:
    """A metric with fewer than ten values cannot be calibrated; the error says which and why."""
    rows = workload(40)
    scarce = rows.metrics.copy()
    scarce[measured:] = np.nan
    both = np.hstack([rows.metrics, scarce])
    work = replace(rows, schema=schema(("seconds", "scarce")), metrics=both)
    with pytest.raises(InvalidInput, match="scarce") as refused:
        work.train(tmp_path)
    assert [v.field for v in refused.value.violations] == ["scarce"]
    assert f"{measured} measured values; at least 10" in str(refused.value)
    assert not (tmp_path / "bundle").exists()


def after(calls: int) -> tuple[Callable[[], bool], list[int]]:
    """Return a should_stop that says so from one of its calls on, and the count of its calls."""
    count = [0]

    def should_stop() -> bool:
        count[0] += 1
        return count[0] >= calls

    return should_stop, count


def test_a_stop_is_heeded_at_once_wherever_it_comes(tmp_path: Path) -> None:
    """Whenever should_stop turns true, the fit asks no second time and writes nothing."""
    never, asked = after(10**9)
    workload(80).train(tmp_path / "whole", should_stop=never)
    total = asked[0]
    for calls in np.linspace(1, total, 12).astype(int).tolist():
        should_stop, count = after(calls)
        folder = tmp_path / str(calls)
        with pytest.raises(Cancelled):
            workload(80).train(folder, should_stop=should_stop)
        assert count[0] == calls
        assert not (folder / "bundle").exists()


def test_a_fit_asks_often_whether_to_stop(tmp_path: Path) -> None:
    """Between two questions lie at most ten rounds of boosting."""
    few, many = (after(10**9) for _ in range(2))
    settings = replace(QUICK, most_rounds=10, random_folds=2)
    workload(200).train(tmp_path / "few", settings, should_stop=few[0])
    workload(200).train(tmp_path / "many", replace(settings, random_folds=4), should_stop=many[0])
    # Each further fold is a location: asked before it is fitted, and while its trees grow.
    assert few[1][0] > 4 * 8
    assert many[1][0] >= few[1][0] + 2 * 2
