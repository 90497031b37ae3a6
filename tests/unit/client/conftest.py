"""A real gRPC server on an ephemeral port that answers by fixed rules.

Workload `rules`: duration_s has the median 2 x argument, an interval of +-10 % and the quantile
q at median x (0.5 + q). Whatever the tests need to see or to break is in `FixedServer`.
"""

# ruff: noqa: N802  (gRPC's methods are named by the protos)
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from numpy.typing import NDArray

from foretell.client import Client
from foretell.v1 import (
    common_pb2,
    model_pb2,
    model_pb2_grpc,
    observation_pb2,
    observation_pb2_grpc,
    prediction_pb2,
    prediction_pb2_grpc,
)

VERSION = "20250131T120000Z-0a1b2c3d"


@dataclass
class FixedServer:
    """What the tests may look at and what they may break."""

    address: str = ""
    seen: list[Any] = field(default_factory=list)
    """Requests, in the order they came."""
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    """Metadata of the calls, in the order they came."""
    time_remaining: list[float | None] = field(default_factory=list)
    """Seconds to the deadline of the calls, in the order they came."""
    faults: deque[grpc.StatusCode] = field(default_factory=deque)
    """Each call takes one from the left and fails with it."""
    job: list[model_pb2.Job | grpc.StatusCode] = field(default_factory=list)
    """What WatchJob sends; at a status code the connection fails once."""
    bundles: deque[model_pb2.Bundle | grpc.StatusCode] = field(default_factory=deque)
    """What GetBundle answers, in order, the last again and again; without any, one that serves."""
    stream_ended: threading.Event = field(default_factory=threading.Event)
    """Set when the server sees the end of a PredictStream."""

    def called(self, request: Message, context: grpc.ServicerContext) -> None:
        """Note a call, and fail it if a fault is due."""
        self.seen.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.time_remaining.append(context.time_remaining())
        if self.faults:
            context.abort(self.faults.popleft(), "a fault that the test asked for")


