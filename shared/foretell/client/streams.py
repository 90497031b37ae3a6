"""The client's side of PredictStream: bounded, in order, and not ended by one bad item."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from typing import Any, NamedTuple

import grpc
import grpc.aio

from foretell.client.answers import prediction
from foretell.client.failures import error_of_status
from foretell.client.requests import Features
from foretell.client.results import StreamAnswer
from foretell.errors import InvalidInput, Unavailable
from foretell.v1.prediction_pb2 import PredictRequest, PredictStreamResponse

Build = Callable[[Features], PredictRequest]

WINDOW = 256
"""How many items may be on their way: sent, and their answers not taken yet."""


class Sent(NamedTuple):
    """An item that an answer is due for: the server's, or the refusal that kept it here."""

    item: Features
    refusal: InvalidInput | None


def prepare(item: Features, build: Build) -> tuple[PredictRequest | None, Sent]:
    """Return an item's request, None if it cannot be sent, and what to remember of it."""
    try:
        return build(item), Sent(item, None)
    except InvalidInput as error:
        return None, Sent(item, error)


def answered(index: int, sent: Sent, response: PredictStreamResponse | None) -> StreamAnswer:
    """Return the answer to an item as a prediction or an error."""
    if sent.refusal is not None:
        return StreamAnswer(index, sent.item, sent.refusal)
    if response is None:
        raise ended_early()
    if response.WhichOneof("result") == "error":
        return StreamAnswer(index, sent.item, error_of_status(response.error))
    return StreamAnswer(index, sent.item, prediction(response.prediction))


def ended_early() -> Unavailable:
    """Return the error for a server that said goodbye with answers still due."""
    return Unavailable("the stream", "the server ended it before its last answer")


class SyncStream:
    """One PredictStream call: a thread of gRPC's pulls the items, the caller pulls the answers.

    An item that cannot even be sent is answered here, in its place. At most `window` items are
    on their way, so neither a fast producer nor a slow consumer makes memory grow.
    """

    def __init__(self, items: Iterable[Features], build: Build, window: int = WINDOW) -> None:
        self._items = items
        self._build = build
        self._room = threading.Semaphore(window)
        self._sent: queue.SimpleQueue[Sent | None] = queue.SimpleQueue()
        self._closed = False
        self._exhausted = False
        self._failure: Exception | None = None

    def requests(self) -> Iterator[PredictRequest]:
        """Yield the requests, as far as there is room; gRPC's thread runs this."""
        try:
            for item in self._items:
                self._room.acquire()
                if self._closed:
                    return
                request, sent = prepare(item, self._build)
                self._sent.put(sent)
                if request is not None:
                    yield request
            self._exhausted = True
        except Exception as error:
            self._failure = error
        finally:
            self._sent.put(None)

    def answers(self, call: Any) -> Generator[StreamAnswer, None, None]:  # noqa: ANN401  (grpc has no types)
        """Yield one answer for each item, in order. Leaving early cancels the call."""
        # A call that dies while the producer is silent ends the wait for the next item.
        if not call.add_callback(lambda: self._sent.put(None)):
            self._sent.put(None)
        try:
            for index in itertools.count():
                sent = self._sent.get()
                if sent is None:
                    break
                yield answered(index, sent, None if sent.refusal else next(call, None))
                self._room.release()
            if self._failure is not None:
                raise self._failure
            # Raises the call's error, if it ended with one.
            next(call, None)
            if not self._exhausted:
                raise ended_early()
        finally:
            self._closed = True
            self._room.release()
            call.cancel()


class AsyncStream:
    """One PredictStream call: a task writes the items, the caller reads the answers.

    The rules are those of SyncStream.
    """

    def __init__(
        self,
        items: Iterable[Features] | AsyncIterable[Features],
        build: Build,
        window: int = WINDOW,
    ) -> None:
        self._items = items
        self._build = build
        self._room = asyncio.Semaphore(window)
        self._sent: asyncio.Queue[Sent | None] = asyncio.Queue()
        self._exhausted = False
        self._failure: Exception | None = None

    async def answers(self, call: Any) -> AsyncGenerator[StreamAnswer, None]:  # noqa: ANN401
        """Yield one answer for each item, in order. Leaving early cancels the call."""
        writer = asyncio.create_task(self._write(call))
        # A call that dies while the producer is silent ends the wait for the next item.
        call.add_done_callback(lambda _: writer.cancel())
        index = 0
        try:
            while (sent := await self._sent.get()) is not None:
                yield answered(index, sent, None if sent.refusal else await _read(call))
                index += 1
                self._room.release()
            if self._failure is not None:
                raise self._failure
            await _read(call)
            if not self._exhausted:
                raise ended_early()
        finally:
            writer.cancel()
            call.cancel()
            await asyncio.wait([writer])

    async def _write(self, call: Any) -> None:  # noqa: ANN401
        try:
            async for item in _each(self._items):
                await self._room.acquire()
                request, sent = prepare(item, self._build)
                self._sent.put_nowait(sent)
                if request is not None:
                    await call.write(request)
            await call.done_writing()
            self._exhausted = True
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass  # the call is over; the reader learns why
        except Exception as error:
            self._failure = error
        finally:
            self._sent.put_nowait(None)


async def _each(items: Iterable[Features] | AsyncIterable[Features]) -> AsyncIterator[Features]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def _read(call: Any) -> PredictStreamResponse | None:  # noqa: ANN401
    response = await call.read()
    return None if response is grpc.aio.EOF else response
