"""Curves: one number swept, everything else held; where they bend, and where they are best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foretell.columns import Flags
from foretell.decide.limits import Bound
from foretell.decide.quantities import Violations
from foretell.decide.questions import Curve
from foretell.decide.risk import Loss
from foretell.decide.rows import Rows
from foretell.encoding import Encoder
from foretell.errors import listing
from foretell.forecast import Floats
from foretell.schema import Feature, Metric

DEFAULT_POINTS = 33
MOST_POINTS = 10_000

KNEE_ELASTICITY = 0.5
"""Half-way between growing in proportion (1) and not at all (0)."""
_NEIGHBOURHOOD = math.log(2.0)
_FEWEST_FOR_A_KNEE = 5


@dataclass(frozen=True, slots=True)
class CurveMetric:
    """One metric along a curve; arrays are [points], in the metric's unit."""

    metric: str
    unit: str
    median: Floats
    lower: Floats
    upper: Floats
    knee: float
    """The value of the feature at which the curve bends; NaN where it does not."""


@dataclass(frozen=True, slots=True)
class BestPoint:
    """The point that minimises the objective among those that keep every limit."""

    index: int
    value: float
    objective: float
    """What it is chosen by, in the objective's unit."""


@dataclass(frozen=True, slots=True)
class CurveAnswer:
    """The metrics along one feature."""

    workload: str
    bundle_version: str
    feature: str
    unit: str
    log: bool
    """Whether the feature is on a log scale."""
    interval_level: float
    values: Floats
    metrics: tuple[CurveMetric, ...]
    support: Floats
    objective: str
    """"" when none was asked for."""
    objective_unit: str
    objectives: Floats
    """[points], what the points are chosen by, or empty."""
    holds: Floats
    """[points], the least of the probabilities with which the point keeps each limit; 1 without
    limits."""
    keeps: tuple[bool, ...]
    """Whether each point keeps every limit with the probability asked for."""
    best: BestPoint | None
    """None when no objective was asked for, or no point keeps the limits; `why` says which."""
    why: str


def swept_feature(question: Curve, encoder: Encoder, note: Violations) -> Feature | None:
    """Return the feature of a curve; None once it is noted that it cannot be swept."""
    numbers = {f.name: f for f in encoder.schema.inputs if f.kind == "number"}
    feature = numbers.get(question.feature)
    if feature is None:
        message = f"{question.feature!r} is no number; one of {listing(list(numbers))}"
        note.add("feature", question.feature, message)
    elif question.feature in question.features:
        note.add(f"features[{question.feature}]", "", f"{question.feature!r} is what is swept")
    return feature


def curve_points(question: Curve, feature: Feature, note: Violations) -> Floats:
    """Return the values to sweep, increasing; empty once it is noted what is wrong with them."""
    ranged = question.start is not None or question.stop is not None or question.points
    if question.values and ranged:
        note.add("values", "", "are instead of start, stop and points; set only one")
        return np.zeros(0)
    if question.values:
        values = np.array(question.values, dtype=np.float64)
        if len(values) > MOST_POINTS:
            note.add("values", len(values), f"at most {MOST_POINTS} values are allowed")
        if not np.all(np.diff(values) > 0):
            note.add("values", "", "values must increase")
        return values
    return _range(question, feature, note)


def _range(question: Curve, feature: Feature, note: Violations) -> Floats:
    start, stop = question.start, question.stop
    if start is None or stop is None:
        note.add("values", "", "are needed, or start and stop")
        return np.zeros(0)
    if not (math.isfinite(start) and math.isfinite(stop) and start < stop):
        note.add("start", start, f"{start:g} is not below stop, {stop:g}")
        return np.zeros(0)
    count = question.points or DEFAULT_POINTS
    if not 2 <= count <= MOST_POINTS:
        note.add("points", count, f"{count} points are not between 2 and {MOST_POINTS}")
        return np.zeros(0)
    on_log = feature.scale == "log" and start > 0
    spaced: Floats = (np.geomspace if on_log else np.linspace)(start, stop, count)
    # Of what is counted (a batch, tokens), the best point shall be one that there is.
    counted = float(start).is_integer() and float(stop).is_integer() and stop - start >= count
    return np.unique(np.rint(spaced)) if counted else spaced


