"""Trials: how much settings err, on the same folds for all of them.

An error is the log of the mean absolute error of one fold of one metric, so that a difference of
0.01 is 1 %, whatever the metric. Folds are random and grouped by each id and pair, and the rounds
of boosting are chosen within the training part of each: settings that only suit known ids lose.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foretell.catalog import CatalogTable
from foretell.errors import InvalidInput, Violation
from foretell.schema import Schema
from foretell_trainer.blas import one_thread
from foretell_trainer.engine.families import family_of
from foretell_trainer.engine.fitting import left_out_errors
from foretell_trainer.engine.links import derived_metrics
from foretell_trainer.engine.training_set import FitSettings, TrainingSet
from foretell_trainer.prepared import prepare
from foretell_trainer.snapshot import Columns

FOLDS = 3
"""Of each kind of fold."""

_ENOUGH_TRIALS = 5
_SMALLEST_ERROR = 1e-12

Tuned = Mapping[str, float]


@dataclass(frozen=True)
class Ground:
    """What all trials of a search are run on."""

    training: TrainingSet
    metrics: tuple[int, ...]
    """Those that are fitted; others follow from them by a link."""
    settings: FitSettings
    """Of the default: with nothing tuned."""
    fingerprint: str
    """Of all that an error depends on: trials of one ground can be compared."""

    @classmethod
    def of(
        cls,
        schema: Schema,
        columns: Columns,
        catalogs: Sequence[CatalogTable],
        settings: FitSettings,
    ) -> Ground:
        """Prepare the rows of a snapshot.

        Raises InvalidInput for a family of which nothing can be tuned.
        """
        if family_of(settings.family).base == "sgd":
            why = f"{settings.family!r} has nothing to search for: its step is a constant"
            raise InvalidInput([Violation("family", settings.family, why)])
        _, encoded, training = prepare(schema, columns, catalogs)
        derived = {d.metric for d in derived_metrics(schema, encoded.numbers, columns.metrics)}
        metrics = tuple(m for m in range(len(schema.metrics)) if m not in derived)
        plain = replace(settings, tuned={}, random_folds=FOLDS, grouped_folds=FOLDS)
        return cls(training, metrics, plain, _fingerprint(schema, training, plain))

    def errors(
        self, tuned: Tuned, seed: int, should_stop: Callable[[], bool]
    ) -> Iterator[tuple[tuple[int, str], float]]:
        """Yield, for each fold of each metric, (metric, kind of fold) and the error.

        The seed says which folds.
        """
        settings = replace(self.settings, tuned=dict(tuned), seed=seed)
        with one_thread():
            for metric in self.metrics:
                for kind, errors in left_out_errors(self.training, metric, settings, should_stop):
                    yield (metric, kind), math.log(max(float(errors.mean()), _SMALLEST_ERROR))


@dataclass(frozen=True)
class Bar:
    """What a trial must be below after each fold to go on; None where there are too few others.

    It is the median of the trials so far (Golovin et al., KDD 2017).
    """

    values: tuple[float | None, ...] = ()

    @classmethod
    def of(cls, trials: Sequence[Sequence[float]]) -> Bar:
        """Return the bar that the errors of other trials set."""
        longest = max(map(len, trials), default=0)
        means = [np.cumsum(errors) / np.arange(1, len(errors) + 1) for errors in trials]
        reached = [[own[step] for own in means if len(own) > step] for step in range(longest)]
        enough = [found if len(found) >= _ENOUGH_TRIALS else None for found in reached]
        return cls(tuple(None if found is None else float(np.median(found)) for found in enough))

    def stops(self, errors: Sequence[float]) -> bool:
        """Return whether a trial with these errors so far has no prospect."""
        step = len(errors) - 1
        # One fold of each kind at the least: their difficulties differ.
        if step < FOLDS or step >= len(self.values) - 1:
            return False
        bar = self.values[step]
        return bar is not None and sum(errors) / len(errors) > bar


@dataclass(frozen=True)
class Result:
    """What came of a trial: errors fold by fold, not all of them if it was stopped early."""

    errors: tuple[float, ...]
    stopped: bool = False
    failure: str = ""

    @property
    def mean(self) -> float:
        """The mean error, which a search makes small."""
        return sum(self.errors) / len(self.errors)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        return {"errors": self.errors, "stopped": self.stopped, "failure": self.failure}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """Return the result that `to_json` gave."""
        return cls(tuple(data["errors"]), bool(data["stopped"]), str(data["failure"]))


def run_trial(
    ground: Ground,
    tuned: Tuned,
    bar: Bar = Bar(),
    should_stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Run a trial to its end, or until it has no prospect. Raises Cancelled."""
    errors: list[float] = []
    for _, error in ground.errors(tuned, ground.settings.seed, should_stop):
        errors.append(error)
        if bar.stops(errors):
            return Result(tuple(errors), stopped=True)
    return Result(tuple(errors))


def _fingerprint(schema: Schema, training: TrainingSet, settings: FitSettings) -> str:
    digest = hashlib.sha256(f"{schema.fingerprint} {settings}".encode())
    inputs = training.inputs
    for array in (inputs.standard, inputs.codes, inputs.missing, training.metrics):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
