"""The asynchronous client against a real server that answers by fixed rules."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import grpc
import pytest

import foretell
from foretell.client import AsyncClient, StreamAnswer
from foretell.errors import DeadlinePassed, ForetellError, InvalidInput, NotFound, Unavailable
from foretell.v1 import model_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.unit.client.conftest import FixedServer

ITEM = {"function": "fib", "argument": 3}
Use = Callable[[AsyncClient], Coroutine[None, None, None]]


@pytest.fixture
def run(server: FixedServer) -> Callable[[Use], None]:
    """Run a coroutine with a client of the fixed server, in a loop of its own."""

    async def with_client(use: Use) -> None:
        async with AsyncClient(server.address, timeout=60, patience=30) as client:
            await use(client)

    return lambda use: asyncio.run(with_client(use))


def test_package_exports_the_client_lazily() -> None:
    """`foretell.AsyncClient` is the asynchronous client."""
    assert foretell.AsyncClient is AsyncClient


def test_calls_are_those_of_the_synchronous_client(
    run: Callable[[Use], None], server: FixedServer
) -> None:
    """Each call answers with the same values as its synchronous twin."""
    server.job = [model_pb2.Job(id="j1", state=model_pb2.JOB_STATE_SUCCEEDED)]

    async def use(client: AsyncClient) -> None:
        prediction = await client.predict("rules", ITEM, quantiles=[0.9])
        assert prediction.duration_s.quantiles[0.9] == pytest.approx(6 * 1.4)
        many = await client.predict_many("rules", {"argument": range(20_000)})
        assert many.duration_s.median[-1] == 2 * 19_999
        acks = await client.report([{"workload": "rules", "metrics": {"duration_s": 1}}])
        assert acks.accepted == 1
        assert [b.version for b in await client.bundles("rules")] == ["v0", "v1", "v2"]
        assert (await client.schema("rules")).features[0].name == "argument"
        assert await client.health("untrained") == "NOT_SERVING"
        assert (await client.retrain("rules")).state == "QUEUED"
        assert (await client.retrain("rules", wait=True)).state == "SUCCEEDED"

    run(use)


def test_failures_are_those_of_the_synchronous_client(
    run: Callable[[Use], None], server: FixedServer
) -> None:
    """Retries, error classes and deadlines are the same."""
    server.faults.extend([grpc.StatusCode.UNAVAILABLE] * 6)

    async def use(client: AsyncClient) -> None:
        assert (await client.predict("rules", ITEM)).duration_s.median == 6
        assert len(server.seen) == 7
        with pytest.raises(NotFound, match="known: rules"):
            await client.predict("other", ITEM)
        with pytest.raises(InvalidInput) as caught:
            await client.predict("rules", {})
        assert caught.value.violations[0].field == "argument"
        with pytest.raises(DeadlinePassed, match=r"within 0\.3 s"):
            await client.predict("endless", ITEM, timeout=0.3)

    run(use)


def test_broken_watch_is_opened_again(run: Callable[[Use], None], server: FixedServer) -> None:
    """A watch whose connection breaks goes on where it was."""
    server.job = [
        model_pb2.Job(id="j1", state=model_pb2.JOB_STATE_RUNNING),
        grpc.StatusCode.UNAVAILABLE,
        model_pb2.Job(id="j1", state=model_pb2.JOB_STATE_SUCCEEDED),
    ]

    async def use(client: AsyncClient) -> None:
        assert [job.state async for job in client.watch("j1")] == ["RUNNING", "SUCCEEDED"]

    run(use)


class TestStream:
    def test_answers_come_in_order_from_any_producer(self, run: Callable[[Use], None]) -> None:
        """Items from an iterable or an asynchronous one are answered in order."""

        async def produced() -> AsyncIterator[dict[str, int]]:
            for i in range(1000):
                yield {"argument": i}

        async def use(client: AsyncClient) -> None:
            expected = [2 * i for i in range(1000)]
            for items in (produced(), [{"argument": i} for i in range(1000)]):
                answers = [a async for a in client.stream("rules", items)]
                assert [a.prediction.duration_s.median for a in answers] == expected

        run(use)

    def test_bad_items_do_not_end_the_stream(self, run: Callable[[Use], None]) -> None:
        """A refused item has its error in its place."""

        async def use(client: AsyncClient) -> None:
            items: list[dict[str, object]] = [{"argument": 1}, {}, {"argument": []}, ITEM]
            errors = [a.error is None async for a in client.stream("rules", items)]
            assert errors == [True, False, False, True]

        run(use)

    def test_items_are_taken_as_answers_are(
        self, run: Callable[[Use], None], server: FixedServer
    ) -> None:
        """An endless producer is held back, and leaving early ends the call on the server."""
        taken = 0

        def endless() -> Iterator[dict[str, int]]:
            nonlocal taken
            for taken in itertools.count(1):
                yield {"argument": taken}

        async def use(client: AsyncClient) -> None:
            stream = cast("AsyncGenerator[StreamAnswer, None]", client.stream("rules", endless()))
            async with aclosing(stream):
                for _ in range(1000):
                    await anext(stream)
            assert 1000 <= taken <= 1000 + 257
            assert await asyncio.to_thread(server.stream_ended.wait, 60)

        run(use)

    def test_errors_of_both_ends_reach_the_consumer(
        self, run: Callable[[Use], None], server: FixedServer
    ) -> None:
        """The producer's error, the server's goodbye and the stream's status are all raised."""

        async def failing() -> AsyncIterator[dict[str, int]]:
            yield {"argument": 1}
            raise KeyError("lost")

        async def silent() -> AsyncIterator[dict[str, int]]:
            yield {"argument": 1}
            await asyncio.Event().wait()

        async def use(client: AsyncClient) -> None:
            with pytest.raises(KeyError, match="lost"):
                [a async for a in client.stream("rules", failing())]
            with pytest.raises(Unavailable, match="before its last answer"):
                [a async for a in client.stream("goodbye", silent())]
            server.faults.append(grpc.StatusCode.RESOURCE_EXHAUSTED)
            with pytest.raises(ForetellError) as caught:
                [a async for a in client.stream("rules", silent())]
            assert caught.value.status == "RESOURCE_EXHAUSTED"

        run(use)
