"""How the synchronous client reaches a server, and what failures become."""

from __future__ import annotations

import math
import socket
from typing import TYPE_CHECKING

import grpc
import pytest

from foretell.client import Client, Tls
from foretell.errors import (
    DeadlinePassed,
    ForetellError,
    InvalidInput,
    NotFound,
    Unavailable,
)

if TYPE_CHECKING:
    from tests.unit.client.conftest import FixedServer

ADMIT = "let-me-in"
ITEM = {"function": "fib", "argument": 3}


class TestConnection:
    def test_unavailable_is_retried(self, server: FixedServer) -> None:
        """Unavailable is repeated, more often than gRPC does by itself, and then succeeds."""
        server.faults.extend([grpc.StatusCode.UNAVAILABLE] * 6)
        with Client(server.address, timeout=60, patience=30) as client:
            assert client.predict("rules", ITEM).duration_s.median == 6
        assert len(server.seen) == 7

    def test_unavailable_that_a_server_explains_is_not_waited_out(
        self, client: Client, server: FixedServer
    ) -> None:
        """A server that is there and says what it misses is asked five times and believed."""
        with pytest.raises(Unavailable, match="the broker is unavailable: gone"):
            client.predict("brokerless", ITEM)
        assert len(server.seen) == 5

    def test_other_failures_are_not_retried(self, client: Client, server: FixedServer) -> None:
        """Only UNAVAILABLE is repeated: an internal error reaches the caller at once."""
        server.faults.append(grpc.StatusCode.INTERNAL)
        with pytest.raises(ForetellError, match="a fault that the test asked for") as caught:
            client.predict("rules", ITEM)
        assert (type(caught.value), caught.value.reason) == (ForetellError, "INTERNAL")
        assert len(server.seen) == 1

    def test_no_server_is_unavailable_and_named(self) -> None:
        """With nobody listening, the error says where."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        with Client(address, patience=0) as client, pytest.raises(Unavailable, match=address):
            client.predict("rules", ITEM)

    def test_every_call_has_a_deadline(self, server: FixedServer) -> None:
        """The client's timeout is the deadline of each call, streams have their own."""
        with Client(server.address, timeout=700, stream_timeout=9000) as client:
            client.predict("rules", ITEM)
            client.predict("rules", ITEM, timeout=300)
            list(client.stream("rules", [ITEM]))
            client.predict("rules", ITEM, timeout=math.inf)
        # Some of it is over when the server looks; without a deadline it says centuries.
        assert server.time_remaining == [
            pytest.approx(700, abs=60),
            pytest.approx(300, abs=60),
            pytest.approx(9000, abs=60),
            pytest.approx(1e19, rel=1),
        ]

    def test_deadline_that_passes_is_an_error_with_the_limit(self, client: Client) -> None:
        """A server that does not answer in time raises DeadlinePassed with the time given."""
        with pytest.raises(DeadlinePassed, match=r"within 0\.3 s"):
            client.predict("endless", ITEM, timeout=0.3)

    def test_token_travels_with_every_call(self, server: FixedServer) -> None:
        """The token is sent as a bearer token, and never shown."""
        with Client(server.address, token=ADMIT) as client:
            client.predict("rules", ITEM)
            list(client.stream("rules", [ITEM]))
            assert ADMIT not in repr(client) + repr(vars(client))
        assert [m["authorization"] for m in server.metadata] == [f"Bearer {ADMIT}"] * 2

    @pytest.mark.parametrize(
        "address", ["scheduler.example:50051", "dns:///10.0.0.1:1", "[2001:db8::1]:1", "10.0.0.1"]
    )
    def test_token_is_not_sent_in_the_clear(self, address: str) -> None:
        """A token to another machine wants TLS, or the caller's word that it is meant."""
        with pytest.raises(InvalidInput, match="unencrypted"):
            Client(address, token=ADMIT)
        Client(address, token=ADMIT, insecure=True).close()
        Client(address, token=ADMIT, tls=True).close()

    @pytest.mark.parametrize(
        "address", ["localhost:1", "127.0.0.2:1", "[::1]:1", "unix:/run/f", "ipv4:127.0.0.1:1"]
    )
    def test_token_may_travel_within_the_machine(self, address: str) -> None:
        """A token to this machine needs no TLS."""
        Client(address, token=ADMIT).close()

    def test_certificate_that_cannot_be_read_is_named(self) -> None:
        """A missing certificate file is named with its option."""
        with pytest.raises(InvalidInput, match=r"tls\.ca_file: cannot be read"):
            Client("localhost:1", tls=Tls(ca_file="/nowhere/ca.pem"))

    def test_health_is_read_from_the_standard_service(self, client: Client) -> None:
        """Health speaks to the real grpc.health.v1 service, per name."""
        assert client.health() == "SERVING"
        assert client.health("rules") == "SERVING"
        assert client.health("untrained") == "NOT_SERVING"
        with pytest.raises(NotFound):
            client.health("nobody")


class TestErrors:
    def test_server_error_comes_back_as_its_class(self, client: Client) -> None:
        """The class, the message and the reason of the server's error survive the way."""
        with pytest.raises(NotFound, match="no workload named 'other'; known: rules") as caught:
            client.predict("other", ITEM)
        assert caught.value.reason == "WORKLOAD_NOT_FOUND"

    def test_field_violations_are_kept(self, client: Client) -> None:
        """Each field violation of the server is a violation of the error."""
        with pytest.raises(InvalidInput) as caught:
            client.predict("rules", {"function": "fib"})
        (violation,) = caught.value.violations
        assert (violation.field, violation.message) == ("argument", "is required")
