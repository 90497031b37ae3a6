"""From the messages of PredictionService to predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell.client.batch import Chunk, MetricColumns, Predictions, ReservationColumn
from foretell.client.columns import flags, numbers
from foretell.client.results import (
    GroupRows,
    Interval,
    MetricForecast,
    Prediction,
    Reservation,
    Tier,
)
from foretell.errors import ForetellError
from foretell.v1 import common_pb2, prediction_pb2

TIERS: dict[int, Tier] = {
    common_pb2.TIER_REPEAT: "repeat",
    common_pb2.TIER_WARM: "warm",
    common_pb2.TIER_FEW_SHOT: "few-shot",
    common_pb2.TIER_COLD: "cold",
}
"""The names of the tiers by the enum's values."""

# Indexed by a byte, so that a whole column is looked up at once.
_TIER_NAMES = np.array([TIERS.get(value, "unknown") for value in range(256)])


def prediction(message: prediction_pb2.PredictResponse) -> Prediction:
    """Return the forecast of one item."""
    provenance = message.provenance
    return Prediction(
        workload=provenance.workload,
        metrics={m.metric: _forecast(m) for m in message.metrics},
        bundle_version=provenance.bundle_version,
        tier=TIERS.get(provenance.tier, "unknown"),
        groups=tuple(GroupRows(tuple(g.features), g.training_rows) for g in provenance.groups),
        unknown_features=tuple(provenance.unknown_features),
        prediction_id=message.prediction_id,
        correction=provenance.correction,
    )


def _forecast(m: prediction_pb2.MetricForecast) -> MetricForecast:
    return MetricForecast(
        metric=m.metric,
        unit=m.unit,
        median=m.median,
        interval=Interval(m.interval.lower, m.interval.upper, m.interval.level),
        quantiles={q.level: q.value for q in m.quantiles},
        confidence=m.confidence,
        support=m.support,
        abstained=m.abstained,
        abstention_reason=m.abstention_reason,
        deadlines={d.value: d.probability for d in m.deadlines},
        reservations=tuple(
            Reservation(r.under_cost, r.over_cost, r.level, r.value) for r in m.reservations
        ),
    )


def predictions(messages: Sequence[prediction_pb2.PredictBatchResponse]) -> Predictions:
    """Return the forecasts of many items from the answers to their chunks, in order."""
    parts = []
    start = 0
    for message in messages:
        parts.append(_predictions(message, start))
        start += message.row_count
    return parts[0] if len(parts) == 1 else _joined(parts)


def _predictions(message: prediction_pb2.PredictBatchResponse, start: int) -> Predictions:
    rows = message.row_count
    tiers = np.frombuffer(message.raw_tiers or bytes(message.tiers), dtype=np.uint8)
    if len(tiers) != rows:
        raise ForetellError(f"the server sent the tiers of {len(tiers)} rows instead of {rows}")
    return Predictions(
        workload=message.workload,
        metrics={m.metric: _metric_columns(m, rows) for m in message.metrics},
        support=numbers(message.support, rows),
        abstained=flags(message.abstained, rows),
        tiers=_TIER_NAMES[tiers],
        groups={
            tuple(g.features): numbers(g.training_rows, rows).astype(np.int64)
            for g in message.groups
        },
        unknown_features={
            u.feature: np.array(u.rows, dtype=np.int64) + start for u in message.unknown_features
        },
        chunks=(Chunk(start, message.prediction_id, message.bundle_version, message.correction),),
    )


def _metric_columns(m: prediction_pb2.MetricColumns, rows: int) -> MetricColumns:
    return MetricColumns(
        metric=m.metric,
        unit=m.unit,
        median=numbers(m.median, rows),
        lower=numbers(m.lower, rows),
        upper=numbers(m.upper, rows),
        interval_level=m.interval_level,
        confidence=numbers(m.confidence, rows),
        quantiles={q.level: numbers(q.values, rows) for q in m.quantiles},
        deadlines={d.value: numbers(d.probabilities, rows) for d in m.deadlines},
        reservations=tuple(
            ReservationColumn(r.under_cost, r.over_cost, r.level, numbers(r.values, rows))
            for r in m.reservations
        ),
    )


def _joined(parts: Sequence[Predictions]) -> Predictions:
    first = parts[0]
    unknown = {name for part in parts for name in part.unknown_features}
    none = np.empty(0, dtype=np.int64)
    return Predictions(
        workload=first.workload,
        metrics={name: _joined_metric([p.metrics[name] for p in parts]) for name in first.metrics},
        support=np.concatenate([p.support for p in parts]),
        abstained=np.concatenate([p.abstained for p in parts]),
        tiers=np.concatenate([p.tiers for p in parts]),
        groups={key: np.concatenate([p.groups[key] for p in parts]) for key in first.groups},
        unknown_features={
            name: np.concatenate([p.unknown_features.get(name, none) for p in parts])
            for name in sorted(unknown)
        },
        chunks=tuple(chunk for part in parts for chunk in part.chunks),
    )


def _joined_metric(parts: Sequence[MetricColumns]) -> MetricColumns:
    first = parts[0]
    return MetricColumns(
        metric=first.metric,
        unit=first.unit,
        median=np.concatenate([p.median for p in parts]),
        lower=np.concatenate([p.lower for p in parts]),
        upper=np.concatenate([p.upper for p in parts]),
        interval_level=first.interval_level,
        confidence=np.concatenate([p.confidence for p in parts]),
        quantiles={q: np.concatenate([p.quantiles[q] for p in parts]) for q in first.quantiles},
        deadlines={d: np.concatenate([p.deadlines[d] for p in parts]) for d in first.deadlines},
        reservations=tuple(
            ReservationColumn(
                r.under_cost,
                r.over_cost,
                r.level,
                np.concatenate([p.reservations[i].values for p in parts]),
            )
            for i, r in enumerate(first.reservations)
        ),
    )
