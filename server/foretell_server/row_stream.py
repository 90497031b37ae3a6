"""PredictStream: rows as they come, answered in order, run together where several wait.

One task reads and sends rows on their way, another writes what has come back. So while an answer
is being sent the next request is received, and what is received meanwhile goes through the graph
in one run. At most `WINDOW` rows are between the two: a caller that does not read its answers is
not read from either, and what it sends waits on its side.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

from google.rpc import status_pb2
from grpc.aio import EOF

from foretell.v1 import prediction_pb2
from foretell_server.batching import MOST_ROWS
from foretell_server.error_edge import Answer, decoded, status_name
from foretell_server.hot_path import Asked, HotPath, correlation_end
from foretell_server.telemetry.meters import MethodMeter

WINDOW = 128
"""How many rows of one stream may be on their way."""
WINDOW_BYTES = 1 << 20
"""How many bytes of requests, if those are unusually large."""

_PREDICTION = bytes([prediction_pb2.PredictStreamResponse.PREDICTION_FIELD_NUMBER << 3 | 2])

Refuse = Callable[[Exception], status_pb2.Status]
"""Logs what became of one message, and says it as a status."""


class _Message:
    """One message of the stream, and what will answer it."""

    __slots__ = ("answer", "asked", "began", "head", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.began = time.perf_counter()
        self.head = b""
        """The correlation id as the answer has it: the same field with the same number."""
        self.asked: Asked | None = None
        self.answer: Answer | Exception | None = None


class Incoming:
    """The messages of a caller, without the generators that gRPC's own iterator is made of."""

    def __init__(self, context: Any) -> None:  # noqa: ANN401 -- gRPC's has no types
        self._read = context.read

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        message = await self._read()
        if message is EOF:
            raise StopAsyncIteration
        return bytes(message)


class RowStream:
    """One PredictStream call."""

    def __init__(self, path: HotPath, meter: MethodMeter, refuse: Refuse) -> None:
        self._path = path
        self._meter = meter
        self._refuse = refuse
        self._messages: deque[_Message] = deque()
        self._unbegun: list[_Message] = []
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._bytes = 0
        self._ended = False
        self._failure: Exception | None = None

    async def run(self, requests: AsyncIterator[bytes], context: Any) -> None:  # noqa: ANN401
        """Answer all messages; raises what ended the reading, once all are answered."""
        reading = asyncio.create_task(self._read(requests))
        try:
            await self._write(context)
        finally:
            reading.cancel()
            self._drop()
        if self._failure is not None:
            raise self._failure

    async def _read(self, requests: AsyncIterator[bytes]) -> None:
        try:
            async for raw in requests:
                message = _Message(raw)
                self._messages.append(message)
                self._unbegun.append(message)
                self._meter.in_flight += 1
                self._bytes += len(raw)
                if len(self._unbegun) >= MOST_ROWS:
                    self._begin_all()
                self._news.set()
                if len(self._messages) >= WINDOW or self._bytes >= WINDOW_BYTES:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:
            self._failure = error
        finally:
            self._ended = True
            self._news.set()

    async def _write(self, context: Any) -> None:  # noqa: ANN401
        while True:
            while not self._messages:
                if self._ended:
                    return
                self._news.clear()
                await self._news.wait()
            message = self._messages.popleft()
            if self._unbegun and self._unbegun[0] is message:
                self._begin_all()
            await context.write(await self._answer(message))
            self._bytes -= len(message.raw)
            if len(self._messages) <= WINDOW // 2 and self._bytes <= WINDOW_BYTES // 2:
                self._room.set()  # not for each message: half a window is read at once

    def _drop(self) -> None:
        """Give up what nobody waits for any more; rows that have not been run are not."""
        for message in self._messages:
            if message.asked is not None:
                message.asked.answer.cancel()
        self._meter.in_flight -= len(self._messages)

    def _begin_all(self) -> None:
        """Send on their way what has come in; one after the other takes half of the time."""
        messages, self._unbegun = self._unbegun, []
        for message in messages:
            self._begin(message, at_once=len(messages) == 1)

    def _begin(self, message: _Message, *, at_once: bool) -> None:
        path, raw = self._path, message.raw
        try:
            begun = path.cached(raw) or path.recall(raw, at_once=at_once)
            if begun is not None:
                message.head = raw[: correlation_end(raw)]
                if isinstance(begun, Answer):
                    message.answer = begun
                else:
                    message.asked = begun
                return
            request = decoded(prediction_pb2.PredictRequest, raw)
            message.head = _head(request.correlation_id)
            message.asked = path.ask(raw, request)
        except Exception as error:  # one item's error ends that item alone
            message.answer = error

    async def _answer(self, message: _Message) -> bytes:
        """Return the serialized answer to a message, be it an error."""
        try:
            if isinstance(message.answer, Exception):
                raise message.answer
            answer = message.answer
            if answer is None and message.asked is not None:
                answer = await self._path.finish(message.asked)
            if answer is None:
                answer = await self._path.predict(message.raw)
        except Exception as error:
            self._meter.refused("", status_name(error), time.perf_counter() - message.began)
            response = prediction_pb2.PredictStreamResponse(error=self._refuse(error))
            return message.head + response.SerializeToString()
        finally:
            self._meter.in_flight -= 1
        self._meter.answered(answer.workload, time.perf_counter() - message.began)
        return b"".join((message.head, _PREDICTION, _varint(len(answer.raw)), answer.raw))


def _head(correlation_id: str) -> bytes:
    return prediction_pb2.PredictStreamResponse(correlation_id=correlation_id).SerializeToString()


def _varint(number: int) -> bytes:
    if 127 < number < 1 << 14:
        return bytes((number & 127 | 128, number >> 7))  # what nearly every answer's length is
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
