"""Tasks that were measured, and what each estimator said about them without having seen them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.bundles import Predicted, fit_bundle, pooled, predict
from benchmarks.datasets import Loaded
from benchmarks.notebook import SGD_FEATURES
from benchmarks.sgd import fit_sgd
from foretell.forecast import Forecasts
from foretell_trainer.engine.folds import random_folds
from foretell_trainer.engine.inputs import Floats, Integers

DURATION, MEMORY = "task_duration_sec", "memory_kb"
FUNCTION = "binary_name"
FOLDS = 5
SEED = 11


@dataclass(frozen=True)
class Estimates:
    """What one estimator says of every task, [n] each."""

    name: str
    duration_s: Floats
    memory_kb: Floats
    """What it would reserve for a task alone."""
    forecasts: Forecasts | None = None
    """The whole distribution, where there is one."""


@dataclass(frozen=True)
class Tasks:
    """Tasks, their true values, and the estimates of all that compete."""

    duration_s: Floats
    memory_kb: Floats
    estimates: tuple[Estimates, ...]

    def __len__(self) -> int:
        return len(self.duration_s)


def held_out_tasks(loaded: Loaded, threads: int, folds: int = FOLDS) -> Tasks:
    """Return all tasks, each one estimated by what was fitted on the other folds."""
    fold_of = random_folds(len(loaded), FOLDS, np.random.default_rng(SEED))
    parts: list[Predicted] = []
    rows: list[Integers] = []
    simple: list[list[Floats]] = []
    for fold in range(folds):
        kept, out = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        fit = fit_bundle(loaded, kept, threads, lambda _name, _fraction: None)
        parts.append(predict(fit, loaded, out))
        rows.append(out)
        simple.append([*_constants(loaded, kept, out), *_sgd(loaded, kept, out)])
    forecasts, truth = pooled(parts)
    names = loaded.schema.metric_names
    duration, memory = names.index(DURATION), names.index(MEMORY)
    guess, most, sgd_s, sgd_kb = (np.concatenate(column) for column in zip(*simple, strict=True))
    ours = forecasts.median()[:, duration], forecasts.quantile(0.99)[:, memory]
    true = truth[:, duration], truth[:, memory]
    return Tasks(
        *true,
        (
            Estimates("the truth", *true),
            Estimates("Foretell", *ours, forecasts),
            Estimates("a constant per function", guess, most),
            Estimates("the notebook's SGD", sgd_s, sgd_kb),
        ),
    )


def _constants(loaded: Loaded, kept: Integers, out: Integers) -> tuple[Floats, Floats]:
    """Return each function's mean duration and largest memory, as somebody would configure them."""
    functions, metrics = loaded.labels(FUNCTION), loaded.columns.metrics
    names = loaded.schema.metric_names
    seconds, kilobytes = metrics[:, names.index(DURATION)], metrics[:, names.index(MEMORY)]
    mean: dict[str, float] = {}
    most: dict[str, float] = {}
    for name in set(functions[kept].tolist()):
        mine = kept[functions[kept] == name]
        mean[name], most[name] = float(seconds[mine].mean()), float(kilobytes[mine].max())
    missing = (math.nan, math.nan)
    found = [(mean[f], most[f]) if f in mean else missing for f in functions[out].tolist()]
    return np.array([a for a, _ in found]), np.array([b for _, b in found])


def _sgd(loaded: Loaded, kept: Integers, out: Integers) -> list[Floats]:
    inputs = np.column_stack([loaded.columns.features[name] for name in SGD_FEATURES])
    metrics, names = loaded.columns.metrics, loaded.schema.metric_names
    return [
        fit_sgd(inputs[kept], metrics[kept, names.index(metric)])(inputs[out])
        for metric in (DURATION, MEMORY)
    ]
