"""What one peer may do to the server, and what the server says to more of it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status

from foretell.client.channel import Stubs
from foretell.v1 import prediction_pb2
from tests.integration.server.conftest import WAIT_S, RunningServer, StartServer, toy_request

PING_S = 0.05


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that allows little of everything."""
    with RunningServer(
        tmp_path_factory.mktemp("limited"),
        max_concurrent_calls=4,
        max_streams_per_connection=2,
        max_metadata_bytes=2048,
        min_ping_interval_s=PING_S,
    ) as running:
        running.publish()
        yield running


class Held:
    """Streams that stay open until they are let go."""

    def __init__(self, server: RunningServer, channels: list[grpc.Channel], each: int) -> None:
        self._hold = threading.Event()
        self.streams = [
            Stubs(channel).prediction.PredictStream(self._requests(), timeout=WAIT_S)
            for channel in channels
            for _ in range(each)
        ]
        for stream in self.streams:
            assert next(stream).prediction.metrics
        self.server = server

    def _requests(self) -> Iterator[prediction_pb2.PredictRequest]:
        yield toy_request()
        self._hold.wait(WAIT_S)

    def let_go(self) -> None:
        """End them all."""
        self._hold.set()
        for stream in self.streams:
            assert list(stream) == []


def test_who_finds_no_room_hears_when_to_try_again(limited: RunningServer) -> None:
    """Beyond max_concurrent_calls a call is RESOURCE_EXHAUSTED with RetryInfo and its request
    id; health checks are answered all the same, and room comes back."""
    with (
        grpc.insecure_channel(limited.address, [("grpc.use_local_subchannel_pool", 1)]) as one,
        grpc.insecure_channel(limited.address, [("grpc.use_local_subchannel_pool", 1)]) as other,
    ):
        held = Held(limited, [one, other], each=2)
        with pytest.raises(grpc.RpcError) as caught:
            limited.stubs.prediction.Predict(
                toy_request(77.0), timeout=WAIT_S, metadata=(("x-request-id", "mine"),)
            )
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        retry, about = error_details_pb2.RetryInfo(), error_details_pb2.RequestInfo()
        details = rpc_status.from_call(caught.value).details
        assert any(detail.Unpack(retry) for detail in details)
        assert any(detail.Unpack(about) for detail in details)
        assert retry.retry_delay.seconds == 1
        assert about.request_id == "mine"
        health = limited.health.Check(health_pb2.HealthCheckRequest(), timeout=WAIT_S)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        held.let_go()
        assert limited.predict().metrics


def test_one_connection_has_its_share_of_calls(limited: RunningServer) -> None:
    """Calls beyond max_streams_per_connection wait in the client; other clients go on."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(limited.address, options) as channel:
        held = Held(limited, [channel], each=2)
        waits = Stubs(channel).prediction.Predict.future(toy_request(), timeout=WAIT_S)
        assert limited.predict().metrics
        assert not waits.done()
        held.let_go()
        assert waits.result().metrics


def test_metadata_beyond_the_limit_is_refused(limited: RunningServer) -> None:
    """Metadata above max_metadata_bytes is RESOURCE_EXHAUSTED; what is below passes."""
    predict = limited.stubs.prediction.Predict
    assert predict(toy_request(), timeout=WAIT_S, metadata=(("note", "x" * 1000),)).metrics
    with pytest.raises(grpc.RpcError) as caught:
        predict(toy_request(), timeout=WAIT_S, metadata=(("note", "x" * 3000),))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert limited.predict().metrics


GOAWAY, PING, SETTINGS, ACK = 7, 6, 4, 1
ENHANCE_YOUR_CALM = 11


class IdleClient:
    """A client that speaks HTTP/2 by hand, and only pings."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), WAIT_S)
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self._send(SETTINGS, b"")
        self._frames = self._socket.makefile("rb")

    def ping(self) -> None:
        """Send a ping."""
        self._send(PING, bytes(8))

    def next_of(self, *kinds: int) -> tuple[int, bytes]:
        """Return the next frame that is one of these kinds, as kind and payload."""
        while True:
            head = self._frames.read(9)
            assert len(head) == 9, "the server closed the connection without a word"
            payload = self._frames.read(int.from_bytes(head[:3]))
            if head[3] in kinds:
                return head[3], payload

    def close(self) -> None:
        """Close the connection."""
        self._frames.close()
        self._socket.close()

    def _send(self, kind: int, payload: bytes) -> None:
        head = struct.pack(">I", len(payload))[1:] + bytes([kind, 0]) + bytes(4)
        self._socket.sendall(head + payload)


def test_an_idle_client_may_ping_at_the_interval_and_not_faster(limited: RunningServer) -> None:
    """Pings without any call are answered at min_ping_interval_s; a flood of them ends the
    connection with ENHANCE_YOUR_CALM."""
    client = IdleClient(limited.serving.port)
    never = threading.Event()
    try:
        for _ in range(6):  # gRPC's own rule would end it at the third
            client.ping()
            assert client.next_of(PING, GOAWAY)[0] == PING
            never.wait(2 * PING_S)  # the time that passes is what the rule is about
        for _ in range(5):
            client.ping()
        _, payload = client.next_of(GOAWAY)
    finally:
        client.close()
    assert int.from_bytes(payload[4:8]) == ENHANCE_YOUR_CALM
    assert limited.predict().metrics


def test_old_connections_are_asked_to_close(start_server: StartServer) -> None:
    """With max_connection_age_s an idle connection ends, and the next call makes a new one."""
    server = start_server(max_connection_age_s=0.1)
    server.publish()
    states: set[grpc.ChannelConnectivity] = set()
    closed = threading.Event()

    def note(state: grpc.ChannelConnectivity) -> None:
        if grpc.ChannelConnectivity.READY in states and state is grpc.ChannelConnectivity.IDLE:
            closed.set()
        states.add(state)

    server.channel.subscribe(note, try_to_connect=True)
    assert closed.wait(WAIT_S)
    assert server.predict().metrics