def knee(values: Floats, median: Floats, metric: Metric) -> float:
    """Return where a curve bends, NaN where it does not, or not enough of it is there.

    The elasticity, d log(metric) / d log(feature), is 1 where a metric grows in proportion and
    0 where it does not grow at all. A throughput that saturates goes from 1 to 0 along the
    batch size, the latency of the batch from 0 to 1; both bend where it crosses one half.
    """
    usable = metric.scale == "log" and bool((values > 0).all()) and bool((median > 0).all())
    if not usable or len(values) < _FEWEST_FOR_A_KNEE:
        return math.nan
    x = np.log(values)
    slopes = _slopes(x, np.log(median))
    side = slopes >= KNEE_ELASTICITY
    crossings = np.flatnonzero(side[1:] != side[:-1])
    if len(crossings) != 1:  # none, or a curve that wavers
        return math.nan
    i = int(crossings[0])
    share = (KNEE_ELASTICITY - slopes[i]) / (slopes[i + 1] - slopes[i])
    return float(np.exp(x[i] + share * (x[i + 1] - x[i])))


def _slopes(x: Floats, y: Floats) -> Floats:
    """Return the slope around each point, by least squares over its neighbourhood.

    Boosted trees answer in small steps; the neighbourhood, a factor of two each way, spans them.
    """
    weights = np.exp(-0.5 * ((x[:, None] - x[None, :]) / _NEIGHBOURHOOD) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    mean_x, mean_y = weights @ x, weights @ y
    from_x = x[None, :] - mean_x[:, None]
    joint = (weights * from_x * (y[None, :] - mean_y[:, None])).sum(axis=1)
    slopes: Floats = joint / (weights * from_x**2).sum(axis=1)
    return slopes


def metric_along(
    metric: Metric, values: Floats, median: Floats, ends: Sequence[Floats]
) -> CurveMetric:
    """Return one metric along the curve."""
    bend = knee(values, median, metric)
    return CurveMetric(metric.name, metric.unit, median, ends[0], ends[1], bend)


def trace(
    question: Curve,
    feature: Feature,
    values: Floats,
    rows: Rows,
    loss: Loss | None,
    bounds: Sequence[Bound],
    version: str,
) -> CurveAnswer:
    """Return the curve of points that are forecast."""
    forecasts, schema = rows.prediction.forecasts, rows.quantities.schema
    median = forecasts.median()
    ends = forecasts.interval(question.interval_level)
    keeping = [bound.keeping(rows) for bound in bounds]
    everywhere = np.ones(len(values))
    holds = np.min([everywhere, *(k.probability for k in keeping)], axis=0)
    keeps = np.logical_and.reduce([everywhere > 0, *(k.holds for k in keeping)])
    told, best = np.zeros(0), None
    why = "no objective was asked for"
    if loss is not None:
        measured = loss.measure(loss.losses({q.name: rows.values(q) for q in loss.quantities}))
        told = loss.told(measured)
        best, why = _best(values, measured, told, keeps, bounds)
    return CurveAnswer(
        workload=schema.workload,
        bundle_version=version,
        feature=feature.name,
        unit=feature.unit,
        log=feature.scale == "log",
        interval_level=question.interval_level,
        values=values,
        metrics=tuple(
            metric_along(metric, values, median[:, m], [end[:, m] for end in ends])
            for m, metric in enumerate(schema.metrics)
        ),
        support=rows.prediction.support,
        objective=loss.name if loss else "",
        objective_unit=loss.unit if loss else "",
        objectives=told,
        holds=holds,
        keeps=tuple(keeps.tolist()),
        best=best,
        why=why,
    )


def _best(
    values: Floats, measured: Floats, told: Floats, keeps: Flags, bounds: Sequence[Bound]
) -> tuple[BestPoint | None, str]:
    limits = " and ".join(map(str, bounds))
    usable = keeps & ~np.isnan(measured)
    if not usable.any():
        known = (
            "what the objective needs is not known" if keeps.any() else f"no point keeps {limits}"
        )
        return None, known
    i = int(np.flatnonzero(usable)[np.argmin(measured[usable])])
    among = f"{int(usable.sum())} of {len(values)} points keep {limits}" if bounds else "no limits"
    return BestPoint(i, float(values[i]), float(told[i])), among
