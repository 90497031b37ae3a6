"""What goes wrong inside, and what is logged about it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from foretell.bundle import write_bundle
from foretell.client.channel import Stubs
from foretell.registry import FolderRegistry
from foretell.v1 import prediction_pb2
from tests.bundles import toy_graph, toy_manifest, toy_schema
from tests.integration.server.conftest import WAIT_S, RunningServer, StartServer, toy_request
from tests.integration.server.test_processes import port_of, running


def crashing_bundle(folder: Path) -> None:
    """Write a bundle that passes every check, and whose graph fails for the kind `wild`."""
    schema = toy_schema()
    manifest = toy_manifest(schema)
    # The graph has rows for two kinds only.
    wild = {**manifest.vocabulary, "kind": ("big", "small", "wild")}
    write_bundle(folder, toy_graph(schema), manifest.model_copy(update={"vocabulary": wild}))


def test_graph_that_fails_is_an_internal_error_without_details(start_server: StartServer) -> None:
    """An unexpected failure is INTERNAL with a fixed text and an id; the next call is answered."""
    server = start_server()
    folder = server.folder / "crashing"
    crashing_bundle(folder)
    FolderRegistry(server.registry).publish("toy", folder, promote=True, who="test", why="test")
    server.look()
    request = toy_request()
    request.features["kind"].text = "wild"
    with pytest.raises(grpc.RpcError) as caught:
        server.stubs.prediction.Predict(
            request, timeout=WAIT_S, metadata=(("x-request-id", "my-id"),)
        )
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "internal error; the log has it as my-id"
    answers = list(
        server.stubs.prediction.PredictStream(
            iter([toy_request(), request, toy_request()]), timeout=WAIT_S
        )
    )
    assert [a.WhichOneof("result") for a in answers] == ["prediction", "error", "prediction"]
    assert "Gather" not in answers[1].error.message
    assert server.predict().metrics


def test_a_graph_that_fails_is_quarantined_and_the_one_before_it_answers(
    start_server: StartServer,
) -> None:
    """A row that a graph fails on is answered by the bundle before it, which then serves."""
    server = start_server()
    before = server.publish()
    assert server.predict(3.0).provenance.bundle_version == before
    folder = server.folder / "crashing"
    crashing_bundle(folder)
    bad = FolderRegistry(server.registry).publish(
        "toy", folder, promote=True, who="test", why="test"
    )
    server.look()
    assert server.predict(3.0).provenance.bundle_version == bad
    wild = toy_request(3.0)
    wild.features["kind"].text = "wild"
    pinned = toy_request(3.0, bundle_version=bad)
    pinned.features["kind"].text = "wild"
    batch = prediction_pb2.PredictBatchRequest(
        workload="toy",
        row_count=2,
        columns=[{"name": "kind", "texts": {"dictionary": ["big", "wild"], "indices": [0, 1]}}],
    )
    answer = server.stubs.prediction.PredictBatch(batch, timeout=WAIT_S)
    assert answer.bundle_version == before
    assert server.predict(3.0).provenance.bundle_version == before
    answer = server.stubs.prediction.Predict(wild, timeout=WAIT_S)
    assert answer.provenance.bundle_version == before
    assert list(answer.provenance.unknown_features) == ["kind"]
    server.look()
    assert server.predict(3.0).provenance.bundle_version == before
    assert "its graph failed" in server.serving.shelf.refusals["toy", bad].why
    with pytest.raises(grpc.RpcError) as caught:
        server.stubs.prediction.Predict(pinned, timeout=WAIT_S)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    good = server.publish(shift=1.0)
    assert server.predict(3.0).provenance.bundle_version == good


def test_too_many_calls_at_once_are_shed(start_server: StartServer) -> None:
    """Calls beyond max_concurrent_calls are RESOURCE_EXHAUSTED, and room comes back.

    What the cache answers takes no room.
    """
    server = start_server(max_concurrent_calls=2)
    server.publish()
    hold = threading.Event()

    def requests() -> Iterator[prediction_pb2.PredictRequest]:
        yield toy_request()
        hold.wait(WAIT_S)

    streams = [server.stubs.prediction.PredictStream(requests(), timeout=WAIT_S) for _ in range(2)]
    for stream in streams:
        assert next(stream).prediction.metrics
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(11.0)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.predict(10.0).metrics
    hold.set()
    for stream in streams:
        assert list(stream) == []
    assert server.predict().metrics


def test_client_that_leaves_takes_its_work_with_it(server: RunningServer) -> None:
    """A batch whose caller cancels is given up; the server goes on."""
    rows = 100_000
    texts = {"dictionary": ["big"], "raw_indices": bytes(4 * rows)}
    request = prediction_pb2.PredictBatchRequest(
        workload="toy", row_count=rows, columns=[{"name": "kind", "texts": texts}]
    )
    for _ in range(3):
        call = server.stubs.prediction.PredictBatch.future(request, timeout=WAIT_S)
        assert server.predict().metrics
        call.cancel()
    assert server.predict().metrics


@pytest.mark.process
def test_each_answer_and_each_refusal_is_one_line(tmp_path: Path) -> None:
    """At level debug each answer is one JSON line with workload, bundle and request id; a
    refusal is one line with its reason at level info."""
    with running(tmp_path, log_level="debug") as server:
        with grpc.insecure_channel(f"127.0.0.1:{port_of(server)}") as channel:
            stub = Stubs(channel).prediction
            metadata = (("x-request-id", "mine"),)
            answer = stub.Predict(toy_request(), timeout=WAIT_S, metadata=metadata)
            with pytest.raises(grpc.RpcError):
                stub.Predict(toy_request(workload="nothing"), timeout=WAIT_S)
        answered = server.wait_for("answered")
        refused = server.wait_for("refused")
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
    assert answered["request_id"] == "mine"
    assert answered["workload"] == "toy"
    assert answered["bundle_version"] == answer.provenance.bundle_version
    assert answered["method"] == "foretell.v1.PredictionService/Predict"
    assert refused["reason"] == "WORKLOAD_NOT_FOUND"
    assert len(refused["request_id"]) == 16
    assert sum(line["event"] in ("answered", "refused") for line in server.lines) == 2
