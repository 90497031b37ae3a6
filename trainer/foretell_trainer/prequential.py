"""Prequential evaluation: a data set replayed in time, each row predicted and then learnt from.

What it shows is how fast a family learns, on data as it comes (Dawid, JRSS A 1984; Gama et al.,
Machine Learning 2013). `sgd` takes one step after each row, as in the reference notebook's
dynamic experiment; the other families are fitted anew every so many rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foretell.catalog import CatalogTable
from foretell.columns import Codes, Numbers
from foretell.errors import Cancelled, InvalidInput, Violation
from foretell.schema import Schema
from foretell_trainer.blas import one_thread
from foretell_trainer.engine.families import family_of
from foretell_trainer.engine.fitting import SMALLEST_TRAINING_SET, locate
from foretell_trainer.engine.inputs import Floats, Inputs
from foretell_trainer.engine.linear import design_matrix, fit_layout
from foretell_trainer.engine.links import derived_metrics
from foretell_trainer.engine.sgd import Descent
from foretell_trainer.engine.training_set import FitSettings, Progress, TrainingSet
from foretell_trainer.prepared import prepare
from foretell_trainer.snapshot import Columns

_LARGEST_LOG = 600.0
"""What a step that went astray predicts is wrong enough; an infinity would have no mean."""


@dataclass(frozen=True)
class Score:
    """How far predictions of one metric were off, over some rows."""

    rows: int
    rmse: float
    nrmse: float
    """The RMSE over the standard deviation of all values so far: 1 is no better than a mean."""
    mape: float
    """A fraction."""


@dataclass(frozen=True)
class Point:
    """One point of the learning curve; per metric the last rows, and all rows so far."""

    learnt: int
    """From how many rows the last predictions were learnt, at least."""
    predicted: int
    """How many rows were predicted so far."""
    last: Mapping[str, Score]
    so_far: Mapping[str, Score]


def replay(
    schema: Schema,
    columns: Columns,
    catalogs: Sequence[CatalogTable],
    settings: FitSettings,
    *,
    every: int = 100,
    progress: Progress = lambda _stage, _fraction, _numbers: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Point]:
    """Replay rows in time, rows of one moment in the order of the file; yield every `every` rows.

    The first `every` rows are only learnt from. Raises InvalidInput when there are no more than
    that, or `every` is too few to learn from; Cancelled.
    """
    _check(len(columns), every)
    rows = columns.take(np.argsort(columns.time, kind="stable"))
    predicted = np.full(rows.metrics.shape, np.nan)
    by_step = family_of(settings.family).base == "sgd"
    for start in range(every, len(rows), every):
        if should_stop():
            raise Cancelled
        progress("replaying", start / len(rows), {"rows": start})
        block = np.arange(start, min(start + every, len(rows)))
        answer = _stepwise if by_step else _refitted
        seen = _Seen.of(schema, rows.take(np.arange(start)), catalogs)
        predicted[block] = answer(seen, rows.take(block), settings, should_stop)
        past = np.arange(every, block[-1] + 1)
        yield Point(
            learnt=start,
            predicted=len(past),
            last=_scores(schema, predicted, rows.metrics, block),
            so_far=_scores(schema, predicted, rows.metrics, past),
        )


@dataclass(frozen=True)
class _Seen:
    """What was learnt from so far, and how to see other rows with the same eyes."""

    schema: Schema
    training: TrainingSet
    numbers: Numbers
    encode: Callable[[Columns], tuple[Numbers, Codes]]

    @classmethod
    def of(cls, schema: Schema, rows: Columns, catalogs: Sequence[CatalogTable]) -> _Seen:
        encoder, encoded, training = prepare(schema, rows, catalogs)

        def encode(others: Columns) -> tuple[Numbers, Codes]:
            found, _ = encoder.encode_table(others.features, named="name")
            return found.numbers, found.categories

        return cls(schema, training, encoded.numbers, encode)

    def measured(self, metric: int) -> int:
        return int(np.isfinite(self.training.metrics[:, metric]).sum())


def _refitted(
    seen: _Seen, block: Columns, settings: FitSettings, should_stop: Callable[[], bool]
) -> Floats:
    """Fit to all that was seen, and predict the block, [n, M]."""
    training = seen.training
    numbers, categories = seen.encode(block)
    inputs = training.input_map(numbers, categories)
    location = np.full(block.metrics.shape, np.nan)
    derived = derived_metrics(seen.schema, seen.numbers, training.metrics)
    for m in set(range(len(seen.schema.metrics))) - {d.metric for d in derived}:
        if seen.measured(m) >= SMALLEST_TRAINING_SET:
            with one_thread():
                found, unit = locate(training, m, settings, should_stop)
            location[:, m] = found.predict(inputs) * unit
    for d in derived:
        offset = d.offset(training.input_map, numbers, categories)
        location[:, d.metric] = d.power * location[:, d.source] + offset
    return _in_units(seen.schema, location)


def _stepwise(
    seen: _Seen, block: Columns, settings: FitSettings, should_stop: Callable[[], bool]
) -> Floats:
    """Predict row after row of the block, [n, M], and take a step after each."""
    inputs = seen.training.input_map(*seen.encode(block))
    location = np.full(block.metrics.shape, np.nan)
    for m in range(len(seen.schema.metrics)):
        if should_stop():
            raise Cancelled
        if seen.measured(m) >= SMALLEST_TRAINING_SET:
            location[:, m] = _steps(seen, m, inputs, block.metrics[:, m], settings.seed)
    return _in_units(seen.schema, location)


def _steps(seen: _Seen, metric: int, inputs: Inputs, values: Floats, seed: int) -> Floats:
    training = seen.training
    layout = fit_layout(training.sizes, training.inputs, training.ids, training.extrapolated)
    log = seen.schema.metrics[metric].scale == "log"
    known = np.isfinite(training.metrics[:, metric])
    past = training.metrics[known, metric]
    past = np.log(past) if log else past
    target = np.log(values) if log else values
    # Values of any size make steps of one size.
    centre, unit = float(np.mean(past)), float(np.std(past)) or 1.0
    design = design_matrix(training.inputs.take(known), layout)
    descent = Descent(design.shape[1], seed=seed)
    # One pass in the order of time is what a step after each row has come to: only that the
    # columns are those of today, with all ids that were met since.
    descent.learn(design, (past - centre) / unit)
    coming = design_matrix(inputs, layout)
    predicted = np.empty(len(values))
    for row in range(len(values)):
        one = coming[row]
        predicted[row] = (one @ descent.weights)[0] * unit + centre
        if np.isfinite(target[row]):
            descent.learn(one, (target[[row]] - centre) / unit)
    return predicted


def _in_units(schema: Schema, location: Floats) -> Floats:
    log = np.array([metric.scale == "log" for metric in schema.metrics])
    bounded = np.where(log, np.minimum(location, _LARGEST_LOG), 0.0)
    return np.where(log, np.exp(bounded), location)


def _scores(
    schema: Schema, predicted: Floats, actual: Floats, rows: np.ndarray
) -> dict[str, Score]:
    scores = {}
    for m, metric in enumerate(schema.metrics):
        guess, truth = predicted[rows, m], actual[rows, m]
        both = np.isfinite(guess) & np.isfinite(truth)
        if not both.any():
            continue
        error = guess[both] - truth[both]
        so_far = actual[: rows[-1] + 1, m]
        spread = float(np.nanstd(so_far)) or 1.0
        rmse = float(np.sqrt((error**2).mean()))
        mape = float(np.mean(np.abs(error) / np.maximum(np.abs(truth[both]), 1e-300)))
        scores[metric.name] = Score(int(both.sum()), rmse, rmse / spread, mape)
    return scores


def _check(rows: int, every: int) -> None:
    if every < SMALLEST_TRAINING_SET:
        why = f"{every} rows are too few to learn from; at least {SMALLEST_TRAINING_SET}"
        raise InvalidInput([Violation("every", str(every), why)])
    if rows <= every:
        why = f"{rows} rows are all learnt from, with {every} before the first prediction"
        raise InvalidInput([Violation("every", str(every), why)])
