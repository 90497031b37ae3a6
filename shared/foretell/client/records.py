"""From the messages of ModelService and ObservationService to the values of `models`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToDict
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from foretell.client.failures import error_of_status
from foretell.client.models import (
    Acknowledgement,
    AuditEntry,
    Bundle,
    Catalog,
    Feature,
    Health,
    Job,
    JobState,
    Lineage,
    Link,
    Metric,
    Workload,
    WorkloadSchema,
)
from foretell.errors import Violation
from foretell.v1 import model_pb2, observation_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

_STATES: dict[int, JobState] = {
    model_pb2.JOB_STATE_QUEUED: "QUEUED",
    model_pb2.JOB_STATE_RUNNING: "RUNNING",
    model_pb2.JOB_STATE_SUCCEEDED: "SUCCEEDED",
    model_pb2.JOB_STATE_FAILED: "FAILED",
    model_pb2.JOB_STATE_CANCELLED: "CANCELLED",
}
_KINDS = {
    model_pb2.FEATURE_KIND_NUMBER: "number",
    model_pb2.FEATURE_KIND_CATEGORY: "category",
    model_pb2.FEATURE_KIND_FLAG: "flag",
}
_SCALES = {model_pb2.SCALE_LINEAR: "linear", model_pb2.SCALE_LOG: "log"}
_DIRECTIONS = {model_pb2.DIRECTION_LOWER: "lower", model_pb2.DIRECTION_HIGHER: "higher"}
# MUST match grpc.health.v1.HealthCheckResponse.ServingStatus.
_HEALTH: dict[int, Health] = {1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


def acknowledgement(message: observation_pb2.Acknowledgement) -> Acknowledgement:
    """Return what became of one observation."""
    if not message.HasField("rejection"):
        return Acknowledgement(message.observation_id, already_reported=message.already_reported)
    return Acknowledgement(
        message.observation_id,
        message.rejection.message or "rejected without a reason",
        tuple(Violation(v.field, "", v.description) for v in message.rejection.violations),
    )


def workload(message: model_pb2.Workload) -> Workload:
    """Return a workload."""
    return Workload(
        name=message.name,
        title=message.title,
        description=message.description,
        bundle_version=message.bundle_version,
        metrics=tuple(message.metrics),
    )


def schema(message: model_pb2.Schema) -> WorkloadSchema:
    """Return a workload's schema."""
    return WorkloadSchema(
        workload=message.workload,
        title=message.title,
        description=message.description,
        features=tuple(map(_feature, message.features)),
        metrics=tuple(map(_metric, message.metrics)),
        catalogs=tuple(
            Catalog(c.name, c.key, tuple(map(_feature, c.facts))) for c in message.catalogs
        ),
        groups=tuple(tuple(g.features) for g in message.groups),
        links=tuple(Link(k.metric, dict(k.factors), k.constant) for k in message.links),
        fingerprint=message.fingerprint,
    )


def _feature(f: model_pb2.Feature) -> Feature:
    return Feature(
        name=f.name,
        kind=_KINDS.get(f.kind, "unknown"),
        description=f.description,
        unit=f.unit,
        scale=_SCALES.get(f.scale, "unknown"),
        required=f.required,
        minimum=f.minimum if f.HasField("minimum") else None,
        maximum=f.maximum if f.HasField("maximum") else None,
        extrapolate=f.extrapolate,
        known_values=tuple(f.known_values),
    )


def _metric(m: model_pb2.Metric) -> Metric:
    return Metric(
        name=m.name,
        description=m.description,
        unit=m.unit,
        direction=_DIRECTIONS.get(m.direction, "unknown"),
        scale=_SCALES.get(m.scale, "unknown"),
        minimum=m.minimum if m.HasField("minimum") else None,
        maximum=m.maximum if m.HasField("maximum") else None,
    )


def bundle(message: model_pb2.Bundle) -> Bundle:
    """Return a bundle."""
    lineage = message.lineage
    return Bundle(
        workload=message.workload,
        version=message.version,
        created_at=_time(message, "create_time"),
        aliases=tuple(message.aliases),
        training_rows=message.training_row_count,
        lineage=Lineage(
            snapshot_sha256=lineage.snapshot_sha256,
            rows=lineage.row_count,
            start_time=_time(lineage, "start_time"),
            end_time=_time(lineage, "end_time"),
            sources=tuple(lineage.sources),
            parent=lineage.parent,
        ),
        evaluation=MessageToDict(message.evaluation),
        schema_fingerprint=message.schema_fingerprint,
        family=message.family,
        serving=message.serving,
        refusal=message.refusal,
    )


def job(message: model_pb2.Job) -> Job:
    """Return a job as it stands."""
    return Job(
        id=message.id,
        workload=message.workload,
        state=_STATES.get(message.state, "UNKNOWN"),
        stage=message.stage,
        fraction_done=message.fraction_done,
        numbers=dict(message.numbers),
        bundle_version=message.bundle_version,
        error=error_of_status(message.error) if message.HasField("error") else None,
        created_at=_time(message, "create_time"),
        started_at=_time(message, "start_time"),
        finished_at=_time(message, "end_time"),
        request_id=message.request_id,
        outcome=message.outcome,
        promoted=message.promoted,
        reason=message.reason,
    )


def audit_entry(message: model_pb2.AuditEntry) -> AuditEntry:
    """Return an entry of the audit."""
    return AuditEntry(
        time=_time(message, "create_time"),
        action=message.action,
        author=message.author,
        reason=message.reason,
        from_version=message.from_version,
        to_version=message.to_version,
    )


def health_request(service: str) -> StringValue:
    """Return the request for the health of a service; see `channel.Stubs` for its type."""
    return StringValue(value=service)


def health(message: Int32Value) -> Health:
    """Return the state of a service."""
    return _HEALTH.get(message.value, "UNKNOWN")


def _time(message: Message, field: str) -> datetime | None:
    """Return a Timestamp field as a UTC time; None if it is not set."""
    if not message.HasField(field):
        return None
    time: datetime = getattr(message, field).ToDatetime(tzinfo=UTC)
    return time
