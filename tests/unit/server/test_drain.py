"""Draining ends those who wait and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from foretell.errors import Unavailable
from foretell_server.drain import Drain


async def never() -> AsyncIterator[int]:
    """Yield one item and then wait for ever."""
    yield 1
    await asyncio.Event().wait()


async def stubborn() -> AsyncIterator[int]:
    """Yield one item and then wait in a way that does not let go when it is cancelled once."""
    yield 1
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


async def collect(items: AsyncIterator[int], seen: asyncio.Event) -> None:
    """Read items and say when the first has come."""
    async for _ in items:
        seen.set()


@pytest.mark.parametrize("way", ["each", "news"])
def test_waiting_call_ends_with_unavailable(way: str) -> None:
    """A call that waits for the next item is told that the server shuts down."""

    async def scene() -> None:
        drain, seen = Drain(), asyncio.Event()
        items = never() if way == "each" else stubborn()
        call = asyncio.create_task(collect(getattr(drain, way)(items), seen))
        await seen.wait()
        await asyncio.sleep(0)
        drain.begin()
        with pytest.raises(Unavailable, match="shutting down"):
            await call
        assert call.cancelling() == 0

    asyncio.run(scene())


@pytest.mark.parametrize("way", ["each", "news"])
def test_a_caller_that_leaves_is_not_told_anything(way: str) -> None:
    """Cancellation that does not come from the drain stays a cancellation."""

    async def scene() -> None:
        drain, seen = Drain(), asyncio.Event()
        call = asyncio.create_task(collect(getattr(drain, way)(never()), seen))
        await seen.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(scene())


@pytest.mark.parametrize("way", ["each", "news"])
def test_whoever_comes_late_is_not_kept(way: str) -> None:
    """A call that would begin to wait after the drain has begun ends at once."""

    async def scene() -> None:
        drain = Drain()
        drain.begin()
        with pytest.raises(Unavailable):
            await collect(getattr(drain, way)(never()), asyncio.Event())

    asyncio.run(scene())


@pytest.mark.parametrize("way", ["each", "news"])
def test_items_that_end_end_the_call(way: str) -> None:
    """An iterator that is exhausted ends the loop, and errors pass through."""

    async def few() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    async def scene() -> None:
        drain = Drain()
        assert [i async for i in getattr(drain, way)(few())] == [1, 2]
        with pytest.raises(ValueError, match="broken"):
            await collect(getattr(drain, way)(broken()), asyncio.Event())

    asyncio.run(scene())


def test_messages_that_were_received_are_answered_first() -> None:
    """A call that is at work when the drain begins gets its other messages, then Unavailable."""

    async def received() -> AsyncIterator[int]:
        for i in range(3):
            yield i
        await asyncio.Event().wait()

    async def scene() -> None:
        drain, seen = Drain(), list[int]()

        async def call() -> None:
            async for i in drain.each(received()):
                seen.append(i)
                drain.begin()

        with pytest.raises(Unavailable, match="shutting down"):
            await call()
        assert seen == [0, 1, 2]

    asyncio.run(scene())
