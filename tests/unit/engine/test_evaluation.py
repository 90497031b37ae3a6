"""Evaluation: the numbers that are printed are those one gets by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from foretell.bundle import read_bundle
from foretell.forecast import Forecasts, QuantileTables
from foretell.schema import Feature, Metric, Schema
from foretell_trainer.engine.evaluation import compare, evaluate
from tests.unit.engine.noise import Noise
from tests.unit.engine.synthetic import Floats, Workload

# A distribution that is flat between -1 and 1, with sure ends, so that all quantiles are known.
LEVELS = np.array([0.001, 0.999])
FLAT = QuantileTables(LEVELS, np.array([[[-0.998, 0.998]]]))


def forecasts(location: list[float], scale: float, *, log: bool) -> Forecasts:
    """Return forecasts of one metric whose quantile q is location + scale · (2q - 1)."""
    n = len(location)
    return Forecasts(
        metric_names=("metric",),
        log=np.array([log]),
        location=np.array(location)[:, None],
        scale=np.full((n, 1), scale),
        table=np.zeros((n, 1), np.int64),
        tables=FLAT,
        support=np.ones(n),
    )


def test_errors_are_those_by_hand() -> None:
    """Relative errors are fractions of the actual value, the others in the metric's unit."""
    actual = np.array([10.0, 20.0, 40.0, np.nan])
    found = compare(forecasts([11.0, 16.0, 40.0, 7.0], 8.0, log=False), actual, 0, {})
    assert found["rows"] == 3
    assert found["mape"] == pytest.approx((0.1 + 0.2 + 0) / 3)
    assert found["median_ape"] == pytest.approx(0.1)
    assert found["rmse"] == pytest.approx(math.sqrt((1 + 16) / 3))
    assert found["mae"] == pytest.approx(5 / 3)
    assert found["r2"] == pytest.approx(1 - 17 / ((40**2 + 10**2 + 50**2) / 9))
    assert found["r2_log"] is None
    assert found["bias"] is None


def test_coverage_and_width_are_those_by_hand() -> None:
    """The interval of a level reaches level · scale to each side of the median."""
    actual = np.array([100.0, 105.0, 108.5, 109.2, 93.0])
    found = compare(forecasts([100.0] * 5, 10.0, log=False), actual, 0, {})
    # Off by 0, 5, 8.5, 9.2 and 7, where the ends are off by 5, 8, 9, 9.5 and 9.9.
    assert found["coverage"] == {"0.5": 0.4, "0.8": 0.6, "0.9": 0.8, "0.95": 1.0, "0.99": 1.0}
    for level, width in found["width"].items():
        assert width == pytest.approx(20 * float(level))


def test_a_log_metric_is_judged_in_ratios() -> None:
    """Bias is the mean log of predicted over actual, and the width that of upper over lower."""
    actual = np.array([1.0, 2.0, 8.0])
    found = compare(forecasts(np.log([2.0, 2.0, 4.0]).tolist(), 1.0, log=True), actual, 0, {})
    assert found["bias"] == pytest.approx((math.log(2) + 0 - math.log(2)) / 3)
    assert found["width"]["0.8"] == pytest.approx(1.6)
    assert found["coverage"]["0.5"] == pytest.approx(1 / 3)
    assert found["coverage"]["0.8"] == pytest.approx(1)
    assert found["r2"] == pytest.approx(1 - (1 + 0 + 16) / ((1 + 4 + 64) - 11**2 / 3))
    logs = np.log(actual)
    spread = ((logs - logs.mean()) ** 2).sum()
    assert found["r2_log"] == pytest.approx(1 - 2 * math.log(2) ** 2 / spread)


def test_overprovision_counts_only_what_is_too_much() -> None:
    """A bound below the actual value wastes nothing; one above it wastes its excess share."""
    # The one-sided 95 % bound is 9 above the location.
    found = compare(forecasts([91.0, 91.0], 10.0, log=False), np.array([80.0, 125.0]), 0, {})
    assert found["overprovision"] == pytest.approx((100 / 80 - 1 + 0) / 2)


def test_confidence_is_compared_with_what_was_right() -> None:
    """Each tenth of confidence says what was asked, what was true, and of how many rows."""
    # Of a flat distribution 40 wide to each side, 20 each side of 100 are half; of 80, a quarter.
    wide = forecasts([100.0] * 4, 40.0, log=False)
    found = compare(wide, np.array([100.0, 119.0, 121.0, 500.0]), 0, {})["confidence"]
    assert found == [{"asked": pytest.approx(0.5), "true": 0.5, "rows": 4}]


