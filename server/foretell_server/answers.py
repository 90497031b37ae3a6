"""Answers: what a plan reads from the forecasts of some rows. Plain arrays, no messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from foretell.forecast import Floats, Forecasts
from foretell.predictor import Prediction
from foretell.schema import Metric
from foretell_server.options import CostQuestion, MetricPlan, Plan

_K = TypeVar("_K")


@dataclass(frozen=True, slots=True)
class MetricAnswer:
    """All that was asked about one metric; every array is [n], in the metric's unit."""

    metric: Metric
    median: Floats
    lower: Floats
    upper: Floats
    confidence: Floats
    """P(|actual - median| ≤ tolerance · median), in [0, 1]."""
    quantiles: tuple[tuple[float, Floats], ...]
    """Level and values, in the order asked."""
    deadlines: tuple[tuple[float, Floats], ...]
    """Value asked about and P(metric ≤ value)."""
    reservations: tuple[tuple[CostQuestion, Floats], ...]
    """Costs asked with, and how much to reserve."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The forecasts of n rows by one bundle."""

    workload: str
    bundle_version: str
    prediction_id: str
    interval_level: float
    metrics: tuple[MetricAnswer, ...]
    support: Floats
    support_floor: float
    """Rows with less support abstain; 0 when none was asked for."""
    tiers: list[str]
    groups: tuple[tuple[str, ...], ...]
    rows: Floats
    """[n, G]: training rows behind the row's value of each group."""
    unknown: tuple[tuple[str, ...], ...]
    """Per row, the category features whose value the bundle has never seen."""
    correction: int
    """The number of the corrections that were applied; 0 when there are none."""

    def __len__(self) -> int:
        return len(self.support)

    @property
    def abstained(self) -> NDArray[np.bool_]:
        """Which rows have too little support to be relied on, [n]."""
        return self.support < self.support_floor


def read_answers(
    plan: Plan,
    prediction: Prediction,
    *,
    workload: str,
    bundle_version: str,
    groups: tuple[tuple[str, ...], ...],
    prediction_id: str,
) -> Answers:
    """Return what the plan asks, read from the rows' distributions."""
    options = plan.options
    forecasts = prediction.forecasts
    values = forecasts.quantiles(plan.levels)
    confidence = forecasts.confidence(options.confidence_tolerance)
    return Answers(
        workload=workload,
        bundle_version=bundle_version,
        prediction_id=prediction_id,
        interval_level=options.interval_level,
        metrics=tuple(
            _metric_answer(plan, asked, forecasts, values, confidence) for asked in plan.metrics
        ),
        support=prediction.support,
        support_floor=options.support_floor,
        tiers=prediction.tier,
        groups=groups,
        rows=prediction.rows,
        unknown=prediction.unknown,
        correction=prediction.correction,
    )


def _metric_answer(
    plan: Plan, asked: MetricPlan, forecasts: Forecasts, values: Floats, confidence: Floats
) -> MetricAnswer:
    mine = values[:, asked.index]
    name = asked.metric.name
    return MetricAnswer(
        metric=asked.metric,
        median=mine[:, 0],
        lower=mine[:, 1],
        upper=mine[:, 2],
        confidence=confidence[:, asked.index],
        quantiles=tuple((plan.levels[i], mine[:, i]) for i in asked.quantiles),
        deadlines=tuple((t, forecasts.probability_within(name, t)) for t in asked.deadlines),
        reservations=tuple(
            (cost, mine[:, i]) for cost, i in zip(asked.costs, asked.reservations, strict=True)
        ),
    )


def join_answers(parts: Sequence[Answers]) -> Answers:
    """Return the answers about consecutive rows as one."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    by_metric = zip(*(part.metrics for part in parts), strict=True)
    return replace(
        first,
        metrics=tuple(map(_join_metric, by_metric)),
        support=np.concatenate([part.support for part in parts]),
        tiers=[tier for part in parts for tier in part.tiers],
        rows=np.concatenate([part.rows for part in parts]),
        unknown=tuple(names for part in parts for names in part.unknown),
    )


def _join_metric(parts: Sequence[MetricAnswer]) -> MetricAnswer:
    return MetricAnswer(
        metric=parts[0].metric,
        median=np.concatenate([part.median for part in parts]),
        lower=np.concatenate([part.lower for part in parts]),
        upper=np.concatenate([part.upper for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
        quantiles=_join_asked([part.quantiles for part in parts]),
        deadlines=_join_asked([part.deadlines for part in parts]),
        reservations=_join_asked([part.reservations for part in parts]),
    )


def _join_asked(parts: Sequence[tuple[tuple[_K, Floats], ...]]) -> tuple[tuple[_K, Floats], ...]:
    return tuple(
        (pairs[0][0], np.concatenate([values for _, values in pairs]))
        for pairs in zip(*parts, strict=True)
    )
