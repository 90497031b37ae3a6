"""Between the messages of ObservationService and plain values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from foretell.v1 import common_pb2, observation_pb2
from foretell_server.converters.error import field_violations
from foretell_server.reporting import ObservationJson, Verdict

_OUTCOMES = {
    observation_pb2.OUTCOME_UNSPECIFIED: "completed",
    observation_pb2.OUTCOME_COMPLETED: "completed",
    observation_pb2.OUTCOME_TIMEOUT: "timeout",
    observation_pb2.OUTCOME_OUT_OF_MEMORY: "out_of_memory",
    observation_pb2.OUTCOME_CANCELLED: "cancelled",
    observation_pb2.OUTCOME_FAILED: "failed",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def observation_json(message: observation_pb2.Observation) -> ObservationJson:
    """Return an observation as what `foretell.observation.Observation` is made of.

    What that cannot hold becomes something that its check refuses, here and in the
    trainer alike: a mistake is rejected with its reason, never repaired.
    """
    return {
        "id": message.id,
        "workload": message.workload,
        "time": _time(message),
        "source": message.source,
        "simulated": message.simulated,
        "outcome": _OUTCOMES.get(message.outcome, f"outcome {message.outcome}"),
        "features": {name: _value(value) for name, value in message.features.items()},
        "metrics": dict(message.metrics),
        "lower_bounds": dict(message.lower_bounds),
        "prediction_id": message.prediction_id,
        "tag": message.tag,
    }


def report_response(verdicts: Sequence[Verdict]) -> observation_pb2.ReportResponse:
    """Return what became of a batch."""
    return observation_pb2.ReportResponse(acknowledgements=map(_acknowledgement, verdicts))


def _acknowledgement(verdict: Verdict) -> observation_pb2.Acknowledgement:
    message = observation_pb2.Acknowledgement(
        observation_id=verdict.observation_id, already_reported=verdict.already_reported
    )
    if verdict.violations:
        message.rejection.message = "; ".join(map(str, verdict.violations))
        message.rejection.violations.extend(field_violations(verdict.violations))
    return message


def _time(message: observation_pb2.Observation) -> datetime | str | None:
    if not message.HasField("observe_time"):
        return None
    at = message.observe_time
    try:
        if not 0 <= at.nanos < 10**9:
            raise OverflowError
        return _EPOCH + timedelta(seconds=at.seconds, microseconds=at.nanos // 1000)
    except OverflowError:
        return f"{at.seconds} s and {at.nanos} ns since 1970 is not a time"


def _value(value: common_pb2.Value) -> Any:  # noqa: ANN401
    kind = value.WhichOneof("kind")
    return {} if kind is None else getattr(value, kind)
