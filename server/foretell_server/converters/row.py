"""The answer about one row as bytes, laid out once for each plan of a bundle.

Building messages costs ten times what the numbers in them do. All of an answer but its numbers
is the same for every row, so it is built once, by the code that builds any answer, and what
is left for a row is to put its numbers into their places.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import numpy as np

from foretell.forecast import Floats
from foretell.predictor import Predictor, RowOutputs
from foretell.v1 import prediction_pb2
from foretell_server.answers import MetricAnswer
from foretell_server.converters.marks import Marks
from foretell_server.converters.prediction import TIERS, forecast_message
from foretell_server.few import AskedMetric
from foretell_server.options import MetricPlan, Plan

_REMEMBERED_PROVENANCES = 4096
_ID_TAG = bytes([(prediction_pb2.PredictResponse.PREDICTION_ID_FIELD_NUMBER << 3) | 2])


class RowAnswer:
    """Makes the PredictResponse of one row; compiled for one plan of one bundle.

    MUST say the same as `prediction.prediction`; a test compares them. It never abstains: rows
    below the plan's support floor go another way.
    """

    def __init__(
        self,
        plan: Plan,
        predictor: Predictor,
    ) -> None:
        self.support_floor = plan.options.support_floor
        self._readers = [
            (
                metric.index,
                AskedMetric.compile(plan, metric, predictor.tables).reader,
                3 + len(metric.quantiles),
                bool(metric.deadlines),
            )
            for metric in plan.metrics
        ]
        pieces = _pieces(plan)
        self._parts: list[bytes | float] = [0.0] * (2 * len(pieces) - 1)
        self._parts[::2] = pieces
        self._pack = struct.Struct("<" + "d".join(f"{len(piece)}s" for piece in pieces)).pack
        manifest = predictor.manifest
        self._groups: Sequence[Sequence[str]] = manifest.groups
        self._tier_of = predictor.tier_of
        self._source = prediction_pb2.Provenance(
            workload=manifest.workload, bundle_version=manifest.version
        )
        self._provenances: dict[tuple[object, ...], bytes] = {}

    def body(self, outputs: RowOutputs, unknown: tuple[str, ...]) -> bytes:
        """Return the serialized answer without its prediction id, which `named` adds."""
        location, scale, support, table = outputs[:4]
        numbers: list[float] = []
        for m, reader, leading, has_deadlines in self._readers:
            row = location[m], scale[m], table[m]
            quantiles = reader.quantiles(*row)
            numbers += quantiles[:leading]
            numbers.append(reader.confidence(*row))
            numbers.append(support)
            if has_deadlines:
                numbers += reader.deadlines(*row)
            numbers += quantiles[leading:]
        parts = self._parts.copy()
        parts[1::2] = numbers
        return self._pack(*parts) + self._provenance(outputs, unknown)

    def _provenance(self, outputs: RowOutputs, unknown: tuple[str, ...]) -> bytes:
        _, _, _, table, rows, correction = outputs
        key = (unknown, correction, *table, *rows)
        known = self._provenances.get(key)
        if known is None:
            known = self._make_provenance(self._tier_of(outputs), rows, unknown, correction)
            if len(self._provenances) >= _REMEMBERED_PROVENANCES:
                self._provenances.clear()
            self._provenances[key] = known
        return known

    def _make_provenance(
        self, tier: str, rows: list[float], unknown: tuple[str, ...], correction: int
    ) -> bytes:
        message = prediction_pb2.Provenance()
        message.CopyFrom(self._source)
        message.tier = TIERS[tier]
        for names, count in zip(self._groups, rows, strict=True):
            message.groups.add(features=names, training_rows=int(count))
        message.unknown_features.extend(unknown)
        message.correction = correction
        return prediction_pb2.PredictResponse(provenance=message).SerializeToString()


def named(body: bytes, prediction_id: str) -> bytes:
    """Return an answer with its prediction id, which is the last field there is."""
    name = prediction_id.encode()
    return b"%b%b%c%b" % (body, _ID_TAG, len(name), name)


def _pieces(plan: Plan) -> list[bytes]:
    """Return the serialized forecasts of the plan's metrics, cut where each number stands."""
    marks = Marks()
    message = prediction_pb2.PredictResponse(
        metrics=[_marked(plan, metric, marks.new) for metric in plan.metrics]
    )
    return marks.cut(message.SerializeToString())


def _marked(
    plan: Plan, asked: MetricPlan, mark: Callable[[], float]
) -> prediction_pb2.MetricForecast:
    """Return a forecast whose numbers are marks, made in the order of the message's fields."""

    def column() -> Floats:
        return np.array([mark()])

    median, lower, upper = column(), column(), column()
    quantiles = tuple((plan.levels[i], column()) for i in asked.quantiles)
    confidence, support = column(), mark()
    answer = MetricAnswer(
        asked.metric,
        median,
        lower,
        upper,
        confidence,
        quantiles,
        tuple((value, column()) for value in asked.deadlines),
        tuple((cost, column()) for cost in asked.costs),
    )
    return forecast_message(answer, support, "", plan.options.interval_level)
