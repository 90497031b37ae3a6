"""From workloads, schemas, bundles and jobs to the messages of ModelService."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import unquote

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from foretell import bundle as bundles
from foretell.errors import InvalidInput, Violation
from foretell.jobs import Job
from foretell.registry import AuditEntry
from foretell.schema import Feature, Metric
from foretell.v1 import model_pb2
from foretell_server.control_plane import BundleView, RetrainWish, SchemaView, WorkloadView
from foretell_server.converters.error import STATUS_CODES
from foretell_server.promotions import Signature

KINDS = {
    "number": model_pb2.FEATURE_KIND_NUMBER,
    "category": model_pb2.FEATURE_KIND_CATEGORY,
    "flag": model_pb2.FEATURE_KIND_FLAG,
}
SCALES = {"linear": model_pb2.SCALE_LINEAR, "log": model_pb2.SCALE_LOG}
DIRECTIONS = {"lower": model_pb2.DIRECTION_LOWER, "higher": model_pb2.DIRECTION_HIGHER}
STATES = {
    "QUEUED": model_pb2.JOB_STATE_QUEUED,
    "RUNNING": model_pb2.JOB_STATE_RUNNING,
    "SUCCEEDED": model_pb2.JOB_STATE_SUCCEEDED,
    "FAILED": model_pb2.JOB_STATE_FAILED,
    "CANCELLED": model_pb2.JOB_STATE_CANCELLED,
}

Vocabulary = Mapping[str, tuple[str, ...]]


def workload_message(view: WorkloadView) -> model_pb2.Workload:
    """Return a workload as a message."""
    return model_pb2.Workload(
        name=view.schema.workload,
        title=view.schema.title,
        description=view.schema.description,
        bundle_version=view.bundle_version,
        metrics=view.schema.metric_names,
    )


def schema_message(view: SchemaView) -> model_pb2.Schema:
    """Return a schema as a message."""
    schema, known = view.schema, view.vocabulary
    return model_pb2.Schema(
        workload=schema.workload,
        title=schema.title,
        description=schema.description,
        features=[_feature(feature, known) for feature in schema.features],
        metrics=map(_metric, schema.metrics),
        catalogs=[
            model_pb2.Catalog(
                name=catalog.name,
                key=catalog.key,
                facts=[_feature(fact, known) for fact in catalog.facts],
            )
            for catalog in schema.catalogs
        ],
        groups=[model_pb2.Group(features=group) for group in schema.groups],
        links=[
            model_pb2.Link(metric=link.metric, factors=link.factors, constant=link.constant)
            for link in schema.links
        ],
        fingerprint=schema.fingerprint,
    )


def _feature(feature: Feature, known: Vocabulary) -> model_pb2.Feature:
    return model_pb2.Feature(
        name=feature.name,
        kind=KINDS[feature.kind],
        description=feature.description,
        unit=feature.unit,
        scale=SCALES[feature.scale],
        required=feature.required,
        minimum=feature.minimum,
        maximum=feature.maximum,
        extrapolate=feature.extrapolate,
        known_values=known.get(feature.name, ()),
    )


def _metric(metric: Metric) -> model_pb2.Metric:
    return model_pb2.Metric(
        name=metric.name,
        description=metric.description,
        unit=metric.unit,
        direction=DIRECTIONS[metric.direction],
        scale=SCALES[metric.scale],
        minimum=metric.minimum,
        maximum=metric.maximum,
    )


def bundle_message(view: BundleView) -> model_pb2.Bundle:
    """Return a bundle as a message; one that cannot be read has little more than its name."""
    message = model_pb2.Bundle(
        workload=view.workload,
        version=view.version,
        aliases=view.aliases,
        serving=view.serving,
        refusal=view.refusal,
    )
    manifest = view.manifest
    if manifest is not None:
        message.create_time.FromDatetime(manifest.created_at)
        message.training_row_count = manifest.lineage.rows
        message.lineage.CopyFrom(_lineage(manifest.lineage))
        message.evaluation.update(manifest.evaluation)
        message.schema_fingerprint = manifest.schema_fingerprint
        message.family = manifest.family
    return message


def _lineage(lineage: bundles.Lineage) -> model_pb2.Lineage:
    start, end = lineage.time_range or (None, None)
    return model_pb2.Lineage(
        snapshot_sha256=lineage.snapshot_sha256,
        row_count=lineage.rows,
        start_time=_time(start),
        end_time=_time(end),
        sources=lineage.sources,
        parent=lineage.parent or "",
    )


def job_message(job: Job) -> model_pb2.Job:
    """Return a job as a message."""
    return model_pb2.Job(
        id=job.id,
        workload=job.workload,
        state=STATES[job.state],
        stage=job.stage,
        fraction_done=job.fraction,
        numbers=job.numbers,
        bundle_version=job.bundle_version,
        error=_failure(job),
        create_time=_time(job.created_at),
        start_time=_time(job.started_at),
        end_time=_time(job.finished_at),
        request_id=job.request_id,
        outcome=job.outcome,
        promoted=job.promoted,
        reason=str(job.spec.get("reason", "")),
    )


def retrain_wish(request: model_pb2.RetrainRequest) -> RetrainWish:
    """Return how a training run is wished for."""
    mode = _MODES.get(request.mode)
    if mode is None:
        allowed = ", ".join(model_pb2.RetrainMode.keys())
        message = f"{request.mode} is no mode; one of {allowed}"
        raise InvalidInput([Violation("mode", str(request.mode), message)])
    return RetrainWish(
        request.include_simulated,
        request.skip_gate_reason,
        request.reason,
        mode,
        request.window_rows,
        request.family,
        request.search,
        request.split,
        request.join,
    )


_MODES = {
    model_pb2.RETRAIN_MODE_UNSPECIFIED: "",
    model_pb2.RETRAIN_MODE_FULL: "full",
    model_pb2.RETRAIN_MODE_WINDOWED: "windowed",
    model_pb2.RETRAIN_MODE_UPDATE: "update",
}


def signature(
    request: model_pb2.PromoteBundleRequest | model_pb2.RollbackBundleRequest, peer: str
) -> Signature:
    """Return who asks for a change and why; `peer` is gRPC's name for the other side."""
    # The port is another one each time, and tells nobody anything.
    host = unquote(peer).rpartition(":")[0] or peer
    return Signature(request.author, host, request.reason)


def audit_entry(entry: AuditEntry) -> model_pb2.AuditEntry:
    """Return an entry of the audit as a message."""
    return model_pb2.AuditEntry(
        create_time=_time(entry.when),
        action=entry.action,
        author=entry.who,
        reason=entry.why,
        from_version=entry.old,
        to_version=entry.new,
    )


def _failure(job: Job) -> status_pb2.Status | None:
    if job.state != "FAILED":
        return None
    code = STATUS_CODES.get(job.error_status, STATUS_CODES["INTERNAL"])
    return status_pb2.Status(code=code.value[0], message=job.error)


def _time(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment)
    return message
