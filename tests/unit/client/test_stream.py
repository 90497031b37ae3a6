"""Streams of predictions through the synchronous client."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import grpc
import pytest

from foretell.client import Client
from foretell.client.requests import Features
from foretell.errors import (
    ForetellError,
    InvalidInput,
    Unavailable,
)

if TYPE_CHECKING:
    from tests.unit.client.conftest import FixedServer

ITEM = {"function": "fib", "argument": 3}


class TestStream:
    def test_answers_come_in_order(self, client: Client) -> None:
        """A flood of items is answered one by one and in order."""
        items = [{"argument": i} for i in range(3000)]
        medians = [answer.prediction.duration_s.median for answer in client.stream("rules", items)]
        assert medians == [2 * i for i in range(3000)]

    def test_bad_items_do_not_end_the_stream(self, client: Client) -> None:
        """A refused item has its error in its place, whether the server or the client refused."""
        items: list[Features] = [{"argument": 1}, {}, {"argument": object()}, {"argument": 4}]
        answers = list(client.stream("rules", items))
        assert [answer.index for answer in answers] == [0, 1, 2, 3]
        assert [answer.error is None for answer in answers] == [True, False, False, True]
        with pytest.raises(InvalidInput, match="is required"):
            answers[1].prediction  # noqa: B018
        with pytest.raises(InvalidInput, match="object is not allowed"):
            answers[2].prediction  # noqa: B018
        assert answers[3].prediction.duration_s.median == 8

    def test_items_are_taken_as_answers_are(self, client: Client) -> None:
        """An endless producer is held back: it stays a bounded number ahead of the consumer."""
        taken = 0

        def endless() -> Iterator[dict[str, int]]:
            nonlocal taken
            for taken in itertools.count(1):
                yield {"argument": taken}

        stream = client.stream("rules", endless())
        for _ in range(1000):
            next(stream)
        assert 1000 <= taken <= 1000 + 257

    def test_leaving_early_ends_the_call(self, client: Client, server: FixedServer) -> None:
        """Closing the iterator cancels the call on the server."""
        stream = client.stream("rules", ({"argument": i} for i in itertools.count()))
        next(stream)
        stream.close()  # type: ignore[attr-defined]  # it is a generator
        assert server.stream_ended.wait(60)

    def test_error_of_the_producer_reaches_the_consumer(self, client: Client) -> None:
        """What the item iterator raises is raised to the caller, after the answers before it."""

        def failing() -> Iterator[dict[str, int]]:
            yield {"argument": 1}
            raise KeyError("lost")

        stream = client.stream("rules", failing())
        assert next(stream).prediction.duration_s.median == 2
        with pytest.raises(KeyError, match="lost"):
            next(stream)

    def test_server_that_hangs_up_is_noticed(self, client: Client) -> None:
        """A stream that the server ends too early is an error, even with a silent producer."""
        release = threading.Event()

        def silent() -> Iterator[dict[str, int]]:
            yield {"argument": 1}
            release.wait()

        with pytest.raises(Unavailable, match="before its last answer"):
            list(client.stream("goodbye", silent()))
        release.set()

    def test_broken_stream_raises_its_status(self, client: Client, server: FixedServer) -> None:
        """A status that ends the stream becomes its error class."""
        server.faults.append(grpc.StatusCode.RESOURCE_EXHAUSTED)
        with pytest.raises(ForetellError) as caught:
            list(client.stream("rules", [ITEM]))
        assert caught.value.status == "RESOURCE_EXHAUSTED"
