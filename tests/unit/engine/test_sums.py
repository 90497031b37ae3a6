"""Sums: what is reserved for many tasks together is exceeded as often as was asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.scheduling.packing import RISK, size
from benchmarks.scheduling.tasks import MEMORY, Estimates
from foretell.decide.outcomes import Strata
from foretell.forecast import Forecasts
from foretell.predictor import Predictor
from foretell.schema import Feature, Metric, Schema
from tests.unit.engine.synthetic import Floats, Workload

TASKS, KINDS, RUNS = 1200, 6, 600


def schema() -> Schema:
    """Functions that differ in nothing but what they take."""
    return Schema(
        workload="functions",
        features=(Feature(name="function", kind="category", required=True),),
        metrics=(Metric(name=MEMORY, unit="KB"),),
        groups=(("function",),),
    )


def runs(rng: np.random.Generator, count: int) -> tuple[list[str], Floats]:
    """Return the functions and the memory of some runs; each function takes thrice the last.

    Errors of large functions end soon, those of small ones do not.
    """
    function = rng.integers(0, KINDS, count)
    ends, goes_on = rng.uniform(-1.7, 1.7, count), rng.standard_t(4, count)
    error = np.where(function >= KINDS - 2, ends, goes_on)
    memory = np.asarray(1000.0 * 3.0**function * np.exp(0.05 * error), dtype=np.float64)
    return [f"f{f}" for f in function], memory


def test_sums_of_many_are_exceeded_about_as_often_as_was_asked(tmp_path: Path) -> None:
    """Sets of 24 tasks overflow in about 1 % of cases, though one shape serves all errors."""
    rng = np.random.default_rng(7)
    function, memory = runs(rng, TASKS)
    Workload(schema(), {"function": function}, memory[:, None]).train(tmp_path)
    predictor = Predictor.load(tmp_path / "bundle", schema())
    function, memory = runs(rng, RUNS)
    encoded, _ = predictor.encoder.encode_table({"function": function}, named="name")
    forecasts = predictor.forecast(encoded).forecasts
    plain = replace(forecasts, tables=replace(forecasts.tables, dispersion=None))
    assert _overflow(plain, memory) < RISK / 2
    assert RISK / 3 < _overflow(forecasts, memory) < 2.5 * RISK


def _overflow(forecasts: Forecasts, memory: Floats) -> float:
    alone = forecasts.quantile(1 - RISK)[:, 0]
    estimates = Estimates("ours", memory, alone, forecasts)
    return size(estimates, memory, 24, 600, Strata(schema())).overflow
