"""Between messages and plain values, for predictions. Nothing behind it sees protobuf.

What a request may get wrong in its form (a value without a kind, a column of two forms) is
found here; what it may get wrong in its content is the encoder's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foretell.errors import InvalidInput, Violation
from foretell.v1 import common_pb2, prediction_pb2
from foretell_server.answers import Answers, MetricAnswer
from foretell_server.converters.columns import columns_of, put_flags, put_numbers
from foretell_server.data_plane import Question, TableQuestion
from foretell_server.options import (
    DEFAULT_INTERVAL_LEVEL,
    DEFAULT_OPTIONS,
    DEFAULT_TOLERANCE,
    CostQuestion,
    DeadlineQuestion,
    Options,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foretell.parsing import Value

_ENCODINGS = frozenset(common_pb2.Encoding.values())

TIERS = {
    "repeat": common_pb2.TIER_REPEAT,
    "warm": common_pb2.TIER_WARM,
    "few-shot": common_pb2.TIER_FEW_SHOT,
    "cold": common_pb2.TIER_COLD,
}


def question(request: prediction_pb2.PredictRequest) -> Question:
    """Return what a request asks."""
    return Question(features(request.features), _options(request))


def table_question(request: prediction_pb2.PredictBatchRequest) -> TableQuestion:
    """Return what a request of packed columns asks."""
    if request.encoding not in _ENCODINGS:
        allowed = ", ".join(common_pb2.Encoding.keys())
        message = f"{request.encoding} is not an encoding; allowed: {allowed}"
        raise InvalidInput([Violation("encoding", str(request.encoding), message)])
    rows = request.row_count
    return TableQuestion(columns_of(request.columns, rows), rows, _options(request))


def features(values: Mapping[str, common_pb2.Value]) -> dict[str, Value]:
    """Return a map of values as plain ones; InvalidInput for a value that holds nothing."""
    plain: dict[str, Value] = {}
    for name, value in values.items():
        kind = value.WhichOneof("kind")
        if kind is None:
            message = "holds no value that this server knows; leave out what is missing"
            raise InvalidInput([Violation(f"features[{name}]", "", message)])
        plain[name] = getattr(value, kind)
    return plain


def value_message(value: Value) -> common_pb2.Value:
    """Return the value of a feature."""
    if isinstance(value, bool):
        return common_pb2.Value(flag=value)
    if isinstance(value, str):
        return common_pb2.Value(text=value)
    return common_pb2.Value(number=value)


def _options(
    request: prediction_pb2.PredictRequest | prediction_pb2.PredictBatchRequest,
) -> Options:
    if not request.HasField("options"):
        return DEFAULT_OPTIONS
    sent = request.options
    return Options(
        metrics=tuple(sent.metrics),
        quantiles=tuple(sent.quantiles),
        interval_level=(
            sent.interval_level if sent.HasField("interval_level") else DEFAULT_INTERVAL_LEVEL
        ),
        confidence_tolerance=(
            sent.confidence_tolerance
            if sent.HasField("confidence_tolerance")
            else DEFAULT_TOLERANCE
        ),
        deadlines=tuple(DeadlineQuestion(d.metric, d.value) for d in sent.deadlines),
        costs=tuple(CostQuestion(c.metric, c.under_cost, c.over_cost) for c in sent.costs),
        support_floor=sent.support_floor,
    )


def prediction(answers: Answers) -> prediction_pb2.PredictResponse:
    """Return the answer about one item."""
    support = float(answers.support[0])
    reason = ""
    if support < answers.support_floor:
        reason = f"insufficient evidence: support {support:.3g} < {answers.support_floor:g}"
    return prediction_pb2.PredictResponse(
        metrics=[
            forecast_message(metric, support, reason, answers.interval_level)
            for metric in answers.metrics
        ],
        provenance=prediction_pb2.Provenance(
            workload=answers.workload,
            bundle_version=answers.bundle_version,
            tier=TIERS[answers.tiers[0]],
            groups=[
                prediction_pb2.GroupRows(features=names, training_rows=int(rows))
                for names, rows in zip(answers.groups, answers.rows[0].tolist(), strict=True)
            ],
            unknown_features=answers.unknown[0],
            correction=answers.correction,
        ),
        prediction_id=answers.prediction_id,
    )


def forecast_message(
    m: MetricAnswer, support: float, reason: str, level: float
) -> prediction_pb2.MetricForecast:
    """Return the forecast of the first row of one metric; `reason` is why it abstains."""
    return prediction_pb2.MetricForecast(
        metric=m.metric.name,
        unit=m.metric.unit,
        median=m.median[0],
        interval=prediction_pb2.Interval(lower=m.lower[0], upper=m.upper[0], level=level),
        quantiles=[prediction_pb2.Quantile(level=q, value=values[0]) for q, values in m.quantiles],
        confidence=m.confidence[0],
        support=support,
        abstained=bool(reason),
        abstention_reason=reason,
        deadlines=[
            prediction_pb2.DeadlineProbability(value=value, probability=shares[0])
            for value, shares in m.deadlines
        ],
        reservations=[
            prediction_pb2.Reservation(
                under_cost=cost.under_cost,
                over_cost=cost.over_cost,
                level=cost.level,
                value=values[0],
            )
            for cost, values in m.reservations
        ],
    )


def batch(answers: Answers, encoding: common_pb2.Encoding) -> prediction_pb2.PredictBatchResponse:
    """Return the answers about many items, in packed columns."""
    raw = encoding == common_pb2.ENCODING_RAW
    response = prediction_pb2.PredictBatchResponse(
        workload=answers.workload,
        bundle_version=answers.bundle_version,
        row_count=len(answers),
        metrics=[_metric_columns(m, answers.interval_level, raw=raw) for m in answers.metrics],
        unknown_features=_unknown_rows(answers),
        prediction_id=answers.prediction_id,
        correction=answers.correction,
    )
    put_numbers(response.support, answers.support, raw=raw)
    if answers.support_floor > 0:
        put_flags(response.abstained, answers.abstained, raw=raw)
    tiers = [TIERS[tier] for tier in answers.tiers]
    if raw:
        response.raw_tiers = bytes(tiers)
    else:
        response.tiers.extend(tiers)
    for i, names in enumerate(answers.groups):
        column = response.groups.add(features=names)
        put_numbers(column.training_rows, answers.rows[:, i], raw=raw)
    return response


def _metric_columns(m: MetricAnswer, level: float, *, raw: bool) -> prediction_pb2.MetricColumns:
    columns = prediction_pb2.MetricColumns(
        metric=m.metric.name, unit=m.metric.unit, interval_level=level
    )
    put_numbers(columns.median, m.median, raw=raw)
    put_numbers(columns.lower, m.lower, raw=raw)
    put_numbers(columns.upper, m.upper, raw=raw)
    put_numbers(columns.confidence, m.confidence, raw=raw)
    for q, values in m.quantiles:
        put_numbers(columns.quantiles.add(level=q).values, values, raw=raw)
    for value, shares in m.deadlines:
        put_numbers(columns.deadlines.add(value=value).probabilities, shares, raw=raw)
    for cost, values in m.reservations:
        reservation = columns.reservations.add(
            under_cost=cost.under_cost, over_cost=cost.over_cost, level=cost.level
        )
        put_numbers(reservation.values, values, raw=raw)
    return columns


def _unknown_rows(answers: Answers) -> list[prediction_pb2.UnknownFeatureRows]:
    rows: dict[str, list[int]] = {}
    if any(answers.unknown):
        for row, names in enumerate(answers.unknown):
            for name in names:
                rows.setdefault(name, []).append(row)
    return [prediction_pb2.UnknownFeatureRows(feature=f, rows=found) for f, found in rows.items()]
