"""Clients that send rubbish, do not read, do not end, come in crowds or die: others are served."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmarks.serving.http2 import Connection, message
from foretell.v1 import prediction_pb2
from foretell_server.row_stream import WINDOW
from tests.integration.server.conftest import WAIT_S, RunningServer, toy_request
from tests.integration.server.test_hot_swap import assert_soon

SERVICE = "/foretell.v1.PredictionService"
STREAM = "foretell.v1.PredictionService/PredictStream"
EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
}
CROWD = 1000

_batch = prediction_pb2.PredictBatchRequest(
    workload="toy",
    row_count=3,
    columns=[
        {"name": "size", "numbers": {"values": [1, 2, 3]}},
        {"name": "kind", "texts": {"dictionary": ["big"], "raw_indices": bytes(12)}},
    ],
).SerializeToString()
_one = toy_request(correlation_id="me", options={"quantiles": [0.9]}).SerializeToString()


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw a message that was valid until some of its bytes were changed, lost or added."""
    raw = bytearray(draw(st.sampled_from([_one, _batch])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(raw)


def serving(server: RunningServer) -> bool:
    """Return whether the server says that it serves, and a new request is answered."""
    check = server.health.Check(health_pb2.HealthCheckRequest(), timeout=WAIT_S)
    return bool(check.status == health_pb2.HealthCheckResponse.SERVING and server.predict(1.5))


def meter(server: RunningServer) -> Any:  # noqa: ANN401
    """Return what counts the messages of PredictStream."""
    return server.serving.census.meters.method(STREAM)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.one_of(st.binary(max_size=200), damaged()))
@example(raw=b"\x1a\x11" + b"\x09" + bytes(8) + bytes(8))  # a feature whose name is a number
def test_whatever_the_bytes_the_answer_is_an_answer_or_says_what_is_wrong(
    shared_server: RunningServer, raw: bytes
) -> None:
    """Random and damaged messages never end in an internal error, nor in a lost connection."""
    for name in ("Predict", "PredictBatch"):
        try:
            shared_server.channel.unary_unary(f"{SERVICE}/{name}")(raw, timeout=WAIT_S)
            code = grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
        assert code in EXPECTED
    stream = shared_server.channel.stream_stream(
        f"{SERVICE}/PredictStream",
        response_deserializer=prediction_pb2.PredictStreamResponse.FromString,
    )
    answers = list(stream(iter([raw, _one]), timeout=WAIT_S))
    assert len(answers) == 2
    assert answers[0].error.code in {code.value[0] for code in EXPECTED}
    assert answers[1].correlation_id == "me"
    assert answers[1].WhichOneof("result") == "prediction"


def test_text_that_is_not_utf8_is_named(shared_server: RunningServer) -> None:
    """A text that is no text is refused by its field's name, though the rest is in the cache."""
    shared_server.predict(correlation_id="meme")
    raw = toy_request(correlation_id="meme").SerializeToString()
    for text, field in ((b"meme", "correlation_id"), (b"big", "features[kind]")):
        damaged_raw = raw.replace(text, b"\xff" * len(text))
        call = shared_server.channel.unary_unary(f"{SERVICE}/Predict")
        with pytest.raises(grpc.RpcError) as caught:
            call(damaged_raw, timeout=WAIT_S)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert field in caught.value.details()
        stream = shared_server.channel.stream_stream(
            f"{SERVICE}/PredictStream",
            response_deserializer=prediction_pb2.PredictStreamResponse.FromString,
        )
        (answer,) = stream(iter([damaged_raw]), timeout=WAIT_S)
        assert field in answer.error.message


def test_a_client_that_does_not_read_is_not_read_from(shared_server: RunningServer) -> None:
    """Of a flood whose answers nobody takes only a window is held; the rest stays away."""
    sent = threading.Event()
    over = threading.Event()

    def flood() -> Iterator[prediction_pb2.PredictRequest]:
        for number in range(1_000_000):
            if over.is_set():
                return
            if number == 2000:
                sent.set()
            yield toy_request(float(number), correlation_id="x" * 1000)

    before = meter(shared_server).in_flight
    call = shared_server.stubs.prediction.PredictStream(flood(), timeout=10 * WAIT_S)
    try:
        sent.wait(WAIT_S)
        for _ in range(20):
            assert serving(shared_server)
            assert meter(shared_server).in_flight - before <= WINDOW
    finally:
        over.set()
        call.cancel()
    assert_soon(lambda: meter(shared_server).in_flight == before)


def test_a_crowd_of_streams_leaves_nothing_behind(shared_server: RunningServer) -> None:
    """A thousand streams that are never half-closed are served or shed; then all room is back."""
    before = meter(shared_server).open_streams

    async def crowd() -> list[str]:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(shared_server.address, options) for _ in range(4)]
        calls = [
            channels[i % 4].stream_stream(f"{SERVICE}/PredictStream")(timeout=WAIT_S)
            for i in range(CROWD)
        ]

        async def ask(call: Any) -> str:  # noqa: ANN401
            try:
                await call.write(_one)
                return "answered" if await call.read() else "ended"
            except grpc.RpcError as error:
                return str(error.code().name)

        found = await asyncio.gather(*map(ask, calls))
        for channel in channels:
            await channel.close()
        return found

    outcomes = asyncio.run(crowd())
    assert set(outcomes) <= {"answered", "RESOURCE_EXHAUSTED"}
    assert outcomes.count("answered") > CROWD / 2
    assert_soon(lambda: meter(shared_server).open_streams == before)
    assert serving(shared_server)


@pytest.mark.parametrize("method", ["Predict", "PredictStream", "PredictBatch"])
def test_a_client_that_dies_takes_nothing_with_it(
    shared_server: RunningServer, method: str
) -> None:
    """A connection that is cut in the middle of a message ends its call; others go on."""
    before = meter(shared_server).open_streams
    body = message(_one)
    for piece in (body, body[: len(body) // 2]):
        with Connection("127.0.0.1", shared_server.serving.port, f"{SERVICE}/{method}") as client:
            number, head = client.open()
            client.socket.sendall(head + client.data(number, piece))
    assert_soon(lambda: meter(shared_server).open_streams == before)
    assert serving(shared_server)