def refusal(code: int, message: str, reason: str, **violations: str) -> status_pb2.Status:
    """Return a rich status as the real server sends it."""
    details = [error_details_pb2.ErrorInfo(reason=reason, domain="foretell.v1")]
    if violations:
        request = error_details_pb2.BadRequest()
        for name, why in violations.items():
            request.field_violations.add(field=name, description=why)
        details.append(request)
    status = status_pb2.Status(code=code, message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def forecast(
    request: prediction_pb2.PredictRequest,
) -> prediction_pb2.PredictResponse | status_pb2.Status:
    """Apply the rules to one item."""
    if request.workload == "brokerless":
        return refusal(14, "the broker is unavailable: gone", "UNAVAILABLE")
    if request.workload != "rules":
        text = f"no workload named {request.workload!r}; known: rules"
        return refusal(5, text, "WORKLOAD_NOT_FOUND")
    if "argument" not in request.features:
        why = "is required"
        return refusal(3, f"features[argument]: {why}", "INVALID_INPUT", argument=why)
    median = 2 * request.features["argument"].number
    options = request.options
    response = prediction_pb2.PredictResponse(prediction_id=f"p{median:g}")
    response.provenance.workload = request.workload
    response.provenance.bundle_version = request.bundle_version or VERSION
    response.provenance.tier = common_pb2.TIER_WARM
    response.provenance.groups.add(features=["function"], training_rows=12)
    if request.features["function"].text == "new":
        response.provenance.unknown_features.append("function")
    metric = response.metrics.add(metric="duration_s", unit="s", median=median, confidence=0.9)
    level = options.interval_level if options.HasField("interval_level") else 0.8
    metric.interval.lower, metric.interval.upper = 0.9 * median, 1.1 * median
    metric.interval.level = level
    metric.support = 0.75
    metric.abstained = options.support_floor > metric.support
    metric.abstention_reason = "support 0.75 is below 0.9" if metric.abstained else ""
    for q in options.quantiles:
        metric.quantiles.add(level=q, value=median * (0.5 + q))
    for deadline in options.deadlines:
        metric.deadlines.add(value=deadline.value, probability=float(median <= deadline.value))
    for cost in options.costs:
        share = cost.under_cost / (cost.under_cost + cost.over_cost)
        metric.reservations.add(
            under_cost=cost.under_cost, over_cost=cost.over_cost, level=share, value=share * median
        )
    return response


class Prediction(prediction_pb2_grpc.PredictionServiceServicer):
    def __init__(self, server: FixedServer) -> None:
        self.server = server

    def Predict(
        self, request: prediction_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> prediction_pb2.PredictResponse:
        self.server.called(request, context)
        if request.workload == "endless":
            over = threading.Event()
            context.add_callback(over.set)
            over.wait()
        answer = forecast(request)
        if isinstance(answer, status_pb2.Status):
            context.abort_with_status(rpc_status.to_status(answer))
        return answer

    def PredictStream(
        self, requests: Iterator[prediction_pb2.PredictRequest], context: grpc.ServicerContext
    ) -> Iterator[prediction_pb2.PredictStreamResponse]:
        context.add_callback(self.server.stream_ended.set)
        for request in requests:
            self.server.called(request, context)
            if request.workload == "goodbye":
                return
            answer = forecast(request)
            name = "error" if isinstance(answer, status_pb2.Status) else "prediction"
            yield prediction_pb2.PredictStreamResponse(
                correlation_id=request.correlation_id, **{name: answer}
            )

    def PredictBatch(
        self, request: prediction_pb2.PredictBatchRequest, context: grpc.ServicerContext
    ) -> prediction_pb2.PredictBatchResponse:
        self.server.called(request, context)
        columns = {column.name: column for column in request.columns}
        rows = request.row_count
        medians = 2 * np.frombuffer(columns["argument"].numbers.raw, "<f8")
        bad = np.flatnonzero(np.isnan(medians))
        if len(bad):
            path = f"columns[argument][{bad[0]}]"
            status = refusal(3, path, "INVALID_INPUT", **{path: "is not a number"})
            context.abort_with_status(rpc_status.to_status(status))
        raw = request.encoding == common_pb2.ENCODING_RAW

        def numbers(values: NDArray[np.float64]) -> common_pb2.Numbers:
            return (
                common_pb2.Numbers(raw=np.asarray(values, "<f8").tobytes())
                if raw
                else common_pb2.Numbers(values=values)
            )

        tiers = [common_pb2.TIER_COLD, *[common_pb2.TIER_WARM] * (rows - 1)]
        response = prediction_pb2.PredictBatchResponse(
            workload=request.workload,
            bundle_version=f"v{len(self.server.seen)}",
            row_count=rows,
            support=numbers(np.full(rows, 0.5)),
            raw_tiers=bytes(tiers) if raw else b"",
            tiers=() if raw else tiers,
            prediction_id=f"b{len(self.server.seen)}",
        )
        response.groups.add(
            features=["function"], training_rows=numbers(np.arange(rows, dtype=np.float64))
        )
        response.unknown_features.add(feature="function", rows=[0])
        metric = response.metrics.add(
            metric="duration_s",
            unit="s",
            median=numbers(medians),
            lower=numbers(0.9 * medians),
            upper=numbers(1.1 * medians),
            interval_level=0.8,
            confidence=numbers(np.full(rows, 0.9)),
        )
        for q in request.options.quantiles:
            metric.quantiles.add(level=q, values=numbers(medians * (0.5 + q)))
        return response


class Observations(observation_pb2_grpc.ObservationServiceServicer):
    def __init__(self, server: FixedServer) -> None:
        self.server = server

    def Report(
        self, request: observation_pb2.ReportRequest, context: grpc.ServicerContext
    ) -> observation_pb2.ReportResponse:
        self.server.called(request, context)
        response = observation_pb2.ReportResponse()
        for observation in request.observations:
            acknowledgement = response.acknowledgements.add(observation_id=observation.id)
            if observation.metrics["duration_s"] < 0:
                acknowledgement.rejection.message = "metrics[duration_s]: -1 is not above 0"
                acknowledgement.rejection.violations.add(
                    field="metrics[duration_s]", description="-1 is not above 0"
                )
        return response


class Models(model_pb2_grpc.ModelServiceServicer):
    def __init__(self, server: FixedServer) -> None:
        self.server = server
        self.failed = False

    def ListBundles(
        self, request: model_pb2.ListBundlesRequest, context: grpc.ServicerContext
    ) -> model_pb2.ListBundlesResponse:
        self.server.called(request, context)
        page = int(request.page_token or 0)
        bundle = model_pb2.Bundle(workload=request.workload, version=f"v{page}")
        return model_pb2.ListBundlesResponse(
            bundles=[bundle], next_page_token=str(page + 1) if page < 2 else ""
        )

    def GetBundle(
        self, request: model_pb2.GetBundleRequest, context: grpc.ServicerContext
    ) -> model_pb2.Bundle:
        self.server.called(request, context)
        bundles = self.server.bundles or deque([model_pb2.Bundle(serving=True)])
        found = bundles.popleft() if len(bundles) > 1 else bundles[0]
        if not isinstance(found, model_pb2.Bundle):
            context.abort(found, "no such bundle yet")
        return found

    def GetSchema(
        self, request: model_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> model_pb2.Schema:
        self.server.called(request, context)
        return model_pb2.Schema(
            workload=request.workload,
            title="By rule",
            features=[
                model_pb2.Feature(
                    name="argument",
                    kind=model_pb2.FEATURE_KIND_NUMBER,
                    scale=model_pb2.SCALE_LOG,
                    unit="1",
                    required=True,
                    minimum=0,
                )
            ],
            metrics=[
                model_pb2.Metric(name="duration_s", unit="s", direction=model_pb2.DIRECTION_LOWER)
            ],
            groups=[model_pb2.Group(features=["function"])],
        )

    def Retrain(
        self, request: model_pb2.RetrainRequest, context: grpc.ServicerContext
    ) -> model_pb2.Job:
        self.server.called(request, context)
        return model_pb2.Job(id="j1", state=model_pb2.JOB_STATE_QUEUED)

    def GetJob(
        self, request: model_pb2.GetJobRequest, context: grpc.ServicerContext
    ) -> model_pb2.Job:
        self.server.called(request, context)
        return next(step for step in self.server.job if isinstance(step, model_pb2.Job))

    def ListJobs(
        self, request: model_pb2.ListJobsRequest, context: grpc.ServicerContext
    ) -> model_pb2.ListJobsResponse:
        self.server.called(request, context)
        found = [step for step in self.server.job if isinstance(step, model_pb2.Job)]
        return model_pb2.ListJobsResponse(jobs=found)

    def WatchJob(
        self, request: model_pb2.WatchJobRequest, context: grpc.ServicerContext
    ) -> Iterator[model_pb2.Job]:
        self.server.called(request, context)
        for step in self.server.job:
            if isinstance(step, model_pb2.Job):
                yield step
            elif not self.failed:
                self.failed = True
                context.abort(step, "the connection broke")


@pytest.fixture
def server() -> Iterator[FixedServer]:
    """Serve the rules on an ephemeral port of this machine."""
    state = FixedServer()
    real = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    prediction_pb2_grpc.add_PredictionServiceServicer_to_server(Prediction(state), real)  # type: ignore[no-untyped-call]
    observation_pb2_grpc.add_ObservationServiceServicer_to_server(Observations(state), real)  # type: ignore[no-untyped-call]
    model_pb2_grpc.add_ModelServiceServicer_to_server(Models(state), real)  # type: ignore[no-untyped-call]
    checks = health.HealthServicer()
    checks.set("rules", health_pb2.HealthCheckResponse.SERVING)
    checks.set("untrained", health_pb2.HealthCheckResponse.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, real)
    state.address = f"127.0.0.1:{real.add_insecure_port('127.0.0.1:0')}"
    real.start()
    yield state
    real.stop(grace=None).wait()


@pytest.fixture
def client(server: FixedServer) -> Iterator[Client]:
    """A client of the fixed server."""
    with Client(server.address) as connected:
        yield connected
