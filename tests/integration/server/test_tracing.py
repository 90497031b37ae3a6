"""Traces, as a collector receives them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from tests.integration.server.conftest import WAIT_S, StartServer, toy_request

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []

    def Export(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """Take spans."""
        for part in request.resource_spans:
            self.resources.append(attributes(part.resource))
            for scope in part.scope_spans:
                self.spans += scope.spans
        return trace_service_pb2.ExportTraceServiceResponse()


def attributes(of: Any) -> dict[str, str]:  # noqa: ANN401
    """Return a span's attributes, or a resource's."""
    return {pair.key: pair.value.string_value for pair in of.attributes}


@pytest.fixture
def collector() -> Iterator[tuple[str, Collector]]:
    """A collector that listens, and its address."""
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    mine = Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]
        mine, server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", mine
    server.stop(None).wait(WAIT_S)


def test_calls_become_spans_of_the_callers_trace(
    start_server: StartServer, collector: tuple[str, Collector]
) -> None:
    """Answers and refusals are spans with workload, bundle and request id; a caller's trace goes
    on, and a caller that says not to trace is heeded. All are sent before the server is gone."""
    endpoint, received = collector
    server = start_server(otlp_endpoint=endpoint)
    version = server.publish()
    predict = server.stubs.prediction.Predict
    traced = (("traceparent", f"00-{TRACE}-{CALLER}-01"), ("x-request-id", "mine"))
    not_traced = (("traceparent", f"00-{TRACE}-{CALLER}-00"),)
    predict(toy_request(), timeout=WAIT_S, metadata=traced)
    predict(toy_request(), timeout=WAIT_S, metadata=not_traced)
    with pytest.raises(grpc.RpcError):
        predict(toy_request(workload="nothing"), timeout=WAIT_S)
    server.stop()
    good, bad = received.spans
    assert (good.trace_id.hex(), good.parent_span_id.hex()) == (TRACE, CALLER)
    assert good.name == "foretell.v1.PredictionService/Predict"
    assert good.start_time_unix_nano < good.end_time_unix_nano
    assert attributes(good) == {
        "rpc.system.name": "grpc",
        "rpc.method": "foretell.v1.PredictionService/Predict",
        "rpc.response.status_code": "OK",
        "foretell.workload": "toy",
        "foretell.bundle_version": version,
        "foretell.request_id": "mine",
    }
    assert attributes(bad)["rpc.response.status_code"] == "NOT_FOUND"
    assert bad.status.code == bad.status.STATUS_CODE_ERROR
    assert bad.trace_id.hex() != TRACE
    assert received.resources[0]["service.name"] == "foretell"


def test_a_collector_that_is_not_there_harms_nobody(start_server: StartServer) -> None:
    """Without its collector the server answers, and ends."""
    server = start_server(otlp_endpoint="http://127.0.0.1:1")
    server.publish()
    assert server.predict().metrics
    server.stop()
