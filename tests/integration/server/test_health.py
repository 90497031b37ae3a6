"""grpc.health.v1 and reflection: what orchestrators and tools see."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from benchmarks.serving.http2 import DATA, END_STREAM, WINDOW_UPDATE, Connection, frame, message
from foretell.broker import EmbeddedBroker
from foretell.v1 import prediction_pb2
from tests.bundles import toy_schema
from tests.integration.server.conftest import WAIT_S, RunningServer, StartServer, toy_request
from tests.integration.server.test_hot_swap import assert_soon

Request = health_pb2.HealthCheckRequest
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def status(server: RunningServer, name: str) -> int:
    """Return what Check says about a name."""
    return int(server.health.Check(Request(service=name)).status)


def test_only_what_can_answer_is_serving(start_server: StartServer) -> None:
    """A workload, PredictionService and the server as a whole serve once a bundle is loaded."""
    server = start_server()
    assert status(server, "") == NOT_SERVING
    assert status(server, "foretell.v1.PredictionService") == NOT_SERVING
    assert status(server, "serverless") == NOT_SERVING
    assert status(server, "foretell.v1.ModelService") == SERVING
    server.publish()
    assert status(server, "") == SERVING
    assert status(server, "foretell.v1.PredictionService") == SERVING
    assert status(server, "toy") == SERVING
    assert status(server, "serverless") == NOT_SERVING


def test_observations_are_served_while_the_broker_is_there(
    start_server: StartServer, tmp_path: Path
) -> None:
    """ObservationService is NOT_SERVING without a broker, and watchers hear when it comes back;
    predictions do not need it."""
    broker = EmbeddedBroker(tmp_path / "broker")
    server = start_server(broker_url=broker.start())
    server.publish()
    watch = server.health.Watch(Request(service="foretell.v1.ObservationService"), timeout=WAIT_S)
    try:
        assert SERVING in (answer.status for answer in watch)
        broker.stop()
        assert next(watch).status == NOT_SERVING
        assert status(server, "foretell.v1.PredictionService") == SERVING
        broker.start()
        assert next(watch).status == SERVING
    finally:
        broker.stop()


def test_list_names_everything(shared_server: RunningServer) -> None:
    """List has the state of each service and workload."""
    statuses = shared_server.health.List(health_pb2.HealthListRequest()).statuses
    assert statuses["toy"].status == SERVING
    assert statuses["inference"].status == NOT_SERVING


def test_unknown_name_is_not_found(shared_server: RunningServer) -> None:
    """Check of a name that nobody knows is NOT_FOUND."""
    with pytest.raises(grpc.RpcError) as caught:
        status(shared_server, "nothing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_watch_hears_of_every_change_and_of_the_end(start_server: StartServer) -> None:
    """Watch starts with the present state, tells each change, and ends when the server drains."""
    server = start_server()
    watch = server.health.Watch(Request(service="late"), timeout=WAIT_S)
    assert next(watch).status == SERVICE_UNKNOWN
    server.publish(schema=toy_schema("late"))
    assert next(watch).status == SERVING
    server.begin_stop()
    assert next(watch).status == NOT_SERVING
    assert list(watch) == []


def test_drain_finishes_what_has_begun(start_server: StartServer) -> None:
    """On shutdown a batch in flight is answered, and a stream that only waits ends at once."""
    server = start_server(drain_seconds=30.0)
    server.publish()
    go_on = threading.Event()

    def requests() -> Iterator[prediction_pb2.PredictRequest]:
        yield toy_request()
        go_on.wait(WAIT_S)

    stream = server.stubs.prediction.PredictStream(requests(), timeout=WAIT_S)
    assert next(stream).prediction.metrics
    rows = 100_000
    texts = {"dictionary": ["big"], "raw_indices": bytes(4 * rows)}
    batch = server.stubs.prediction.PredictBatch.future(
        prediction_pb2.PredictBatchRequest(
            workload="toy", row_count=rows, columns=[{"name": "kind", "texts": texts}]
        ),
        timeout=WAIT_S,
    )
    # On the same connection, so the server has the batch when it answers this.
    assert server.predict().metrics
    server.begin_stop()
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "shutting down" in str(caught.value.details())
    assert batch.result().row_count == rows
    go_on.set()
    server.stop()


BATCH = "foretell.v1.PredictionService/PredictBatch"


def batch_of(rows: int, workload: str = "toy") -> prediction_pb2.PredictBatchRequest:
    """Return a request about so many toys, a byte each."""
    texts = {"dictionary": ["big"], "indices": [0] * rows}
    return prediction_pb2.PredictBatchRequest(
        workload=workload, row_count=rows, columns=[{"name": "kind", "texts": texts}]
    )


def read_slowly(client: Connection) -> prediction_pb2.PredictBatchResponse:
    """Return an answer of which little at a time arrives."""
    answer, ended = b"", False
    while not ended:
        for got in client.receive():
            answer += got.payload if got.kind == DATA else b""
            ended = ended or bool(got.flags & END_STREAM)
        # Clients that read make room for more. On a socket that is closed this loses the rest.
        client.socket.sendall(frame(WINDOW_UPDATE, 0, 0, (1).to_bytes(4)))
    return prediction_pb2.PredictBatchResponse.FromString(
        answer[5 : 5 + int.from_bytes(answer[1:5])]
    )


def test_drain_waits_for_slow_readers(start_server: StartServer) -> None:
    """On shutdown a connection stays until its client has what the kernel holds of an answer, and
    until then others are answered."""
    server = start_server(drain_seconds=WAIT_S)
    server.publish()
    rows = 60_000  # whose answer is more than the kernel takes while nobody reads
    calls = server.serving.census.meters.method(BATCH)

    async def stop_in_time() -> None:
        while not calls.in_flight:
            await asyncio.sleep(0)
        server.begin_stop()

    with Connection("127.0.0.1", server.serving.port, f"/{BATCH}") as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
        stream, head = client.open()
        body = client.data(stream, message(batch_of(rows).SerializeToString()))
        client.socket.sendall(head + body + frame(DATA, END_STREAM, stream, b""))
        server.on_loop(stop_in_time())
        assert_soon(lambda: status(server, "") == NOT_SERVING)
        ask = server.stubs.prediction.PredictBatch
        assert ask(batch_of(1), timeout=WAIT_S).row_count == 1
        with pytest.raises(grpc.RpcError) as caught:
            ask(batch_of(1, workload="nothing"), timeout=WAIT_S)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert read_slowly(client).row_count == rows
    server.stop()


def test_reflection_describes_the_services(shared_server: RunningServer) -> None:
    """Reflection lists each service and hands out its file."""
    stub = reflection_pb2_grpc.ServerReflectionStub(shared_server.channel)
    ask = reflection_pb2.ServerReflectionRequest
    listed, described = stub.ServerReflectionInfo(
        iter(
            [
                ask(list_services=""),
                ask(file_containing_symbol="foretell.v1.PredictionService"),
            ]
        )
    )
    names = {service.name for service in listed.list_services_response.service}
    assert {
        "foretell.v1.PredictionService",
        "foretell.v1.ObservationService",
        "foretell.v1.ModelService",
        "grpc.health.v1.Health",
    } <= names
    file = FileDescriptorProto.FromString(
        described.file_descriptor_response.file_descriptor_proto[0]
    )
    assert file.package == "foretell.v1"