def test_the_worst_group_is_the_one_least_covered() -> None:
    """Groups with enough rows compete, small ones do not; its column, name and share are given."""
    n = 250
    actual = np.full(n, 100.0)
    actual[:20] = 500.0
    actual[245:] = 500.0
    groups = {
        "half": ["a" if i < 120 else "b" for i in range(n)],
        "few": ["tiny" if i >= 245 else "rest" for i in range(n)],
    }
    found = compare(forecasts([100.0] * n, 10.0, log=False), actual, 0, groups)["worst_group"]
    assert found == {"name": "half=a", "coverage": pytest.approx(100 / 120), "rows": 120}


def test_a_metric_without_values_has_no_rows() -> None:
    """Where nothing was measured there is nothing to say."""
    assert compare(forecasts([1.0], 1.0, log=True), np.array([np.nan]), 0, {}) == {"rows": 0}


def test_evaluate_names_bundle_rows_and_metrics(noise: Noise) -> None:
    """A whole evaluation agrees with the comparison of each metric, grouped by the ids."""
    predictor, runs = noise.predictor, noise.random
    encoded = predictor.encoder.encode_columns(dict(runs.features), len(runs.metrics))
    found = evaluate(predictor, predictor.schema, encoded, runs.metrics)
    assert found["bundle"] == predictor.version
    assert found["rows"] == len(runs.metrics)
    for m, name in enumerate(predictor.schema.metric_names):
        alone = compare(runs.forecasts, runs.metrics[:, m], m, {})
        assert {**found["metrics"][name], "worst_group": None} == {**alone, "worst_group": None}
        assert found["metrics"][name]["worst_group"]["name"].startswith(("task=", "node="))


def test_the_report_card_keeps_its_word(noise: Noise) -> None:
    """What the manifest says of a regime is near what fresh rows of that regime then show."""
    card = noise.predictor.manifest.evaluation
    few = {"few of task": 3, "few of node": 3, "part of node": 3}
    assert card["folds"] == {"random": 4, "task": 3, "node": 3, "task/node": 6} | few
    assert "out of fold" in card["protocol"]
    for m, name in enumerate(noise.predictor.schema.metric_names):
        for kind, runs in (("random", noise.random), ("task/node", noise.unseen_pair)):
            said = card["metrics"][name]["splits"][kind]
            true = compare(runs.forecasts, runs.metrics[:, m], m, {})
            assert said["median_ape"] == pytest.approx(true["median_ape"], rel=0.3)
            assert said["coverage"]["0.8"] == pytest.approx(true["coverage"]["0.8"], abs=0.08)
            assert said["width"]["0.8"] == pytest.approx(true["width"]["0.8"], rel=0.3)


def linear_workload(unit: float) -> Workload:
    """Return a metric on a linear scale, given in some unit."""
    rng = np.random.default_rng(9)
    size = rng.uniform(0, 1, 120)
    schema = Schema(
        workload="linear",
        features=(Feature(name="size", kind="number"),),
        metrics=(Metric(name="score", scale="linear"),),
    )
    metrics: Floats = unit * (5 + size + rng.normal(0, 0.1, 120))[:, None]
    return Workload(schema, {"size": size.tolist()}, metrics)


def test_the_report_card_of_a_linear_metric_is_in_its_unit(tmp_path: Path) -> None:
    """Widths of a metric on a linear scale are in the metric's own unit."""
    manifest = linear_workload(1000.0).train(tmp_path)
    card = manifest.evaluation["metrics"]["score"]["splits"]["random"]
    # 80 % of normal noise of deviation 100 is 256 wide.
    assert 200 < card["width"]["0.8"] < 400
    assert manifest == read_bundle(tmp_path / "bundle")


def test_progress_tells_the_error_of_a_linear_metric(tmp_path: Path) -> None:
    """The error that is told on the way is relative to the metric, on a linear scale too."""
    told: list[float] = []

    def progress(_stage: str, _fraction: float, numbers: object) -> None:
        if isinstance(numbers, dict) and "median_ape" in numbers:
            told.append(numbers["median_ape"])

    linear_workload(1.0).train(tmp_path, progress=progress)
    # Noise of 0.1 on values around 5.5 is off by about 0.07 in the median.
    assert told == [pytest.approx(0.0125, rel=0.5)]


def test_the_report_card_names_outliers(tmp_path: Path) -> None:
    """Rows that are far from what the others say are counted and named, and are not deleted."""
    rng = np.random.default_rng(8)
    size = np.exp(rng.uniform(0, 4, 300))
    seconds = size * np.exp(rng.normal(0, 0.05, 300))
    seconds[[7, 100]] *= 20
    features = {"size": size.tolist()}
    schema = Schema(
        workload="strange",
        features=(Feature(name="size", kind="number", scale="log", required=True),),
        metrics=(Metric(name="seconds"),),
    )
    manifest = Workload(schema, features, seconds[:, None]).train(tmp_path)
    card = manifest.evaluation["metrics"]["seconds"]
    assert card["rows"] == 300
    assert {entry["row"] for entry in card["outliers"]["largest"][:2]} == {7, 100}
    assert 2 <= card["outliers"]["rows"] <= 10
