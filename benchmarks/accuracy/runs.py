"""Runs: one split of one data set, from rows to a record."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from benchmarks.accuracy.baselines import BASELINES, Guess, guesses
from benchmarks.accuracy.records import Key, Record
from benchmarks.accuracy.scores import baseline_scores, our_scores
from benchmarks.accuracy.splits import Fold, Split
from benchmarks.bundles import Fit, Predicted, Stage, fit_bundle, pooled, predict
from benchmarks.datasets import Loaded
from foretell_trainer.engine.inputs import Integers

QUICK_ROWS = 1500
"""How many rows, at most, a quick run trains on and tests."""


@dataclass(frozen=True)
class _FoldResult:
    fold: Fold
    fit: Fit
    predicted: Predicted
    baselines: dict[str, list[Guess]]


def run(loaded: Loaded, split: Split, key: Key, threads: int, stage: Stage) -> Record:
    """Fit, predict and score the folds of a split; the rows of all folds are scored together."""
    results: list[_FoldResult] = []
    for number, fold in enumerate(_folds(loaded, split, key), start=1):

        def tell(name: str, fraction: float, number: int = number) -> None:
            stage(f"fold {number} of up to {key.folds}: {name}", fraction)

        fit = fit_bundle(loaded, fold.train, threads, tell)
        predicted = predict(fit, loaded, fold.test)
        tell("baselines", 1.0)
        others = guesses(fit, loaded, fold.train, fold.test, threads) if key.baselines else {}
        results.append(_FoldResult(fold, fit, predicted, others))
    return Record(
        key=key,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        folds=len(results),
        left_out=tuple(r.fold.left_out for r in results if r.fold.left_out),
        rejected=loaded.rejected,
        train_rows=round(float(np.mean([len(r.fold.train) for r in results]))),
        fit_seconds=float(np.mean([r.fit.seconds for r in results])),
        bundle_bytes=round(float(np.mean([r.fit.size for r in results]))),
        row_us=float(np.median([r.predicted.row_us for r in results])),
        metrics=_scores(loaded, results),
    )


def _folds(loaded: Loaded, split: Split, key: Key) -> Iterator[Fold]:
    for fold in itertools.islice(split.folds(loaded), key.folds):
        if key.quick:
            fold = replace(fold, train=_some(fold.train), test=_some(fold.test))  # noqa: PLW2901
        yield fold


def _some(rows: Integers) -> Integers:
    chosen = np.random.default_rng(0).permutation(len(rows))[:QUICK_ROWS]
    return rows[np.sort(chosen)]


def _scores(loaded: Loaded, results: list[_FoldResult]) -> dict[str, dict[str, object]]:
    forecasts, actual = pooled([result.predicted for result in results])
    tested = np.concatenate([result.fold.test for result in results])
    ids = [group[0] for group in loaded.schema.groups if len(group) == 1]
    groups = {name: loaded.labels(name)[tested].tolist() for name in ids}
    found: dict[str, dict[str, object]] = {}
    for m, metric in enumerate(loaded.schema.metrics):
        ours = our_scores(forecasts, actual, m, groups)
        ours["baselines"] = {
            name: baseline_scores(
                _joined([result.baselines[name][m] for result in results]),
                actual[:, m],
                log=metric.scale == "log",
            )
            for name in BASELINES
            if results[0].baselines and ours["rows"]
        }
        found[metric.name] = ours
    return found


def _joined(parts: list[Guess]) -> Guess:
    value = np.concatenate([part.value for part in parts])
    lower = [part.lower for part in parts if part.lower is not None]
    upper = [part.upper for part in parts if part.upper is not None]
    if not lower:
        return Guess(value)
    return Guess(value, np.concatenate(lower), np.concatenate(upper))
