"""Delivery: what is answered while the server shuts down reaches its client whole.

gRPC closes a connection after the last call on it, which for gRPC is over when the kernel has taken
its answer. Whatever the client sends from then on, be it that it has read a part and has room for
more, is answered with a reset, and the kernel throws away what it still held: the rest of a large
answer. But gRPC, told to stop, first asks each client for a sign, which it gives when it has read
all that was written before. So gRPC is told once the calls have been answered that were there when
the shutdown began; and those that come after, as well as streams, end by themselves only when
their client has read what was written. The drain's time ends this, as it ends all calls.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from grpc.aio import ServicerContext

from foretell_server.connections import Connections
from foretell_server.drain import Drain

QUIET_S = 0.1
"""A client that reads says so more often than this."""
NOISY_S = 2.0
"""So long a client is waited for that has everything, and goes on sending."""
_LOOK_EVERY_S = 0.02


class Delivery:
    """Knows which answers have to be waited for. Used on the event loop."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self._early: set[asyncio.Task[Any]] = set()
        self._connections = Connections()

    @property
    def last(self) -> bool:
        """Whether the server shuts down, and calls have to end with `read`."""
        return self._drain.begun

    def expect(self) -> None:
        """Note that this task answers a call, and that gRPC is to end it."""
        task = asyncio.current_task()
        if task is not None and not self.last:
            self._early.add(task)
            task.add_done_callback(self._early.discard)

    async def early(self, within_s: float, at_once: asyncio.Event) -> None:
        """Return once the calls are over that came before the shutdown, or `at_once` is set."""
        ends = time.monotonic() + within_s
        hurried = asyncio.ensure_future(at_once.wait())
        while self._early and not hurried.done() and (left := ends - time.monotonic()) > 0:
            waiting = {hurried, *self._early}
            await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()

    async def read(self, context: ServicerContext) -> None:
        """Wait until the client has what was written for it, if the server shuts down."""
        _, _, port = context.peer().rpartition(":") if self.last else ("", "", "")
        if not port.isdecimal():  # a socket of this machine: closing it loses nothing
            return
        patience = time.monotonic() + NOISY_S
        while not self._has_all(int(port), patient=time.monotonic() < patience):
            await asyncio.sleep(_LOOK_EVERY_S)

    def _has_all(self, port: int, *, patient: bool) -> bool:
        if self._connections.unread(port):
            return False
        return not patient or self._connections.silent_s(port) >= QUIET_S
