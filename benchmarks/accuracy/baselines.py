"""Simpler models on the same folds, which see the same numbers and categories as ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np

from benchmarks.bundles import Fit, encode
from benchmarks.datasets import Loaded
from benchmarks.sgd import fit_sgd
from foretell.encoding import Encoded
from foretell.schema import Schema
from foretell_trainer.engine.inputs import Floats, Integers, fit_inputs

SGD, LIGHTGBM, QUANTILE, GROUPS = "sgd", "lightgbm", "quantile_lightgbm", "group_means"
BASELINES = (SGD, LIGHTGBM, QUANTILE, GROUPS)
QUANTILE_LEVEL = 0.9
"""The level of the interval that the raw quantile models are asked for."""

_TREES = 300


@dataclass(frozen=True)
class Guess:
    """What a baseline says of one metric: values [n], and an interval where it has one."""

    value: Floats
    lower: Floats | None = None
    upper: Floats | None = None


@dataclass(frozen=True)
class _Rows:
    """Rows as all baselines see them: numbers and categories with the catalogs' facts."""

    numbers: Floats
    codes: Integers
    metrics: Floats

    @property
    def flat(self) -> Floats:
        """[n, F + C]; missing and unknown are NaN."""
        codes = np.where(self.codes < 0, np.nan, self.codes)
        return np.column_stack([self.numbers, codes])


def guesses(
    fit: Fit, loaded: Loaded, train: Integers, test: Integers, threads: int
) -> dict[str, list[Guess]]:
    """Return each baseline's guesses for the test rows, one per metric."""
    schema = loaded.schema
    kept, out = _joined(fit, loaded, train), _joined(fit, loaded, test)
    found: dict[str, list[Guess]] = {name: [] for name in BASELINES}
    for m, metric in enumerate(schema.metrics):
        known = np.flatnonzero(np.isfinite(kept.metrics[:, m]))
        rows = _Rows(kept.numbers[known], kept.codes[known], kept.metrics[known])
        values = rows.metrics[:, m]
        log = metric.scale == "log"
        target = np.log(values) if log else values
        found[SGD].append(_sgd(rows, out, values))
        for name, guess in (
            (LIGHTGBM, _lightgbm(rows, out, target, threads)),
            (QUANTILE, _quantiles(rows, out, target, threads)),
            (GROUPS, _group_means(schema, rows, out, target)),
        ):
            found[name].append(_exp(guess) if log else guess)
    return found


def _joined(fit: Fit, loaded: Loaded, rows: Integers) -> _Rows:
    encoded: Encoded = encode(fit, loaded, rows)
    vocabulary = fit.predictor.manifest.vocabulary
    numbers, codes = encoded.numbers, encoded.categories
    joined = fit_inputs(loaded.schema, vocabulary, loaded.catalogs, numbers, codes).joined
    return _Rows(*joined(numbers, codes), loaded.columns.metrics[rows])


def _exp(guess: Guess) -> Guess:
    ends = (None if end is None else np.exp(end) for end in (guess.lower, guess.upper))
    return Guess(np.exp(guess.value), *ends)


def _sgd(train: _Rows, test: _Rows, values: Floats) -> Guess:
    """The notebook's: categories are numbers, and the target is not in logs."""
    inputs = train.flat
    known = np.isfinite(inputs)
    means = np.where(known, inputs, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    model = fit_sgd(np.where(known, inputs, means), values)
    return Guess(model(np.where(np.isfinite(test.flat), test.flat, means)))


def _lightgbm(train: _Rows, test: _Rows, target: Floats, threads: int) -> Guess:
    return Guess(_trees(train, test, target, {"objective": "regression"}, threads))


def _quantiles(train: _Rows, test: _Rows, target: Floats, threads: int) -> Guess:
    """Three quantile models, crossings sorted out; not calibrated, as they are often used."""
    levels = (0.5, (1 - QUANTILE_LEVEL) / 2, (1 + QUANTILE_LEVEL) / 2)
    middle, *ends = (
        _trees(train, test, target, {"objective": "quantile", "alpha": level}, threads)
        for level in levels
    )
    return Guess(middle, np.minimum(*ends), np.maximum(*ends))


def _trees(
    train: _Rows, test: _Rows, target: Floats, objective: Mapping[str, object], threads: int
) -> Floats:
    first = train.numbers.shape[1]
    categories = list(range(first, first + train.codes.shape[1]))
    data = lgb.Dataset(train.flat, target, categorical_feature=categories, free_raw_data=False)
    parameters = {
        "learning_rate": 0.05,
        "num_leaves": 31,
        "num_threads": threads,
        "seed": 0,
        "deterministic": True,
        "verbose": -1,
        **objective,
    }
    booster = lgb.train(parameters, data, num_boost_round=_TREES)
    return np.asarray(booster.predict(test.flat), dtype=np.float64)


def _group_means(schema: Schema, train: _Rows, test: _Rows, target: Floats) -> Guess:
    """A table: the mean of the finest group that was seen, of all rows where none was."""
    value = np.full(len(test.codes), target.mean())
    # Coarsest first: a finer group that was seen overwrites what it belongs to.
    for group in sorted(schema.groups, key=len):
        members = [schema.category_names.index(name) for name in group]
        means = _means(train.codes[:, members], target)
        found = [means.get(tuple(key)) for key in test.codes[:, members].tolist()]
        value = np.array([v if f is None else f for v, f in zip(value, found, strict=True)])
    return Guess(value)


def _means(codes: Integers, target: Floats) -> dict[tuple[int, ...], float]:
    keys, inverse = np.unique(codes, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    means = np.bincount(inverse, weights=target) / np.bincount(inverse)
    rows: Sequence[list[int]] = keys.tolist()
    return {tuple(key): float(mean) for key, mean in zip(rows, means, strict=True)}
