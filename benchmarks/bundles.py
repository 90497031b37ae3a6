"""Fit a bundle on some rows, through `train`, and predict others, through `Predictor`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.datasets import Loaded
from foretell.encoding import Encoded
from foretell.forecast import Forecasts
from foretell.predictor import Predictor
from foretell_trainer.cross_validation import pooled as pooled_forecasts
from foretell_trainer.engine.inputs import Floats, Integers
from foretell_trainer.training import FitSettings, train

_TIMED_ROWS = 2000

Stage = Callable[[str, float], None]
"""Called with the stage and the fraction done."""


@dataclass(frozen=True)
class Fit:
    """A bundle as it was loaded from its folder, and what it cost."""

    predictor: Predictor
    seconds: float
    """From the snapshot to the bundle: fit, calibration, export and proof."""
    size: int
    """Bytes of all files."""


@dataclass(frozen=True)
class Predicted:
    """Forecasts for the rows that were left out."""

    forecasts: Forecasts
    actual: Floats
    """[n, M], NaN where not measured."""
    row_us: float
    """Median microseconds of a run of one row, each row another one."""


def fit_bundle(loaded: Loaded, rows: Integers, threads: int, stage: Stage) -> Fit:
    """Train on some of the rows, and load the bundle as a server would."""
    settings = FitSettings(family=loaded.schema.family, threads=threads)
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        snapshot = loaded.subset(rows, Path(scratch))
        out = Path(scratch) / "bundle"
        began = time.perf_counter()
        train(
            loaded.schema,
            snapshot,
            loaded.catalogs,
            out,
            settings,
            progress=lambda name, fraction, _: stage(name, fraction),
        )
        seconds = time.perf_counter() - began
        size = sum(file.stat().st_size for file in out.iterdir())
        return Fit(Predictor.load(out, loaded.schema), seconds, size)


def predict(fit: Fit, loaded: Loaded, rows: Integers) -> Predicted:
    """Predict rows from their features alone."""
    encoded = encode(fit, loaded, rows)
    return Predicted(
        fit.predictor.forecast(encoded).forecasts,
        loaded.columns.metrics[rows],
        _row_us(fit.predictor, encoded),
    )


def encode(fit: Fit, loaded: Loaded, rows: Integers) -> Encoded:
    """Return some of the rows as the bundle's graph takes them."""
    encoded, _ = fit.predictor.encoder.encode_table(loaded.features(rows), named="name")
    return encoded


def pooled(parts: list[Predicted]) -> tuple[Forecasts, Floats]:
    """Return the forecasts of several bundles as one, and what was measured."""
    forecasts = pooled_forecasts([part.forecasts for part in parts])
    return forecasts, np.concatenate([part.actual for part in parts])


def _row_us(predictor: Predictor, encoded: Encoded) -> float:
    times = []
    for row in range(min(len(encoded), _TIMED_ROWS)):
        one = slice(row, row + 1)
        began = time.perf_counter_ns()
        predictor.run(encoded.numbers[one], encoded.categories[one])
        times.append(time.perf_counter_ns() - began)
    return float(np.median(times)) / 1000
