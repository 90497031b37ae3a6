"""Metrics that were not all measured in the same runs: each is as sure as its own rows allow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from foretell.forecast import Forecasts
from foretell.predictor import Prediction, Predictor
from foretell.schema import Feature, Link, Metric, Schema
from foretell_trainer.engine.training_set import FitSettings
from tests.conftest import MadeOnce
from tests.unit.engine.synthetic import QUICK, Floats, Workload

TASKS, TRAINED, FRESH = 200, 1600, 2000
SETTINGS = FitSettings(most_rounds=40, random_folds=3, grouped_folds=3, threads=1)


def schema(links: tuple[Link, ...] = ()) -> Schema:
    """Return a workload of tasks with two metrics."""
    return Schema(
        workload="partly",
        features=(
            Feature(name="task", kind="category", required=True),
            Feature(name="size", kind="number", scale="log", required=True),
        ),
        metrics=(Metric(name="duration_s"), Metric(name="memory_kb")),
        groups=(("task",),),
        links=links,
    )


def runs(rows: int, seed: int) -> tuple[Workload, np.ndarray]:
    """Return runs of tasks that differ by 70 % and repeat within 5 %, and their tasks [n]."""
    effects = np.random.default_rng(1).normal(0, 0.7, (TASKS, 2))
    rng = np.random.default_rng(seed)
    task, size = rng.integers(0, TASKS, rows), np.exp(rng.uniform(0, 5, rows))
    logs = effects[task] + 0.5 * np.log(size)[:, None] + rng.normal(0, 0.05, (rows, 2))
    features = {"task": [f"t{i}" for i in task], "size": size.tolist()}
    return Workload(schema(), features, np.exp(logs)), task


def without_memory(work: Workload, rows: np.ndarray) -> Workload:
    """Return the workload with the memory of some rows not measured."""
    metrics = work.metrics.copy()
    metrics[rows, 1] = np.nan
    return replace(work, metrics=metrics)


def ask(predictor: Predictor, work: Workload) -> Prediction:
    """Return the prediction for every row of a workload."""
    return predictor.forecast(predictor.encoder.encode_columns(dict(work.features), len(work)))


@dataclass(frozen=True)
class Partly:
    """Bundles of the same runs, with memory measured for every task and for the even ones."""

    predictor: Predictor
    whole: Forecasts
    partly: Forecasts
    actual: Floats
    measured: np.ndarray
    """Which of the fresh rows are of tasks of which memory was measured."""

    def inside(self, level: float) -> np.ndarray:
        """Return which values lie in their intervals, [n, M]."""
        lower, upper = self.partly.interval(level)
        return (self.actual >= lower) & (self.actual <= upper)


@pytest.fixture(scope="session")
def partly(made_once: MadeOnce) -> Partly:
    """Two bundles, and what they say of fresh runs of the same tasks."""
    work, task = runs(TRAINED, 2)
    fresh, asked = runs(FRESH, 3)
    predictors = []
    for name, rows in (("whole", work), ("partly", without_memory(work, task % 2 == 1))):
        folder = made_once(name, partial(rows.train, settings=SETTINGS))
        predictors.append(Predictor.load(folder / "bundle"))
    whole, part = (ask(predictor, fresh).forecasts for predictor in predictors)
    return Partly(predictors[1], whole, part, fresh.metrics, asked % 2 == 0)


def test_a_metric_covers_ids_that_only_another_metric_has_seen(partly: Partly) -> None:
    """Where memory was never measured its intervals hold, however often the duration was."""
    inside = partly.inside(0.9)[~partly.measured, 1]
    assert inside.mean() > 0.8
    assert partly.inside(0.5)[~partly.measured, 1].mean() == pytest.approx(0.5, abs=0.2)


def test_a_metric_is_sure_of_the_ids_that_it_was_measured_for(partly: Partly) -> None:
    """Memory is covered, and several times narrower, where it was measured."""
    width = np.log(np.divide(*partly.partly.interval(0.9)[::-1]))[:, 1]
    assert partly.inside(0.9)[partly.measured, 1].mean() == pytest.approx(0.9, abs=0.06)
    assert np.median(width[~partly.measured]) > 4 * np.median(width[partly.measured])
    confidence = partly.partly.confidence(0.2)[:, 1]
    assert confidence[partly.measured].min() > confidence[~partly.measured].max()


def test_a_metric_does_not_suffer_from_the_gaps_of_another(partly: Partly) -> None:
    """The forecasts of the duration are those of a bundle that had the memory of every task."""
    for level in (0.05, 0.5, 0.95):
        np.testing.assert_allclose(
            partly.partly.quantile(level)[:, 0], partly.whole.quantile(level)[:, 0], rtol=1e-5
        )


def test_each_metric_has_the_table_of_its_own_rows(partly: Partly) -> None:
    """A row may be warm for one metric and of an unseen task for another."""
    names = np.array(partly.predictor.manifest.quantiles.table_names)[partly.partly.table]
    # Some tasks have only three or four rows.
    assert set(names[:, 0]) == {"warm", "few-shot task"}
    assert set(names[partly.measured, 1]) == {"warm", "few-shot task"}
    assert set(names[~partly.measured, 1]) == {"unseen task"}


def test_runs_of_which_nothing_was_measured_are_no_support(tmp_path: Path) -> None:
    """A task whose runs all came without a metric is cold, as nothing was learnt from them."""
    work, task = runs(300, 4)
    metrics = work.metrics.copy()
    metrics[task == 7] = np.nan
    replace(work, metrics=metrics).train(tmp_path, QUICK)
    predictor = Predictor.load(tmp_path / "bundle")
    found = predictor.forecast(predictor.encoder.encode({"task": "t7", "size": 3.0}))
    assert (found.tier, found.rows.tolist()) == (["cold"], [[0.0]])
    assert found.support[0] < 0.1


def test_a_derived_metric_has_the_table_of_its_source(tmp_path: Path) -> None:
    """What follows from a metric by an identity is as sure as that metric, measured or not."""
    work, task = runs(400, 5)
    metrics = work.metrics.copy()
    metrics[:, 1] = 3 * metrics[:, 0]
    metrics[task % 2 == 1, 0] = np.nan
    link = Link(metric="memory_kb", factors={"duration_s": 1}, constant=3)
    replace(work, schema=schema((link,)), metrics=metrics).train(tmp_path, QUICK)
    predictor = Predictor.load(tmp_path / "bundle")
    found = ask(predictor, work)
    np.testing.assert_array_equal(found.forecasts.table[:, 0], found.forecasts.table[:, 1])
    names = np.array(predictor.manifest.quantiles.table_names)[found.forecasts.table[:, 0]]
    assert set(names[task % 2 == 1]) == {"unseen task"}
    np.testing.assert_allclose(
        found.forecasts.quantile(0.9)[:, 1], 3 * found.forecasts.quantile(0.9)[:, 0], rtol=1e-5
    )


def test_the_report_card_names_the_folds_that_each_metric_had(tmp_path: Path) -> None:
    """A metric measured for one task has no folds by task; the other's are still told apart."""
    work, task = runs(600, 6)
    names = [f"t{i}" if i % 20 else "t0" for i in task]
    work = replace(work, features={**work.features, "task": names})
    card = without_memory(work, task % 20 != 0).train(tmp_path, QUICK).evaluation
    assert card["folds"] == {"random": 2, "task": 2, "few of task": 2}
    assert set(card["metrics"]["duration_s"]["splits"]) == {"random", "task", "few of task"}
    assert set(card["metrics"]["memory_kb"]["splits"]) == {"random"}
