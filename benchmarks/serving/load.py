"""Load: so many unary calls in flight, calls at a rate, or messages on one stream."""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle

from benchmarks.serving.http2 import DATA, END_STREAM, RST_STREAM, Connection, Messages, message

CONNECTIONS = 4
"""gRPC serves a connection with one thread at a time; a scheduler has few of them."""


@dataclass(frozen=True)
class Target:
    """A method of a server on this machine."""

    port: int
    path: str
    host: str = "127.0.0.1"

    def connect(self) -> Connection:
        """Open a connection for calls of the method."""
        return Connection(self.host, self.port, self.path)


@dataclass(frozen=True)
class Seen:
    """What a client saw."""

    answers: int
    failed: int
    seconds: float
    latencies_s: Sequence[float] = ()
    """Of unary calls: from when the call was due to its end."""


class _Caller:
    """One connection with unary calls in flight."""

    def __init__(self, target: Target, bodies: Iterator[bytes]) -> None:
        self.connection = target.connect()
        self.due: dict[int, float] = {}
        self._bodies = bodies
        self._answered: set[int] = set()
        self.latencies: list[float] = []
        self.failed = 0

    def send(self, due: Iterable[float]) -> None:
        """Begin one call for each moment at which one is due."""
        frames = []
        for moment in due:
            stream, call = self.connection.call(next(self._bodies))
            self.due[stream] = moment
            frames.append(call)
        if frames:
            self.connection.socket.sendall(b"".join(frames))

    def receive(self) -> int:
        """Take the answers that have arrived; return how many calls ended."""
        ended = 0
        for kind, flags, stream, payload in self.connection.receive():
            if kind == DATA and payload:
                self._answered.add(stream)
            if kind == RST_STREAM or flags & END_STREAM:
                began = self.due.pop(stream, None)
                if began is None:
                    continue  # a reset after the end says only that nobody listens any more
                ended += 1
                self.latencies.append(time.perf_counter() - began)
                if stream not in self._answered:
                    self.failed += 1  # gRPC sends an error as trailers without any data
                self._answered.discard(stream)
        return ended


def unary(target: Target, bodies: Sequence[bytes], *, in_flight: int, seconds: float) -> Seen:
    """Keep so many calls in flight, over all connections, for so long."""
    with _callers(target, bodies, min(CONNECTIONS, in_flight)) as (callers, selector):
        began = time.perf_counter()
        for number, caller in enumerate(callers):
            mine = len(range(number, in_flight, len(callers)))
            caller.send([began] * mine)
        end = began + seconds
        while (now := time.perf_counter()) < end:
            for caller in _readable(selector, end - now):
                caller.send([time.perf_counter()] * caller.receive())
        return _seen(callers, time.perf_counter() - began)


def unary_at_rate(target: Target, bodies: Sequence[bytes], *, rate: float, seconds: float) -> Seen:
    """Begin calls at a steady rate, whether or not earlier ones have ended.

    A call's latency counts from when it was due, so a server that stalls is charged for all
    calls that its stall delayed.
    """
    with _callers(target, bodies, CONNECTIONS) as (callers, selector):
        began = time.perf_counter()
        due = (began + number / rate for number in range(int(rate * seconds)))
        turns = cycle(callers)
        following = next(due, None)
        while following is not None:
            while following is not None and following <= time.perf_counter():
                next(turns).send([following])
                following = next(due, None)
            for caller in _readable(selector, (following or 0) - time.perf_counter()):
                caller.receive()
        _finish(callers, selector)
        return _seen(callers, time.perf_counter() - began)


def stream(target: Target, bodies: Sequence[bytes], *, in_flight: int, seconds: float) -> Seen:
    """Keep so many messages in flight on one stream, as far as flow control allows.

    1 in flight is ping-pong, and its latencies are counted.
    """
    messages = cycle([message(body) for body in bodies])
    answers, latencies, sent = Messages(), [], 0
    with target.connect() as connection:
        number, head = connection.open()
        connection.socket.sendall(head)
        began = time.perf_counter()
        waiting = next(messages)
        while (now := time.perf_counter()) < began + seconds:
            burst, room = [], connection.stream_room
            while sent - answers.count < in_flight and len(waiting) <= room:
                burst.append(waiting)
                room -= len(waiting)
                sent += 1
                waiting = next(messages)
            if burst:
                connection.socket.sendall(connection.data(number, b"".join(burst)))
            _take(connection, answers)
            if in_flight == 1 and answers.count == sent:
                latencies.append(time.perf_counter() - now)
        return Seen(answers.count, 0, time.perf_counter() - began, latencies)


def _take(connection: Connection, answers: Messages) -> None:
    for kind, flags, _, payload in connection.receive():
        if flags & END_STREAM:
            raise ConnectionError("the server ended the stream")
        if kind == DATA:
            answers.take(payload)


class _callers:  # noqa: N801 -- used as a context manager, like a function
    """Callers on connections of their own, and a selector that knows them."""

    def __init__(self, target: Target, bodies: Sequence[bytes], count: int) -> None:
        messages = cycle([message(body) for body in bodies])
        self._stack = ExitStack()
        self._selector = self._stack.enter_context(selectors.DefaultSelector())
        self._made = [_Caller(target, messages) for _ in range(count)]
        for caller in self._made:
            self._stack.enter_context(caller.connection)
            self._selector.register(caller.connection.socket, selectors.EVENT_READ, caller)

    def __enter__(self) -> tuple[list[_Caller], selectors.BaseSelector]:
        return self._made, self._selector

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _readable(selector: selectors.BaseSelector, timeout: float) -> list[_Caller]:
    return [key.data for key, _ in selector.select(max(timeout, 0))]


def _finish(callers: Sequence[_Caller], selector: selectors.BaseSelector) -> None:
    give_up = time.perf_counter() + 5
    while any(caller.due for caller in callers) and time.perf_counter() < give_up:
        for caller in _readable(selector, 0.1):
            caller.receive()
    for caller in callers:
        caller.failed += len(caller.due)


def _seen(callers: Sequence[_Caller], seconds: float) -> Seen:
    latencies = [latency for caller in callers for latency in caller.latencies]
    failed = sum(caller.failed for caller in callers)
    return Seen(len(latencies), failed, seconds, latencies)
