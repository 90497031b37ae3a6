"""Descriptions: workloads in the words of the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from foretell.schema import Feature, Schema
from foretell_server.inference import service_pb2 as pb
from foretell_server.inference.outputs import outputs_of
from foretell_server.shelf import LiveBundle, Shelf
from foretell_server.telemetry.meters import OK, Meters

PLATFORM = "foretell"
EXTENSIONS = ("model_repository", "model_configuration", "statistics", "parameters")

_DATATYPES = {"number": "FP64", "flag": "BOOL", "category": "BYTES"}
_TYPES = {"FP64": pb.TYPE_FP64, "BOOL": pb.TYPE_BOOL, "BYTES": pb.TYPE_STRING}

_ANY_ROWS = (-1, 1)


def server_metadata() -> pb.ServerMetadataResponse:
    """Return what server this is."""
    return pb.ServerMetadataResponse(
        name=PLATFORM, version=version("foretell"), extensions=EXTENSIONS
    )


def metadata(bundle: LiveBundle) -> pb.ModelMetadataResponse:
    """Return a bundle's inputs and outputs."""
    schema = bundle.predictor.schema
    tensor = pb.ModelMetadataResponse.TensorMetadata
    return pb.ModelMetadataResponse(
        name=bundle.workload,
        versions=[bundle.version],
        platform=PLATFORM,
        inputs=[
            tensor(name=feature.name, datatype=_DATATYPES[feature.kind], shape=_ANY_ROWS)
            for feature in inputs_of(schema)
        ],
        outputs=[
            tensor(name=output.name, datatype=output.datatype, shape=_ANY_ROWS)
            for output in outputs_of(schema.metric_names).values()
        ],
    )


def config(bundle: LiveBundle, max_rows: int) -> pb.ModelConfig:
    """Return a bundle's configuration."""
    schema = bundle.predictor.schema
    described = pb.ModelConfig(
        name=bundle.workload,
        platform=PLATFORM,
        backend=PLATFORM,
        max_batch_size=max_rows,
        input=[
            pb.ModelInput(
                name=feature.name,
                data_type=_TYPES[_DATATYPES[feature.kind]],
                dims=[1],
                optional=not feature.required,
            )
            for feature in inputs_of(schema)
        ],
        output=[
            pb.ModelOutput(name=output.name, data_type=_TYPES[output.datatype], dims=[1])
            for output in outputs_of(schema.metric_names).values()
        ],
        model_transaction_policy=pb.ModelTransactionPolicy(decoupled=False),
    )
    described.parameters["bundle_version"].string_value = bundle.version
    for metric in schema.metrics:
        described.parameters[f"unit.{metric.name}"].string_value = metric.unit
    return described


def inputs_of(schema: Schema) -> Iterator[Feature]:
    """Yield what callers may send: features that are not derived, then the facts of catalogs."""
    yield from (feature for feature in schema.features if feature.derive is None)
    for catalog in schema.catalogs:
        yield from catalog.facts


def index(shelf: Shelf, *, only_ready: bool) -> pb.RepositoryIndexResponse:
    """Return the workloads, by name."""
    names = sorted(name for name in shelf.state() if not only_ready or name in shelf.live)
    return pb.RepositoryIndexResponse(models=[_entry(shelf, name) for name in names])


def _entry(shelf: Shelf, workload: str) -> pb.RepositoryIndexResponse.ModelIndex:
    entry = pb.RepositoryIndexResponse.ModelIndex
    live = shelf.live.get(workload)
    if live is not None:
        return entry(name=workload, version=live.version, state="READY")
    refused = [refusal.why for (name, _), refusal in shelf.refusals.items() if name == workload]
    reason = refused[-1] if refused else "no bundle yet"
    if workload in shelf.unloaded:
        reason = "unloaded"
    return entry(name=workload, state="UNAVAILABLE", reason=reason)


def statistics(bundle: LiveBundle, meters: Meters) -> pb.ModelStatistics:
    """Return what this process has counted of a workload since it began."""
    good, bad = pb.StatisticDuration(), pb.StatisticDuration()
    rows = 0
    for meter in meters.methods.values():
        for (workload, status), tally in meter.tallies.items():
            if workload == bundle.workload:
                duration = good if status == OK else bad
                duration.count += tally.count
                duration.ns += int(tally.seconds * 1e9)
                rows += tally.rows
    return pb.ModelStatistics(
        name=bundle.workload,
        version=bundle.version,
        inference_count=rows,
        execution_count=good.count,
        inference_stats=pb.InferStatistics(success=good, fail=bad, compute_infer=good),
    )
