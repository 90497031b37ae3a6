"""Few rows: one row of a new id must not make the forecast sure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from foretell.predictor import Predictor
from foretell.schema import Feature, Metric, Schema
from foretell_trainer.engine.training_set import FitSettings
from tests.unit.engine.synthetic import Workload

SPEEDS = {"a": 1.0, "b": 2.5, "c": 6.0, "new": 20.0}
SCHEMA = Schema(
    workload="few",
    features=(
        Feature(name="host", kind="category", required=True),
        Feature(name="size", kind="number", scale="log"),
    ),
    metrics=(Metric(name="seconds"),),
    groups=(("host",),),
)


def trained(folder: Path, new: int) -> Predictor:
    """Return a bundle of 400 runs on three hosts and some on a fourth, which is far slower."""
    rng = np.random.default_rng(5)
    hosts = [*rng.choice(["a", "b", "c"], 400).tolist(), *["new"] * new]
    size = np.exp(rng.uniform(0, 4, len(hosts)))
    speed = np.array([SPEEDS[host] for host in hosts])
    seconds = size * speed * np.exp(rng.normal(0, 0.05, len(hosts)))
    Workload(SCHEMA, {"host": hosts, "size": size.tolist()}, seconds[:, None]).train(folder)
    return Predictor.load(folder / "bundle")


def test_one_row_of_an_id_does_not_make_it_known(tmp_path: Path) -> None:
    """After a single run of a host that is unlike all others, the confidence is still low."""
    predictor = trained(tmp_path, 1)
    prediction = predictor.forecast(predictor.encoder.encode({"host": "new", "size": 10.0}))
    known = predictor.forecast(predictor.encoder.encode({"host": "a", "size": 10.0}))
    error = abs(np.log(prediction.forecasts.median()[0, 0] / 200.0))
    confidence = prediction.forecasts.confidence(0.2)[0, 0]
    assert confidence < 0.7 or error < np.log(1.2)
    assert confidence < known.forecasts.confidence(0.2)[0, 0]
    assert prediction.support[0] < 0.4
    assert prediction.tier == ["few-shot"]


def test_a_number_far_out_of_its_range_is_no_safe_ground(tmp_path: Path) -> None:
    """A number that is held to its range: beyond it, support falls and the trend is covered."""
    predictor = trained(tmp_path, 0)
    far = predictor.forecast(predictor.encoder.encode({"host": "a", "size": 5000.0}))
    lower, upper = far.forecasts.interval(0.9)
    assert lower[0, 0] < 5000.0 < upper[0, 0]
    assert far.support[0] < 0.2
    assert far.forecasts.confidence(0.2)[0, 0] < 0.5


def test_an_id_measured_once_may_be_a_fold_of_its_own(tmp_path: Path) -> None:
    """Of three hosts one was measured once, beside tasks that are known by pairs: it is fitted."""
    rng = np.random.default_rng(3)
    tasks, hosts = [str(t) for t in range(12)] * 36, ["a"] * 216 + ["b"] * 216
    tasks, hosts = [*tasks, "1"], [*hosts, "once"]
    speed = {"a": 1.0, "b": 2.0, "once": 9.0}
    own = np.exp(rng.normal(0, 1, (12, 3)))
    seconds = [
        speed[h] * own[int(t), "ab".find(h)] * np.exp(rng.normal(0, 0.05))
        for t, h in zip(tasks, hosts, strict=True)
    ]
    schema = Schema(
        workload="once",
        features=(
            Feature(name="task", kind="category", required=True),
            Feature(name="host", kind="category", required=True),
        ),
        metrics=(Metric(name="seconds"),),
        groups=(("task",), ("host",), ("task", "host")),
    )
    Workload(schema, {"task": tasks, "host": hosts}, np.array(seconds)[:, None]).train(
        tmp_path, FitSettings(most_rounds=40, random_folds=2, grouped_folds=3, threads=1)
    )
    predictor = Predictor.load(tmp_path / "bundle")
    known = predictor.forecast(predictor.encoder.encode({"task": "2", "host": "once"}))
    assert known.tier == ["few-shot"]
