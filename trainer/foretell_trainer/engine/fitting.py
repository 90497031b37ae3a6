"""Fitting: from a training set to the fitted models and tables of every metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foretell.errors import InvalidInput, Violation
from foretell.schema import Schema
from foretell_trainer.engine.folds import FoldKind, fold_kinds
from foretell_trainer.engine.inputs import Floats, Integers
from foretell_trainer.engine.links import Derived
from foretell_trainer.engine.location import FEW_ROWS, Location
from foretell_trainer.engine.metric import FittedMetric, MetricFit
from foretell_trainer.engine.seen import GroupCounts, Seen, choose_anchors, count_groups
from foretell_trainer.engine.training_set import FitSettings, Progress, TrainingSet

_MORE_PAIR_FOLDS = 2
"""How many times as many folds there are of pairs as of ids, where there are few rows."""

SMALLEST_TRAINING_SET = 10
"""With fewer rows of a metric than this there is nothing to calibrate on."""


@dataclass(frozen=True)
class Fitted:
    """All that goes into a graph."""

    training: TrainingSet
    metrics: tuple[FittedMetric, ...]
    derived: tuple[Derived, ...]
    seen: tuple[Seen, ...]
    """First of the rows that any metric was fitted on, then of each other set of rows."""
    seen_by: Mapping[int, int]
    """Per metric, derived ones included, the position in `seen` of its own rows."""

    @property
    def counts(self) -> GroupCounts:
        """What stands behind an answer, whichever the metric."""
        return self.seen[0].counts


def fit(
    training: TrainingSet,
    derived: Sequence[Derived],
    settings: FitSettings,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> Fitted:
    """Fit every metric that is not derived.

    Raises InvalidInput when a metric has too few rows, Cancelled when asked to stop.
    """
    skipped = {d.metric for d in derived}
    chosen = [m for m in range(len(training.schema.metrics)) if m not in skipped]
    measured = np.isfinite(training.metrics).sum(axis=0)
    for metric in chosen:
        _check_enough(training.schema, metric, int(measured[metric]))
    seen, seen_by = what_was_seen(training, chosen, settings.seed)
    fitted = []
    for place, metric in enumerate(chosen):
        rows = np.flatnonzero(np.isfinite(training.metrics[:, metric]))
        kinds = _kinds(training, rows, settings)
        name = training.schema.metrics[metric].name

        def tell(
            stage: str,
            share: float,
            numbers: Mapping[str, float],
            place: int = place,
            name: str = name,
        ) -> None:
            progress(f"{stage} {name}", (place + share) / len(chosen), numbers)

        alone = len(chosen) == 1
        one = MetricFit(
            training,
            metric,
            rows,
            kinds,
            settings,
            tell,
            should_stop,
            alone=alone,
            derived=derived,
        )
        fitted.append(one.fit())
    seen_by |= {d.metric: seen_by[d.source] for d in derived}
    return Fitted(training, tuple(fitted), tuple(derived), seen, seen_by)


def locate(
    training: TrainingSet,
    metric: int,
    settings: FitSettings,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[Location, float]:
    """Fit the location of one metric alone, without scale and calibration.

    Returns it and the unit that its predictions are multiples of. Raises Cancelled.
    """
    one = _alone(training, metric, settings, should_stop)
    return one.location(), one.unit


def left_out_errors(
    training: TrainingSet,
    metric: int,
    settings: FitSettings,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[str, Floats]]:
    """Yield, for fold after fold, its kind and the absolute errors of the rows left out.

    Errors are in logs for a metric on a log scale, else in its standard deviations. The folds
    are those of a fit with these settings and seed, random and grouped ones. Raises Cancelled.
    """
    yield from _alone(training, metric, settings, should_stop).left_out_errors()


def _alone(
    training: TrainingSet, metric: int, settings: FitSettings, should_stop: Callable[[], bool]
) -> MetricFit:
    rows = np.flatnonzero(np.isfinite(training.metrics[:, metric]))
    _check_enough(training.schema, metric, len(rows))
    kinds = _kinds(training, rows, settings)
    return MetricFit(training, metric, rows, kinds, settings, lambda *_: None, should_stop)


def _kinds(training: TrainingSet, rows: Integers, settings: FitSettings) -> list[FoldKind]:
    counts = count_groups(training.schema, training.sizes, training.inputs.codes)
    groups = list(zip(("/".join(g) for g in counts.names), counts.members, strict=True))
    # Without a third of a few pairs, little is known of the rest: no rehearsal of a new one.
    more = _MORE_PAIR_FOLDS if len(rows) < FEW_ROWS else 1
    return fold_kinds(
        training.inputs.codes[rows],
        groups,
        random_count=settings.random_folds,
        grouped_count=settings.grouped_folds,
        pair_count=more * settings.grouped_folds,
        seed=settings.seed,
    )


def what_was_seen(
    training: TrainingSet, metrics: Sequence[int], seed: int
) -> tuple[tuple[Seen, ...], dict[int, int]]:
    """Return what is seen in the rows of any metric and of each, and which is each metric's."""
    measured = np.isfinite(training.metrics[:, metrics])
    places: dict[bytes, int] = {}
    seen: list[Seen] = []
    for rows in (measured.any(axis=1), *measured.T):
        if rows.tobytes() not in places:
            places[rows.tobytes()] = len(seen)
            inputs = training.inputs.take(rows)
            counts = count_groups(training.schema, training.sizes, inputs.codes)
            seen.append(Seen(counts, choose_anchors(inputs.standard, seed)))
    return tuple(seen), {m: places[measured[:, i].tobytes()] for i, m in enumerate(metrics)}


def _check_enough(schema: Schema, metric: int, rows: int) -> None:
    if rows < SMALLEST_TRAINING_SET:
        name = schema.metrics[metric].name
        why = f"{rows} measured values; at least {SMALLEST_TRAINING_SET} are needed to calibrate"
        raise InvalidInput([Violation(name, str(rows), why)])


def left_out(fitted: Fitted) -> Floats:
    """Return the logs of how much wider each fitted metric is without each number, [F, M]."""
    nothing = np.zeros(len(fitted.training.input_map.mean))
    found = [m.scale.left_out for m in fitted.metrics]
    return np.column_stack([nothing if one is None else one for one in found])


def derived_tables(tables: Floats, power: float) -> Floats:
    """Return the tables [T, Q] of a metric that is a power of the one they are for."""
    return tables if power > 0 else -tables[:, ::-1]
