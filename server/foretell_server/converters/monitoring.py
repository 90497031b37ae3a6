"""From what was found out about answers to the messages of MonitoringService, and back."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp

from foretell.anomalies import Anomaly
from foretell.events import Event
from foretell.live import LiveScore, Regression
from foretell.v1 import monitoring_pb2, prediction_pb2
from foretell_server.converters.prediction import value_message
from foretell_server.replay import Replayed

KINDS = {
    "drift": monitoring_pb2.EVENT_KIND_DRIFT,
    "bias": monitoring_pb2.EVENT_KIND_BIAS,
    "coverage": monitoring_pb2.EVENT_KIND_COVERAGE,
    "anomaly": monitoring_pb2.EVENT_KIND_ANOMALY,
    "regression": monitoring_pb2.EVENT_KIND_REGRESSION,
    "shadow": monitoring_pb2.EVENT_KIND_SHADOW,
}
RESOLUTIONS: dict[int, Literal["confirmed", "discarded"]] = {
    monitoring_pb2.RESOLUTION_CONFIRMED: "confirmed",
    monitoring_pb2.RESOLUTION_DISCARDED: "discarded",
}


def anomaly_message(anomaly: Anomaly) -> monitoring_pb2.Anomaly:
    """Return an anomaly as a message."""
    return monitoring_pb2.Anomaly(
        workload=anomaly.workload,
        observation_id=anomaly.observation_id,
        observe_time=_time(anomaly.time),
        source=anomaly.source,
        tag=anomaly.tag,
        reason=anomaly.reason,
        find_time=_time(anomaly.found_at),
        features={name: value_message(value) for name, value in anomaly.features.items()},
        metrics=anomaly.metrics,
    )


def event_message(event: Event) -> monitoring_pb2.Event:
    """Return an event as a message."""
    return monitoring_pb2.Event(
        id=event.id,
        time=_time(event.time),
        workload=event.workload,
        kind=KINDS.get(event.kind, monitoring_pb2.EVENT_KIND_UNSPECIFIED),
        metric=event.metric,
        group=event.group,
        message=event.message,
        numbers=event.numbers,
        bundle_version=event.bundle_version,
        recovered=event.recovered,
    )


def score_message(score: LiveScore) -> monitoring_pb2.LiveScore:
    """Return a live score as a message."""
    return monitoring_pb2.LiveScore(
        metric=score.metric,
        group=score.group,
        bundle_version=score.bundle_version,
        is_shadow=score.is_shadow,
        outcome_count=score.outcomes,
        coverage=score.coverage,
        median_ratio=score.median_ratio,
        median_error=score.median_error,
        crps=score.crps,
        alarms=[KINDS[alarm] for alarm in score.alarms if alarm in KINDS],
    )


def regression_message(regression: Regression) -> monitoring_pb2.Regression:
    """Return a regression as a message."""
    return monitoring_pb2.Regression(
        metric=regression.metric,
        group=regression.group,
        ratio=regression.ratio,
        since=_time(regression.since),
        tag=regression.tag,
        baseline_tag=regression.baseline_tag,
        outcome_count=regression.outcomes,
        baseline_count=regression.baseline,
    )


def replay_response(replayed: Replayed) -> monitoring_pb2.ReplayResponse:
    """Return an answer of the past as a message."""
    return monitoring_pb2.ReplayResponse(
        request=replayed.request,
        response=prediction_pb2.PredictResponse.FromString(replayed.response),
        answer_time=_time(replayed.answered_at),
        corrections_number=replayed.correction,
    )


def _time(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
