"""One serving process: all its resources in one place, built, verified, then run."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc

from foretell.logs import get_logger
from foretell.settings import Settings
from foretell_server import ranking_request
from foretell_server.assembly import Assembly
from foretell_server.auth import Gate
from foretell_server.connections import AGES_DIFFER, all_leave
from foretell_server.delivery import Delivery
from foretell_server.drain import Drain
from foretell_server.error_edge import ErrorEdge
from foretell_server.health import Health
from foretell_server.hot_swap import HotSwap
from foretell_server.later import import_the_rest
from foretell_server.listening import connection_age_s, listen, server_options
from foretell_server.ranking_request import RANK
from foretell_server.room import BEYOND, Room
from foretell_server.services import add_services
from foretell_server.shelf import Shelf
from foretell_server.telemetry.census import Census
from foretell_server.telemetry.journal import Journal
from foretell_server.telemetry.tracing import Tracer
from foretell_server.threads import in_thread

_log = get_logger(__name__)


@dataclass(frozen=True)
class Serving:
    """A server that answers."""

    port: int
    shelf: Shelf
    swap: HotSwap
    census: Census
    _server: grpc.aio.Server
    _health: Health
    _drain: Drain
    _delivery: Delivery
    _grace_s: float
    _age_s: float | None

    async def stop(self, at_once: asyncio.Event | None = None) -> None:
        """Say NOT_SERVING, take no more calls, and let those in flight finish.

        They have `drain_seconds`, or until `at_once` is set. Where connections are asked to
        leave at an age within that time, this is waited for, and no call is lost. What is
        answered is read before its connection is closed; see `delivery`.
        """
        _log.info("draining", seconds=self._grace_s)
        self._health.drain()
        at_once = at_once or asyncio.Event()
        ends = time.monotonic() + self._grace_s
        if self._age_s is not None and AGES_DIFFER * self._age_s < self._grace_s:
            await all_leave(self.port, self._age_s, at_once)
        self._drain.begin()
        await self._delivery.early((ends - time.monotonic()) / 2, at_once)
        stopping = asyncio.ensure_future(self._server.stop(max(0.0, ends - time.monotonic())))
        hurried = asyncio.ensure_future(at_once.wait())
        await asyncio.wait({stopping, hurried}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            _log.warning("stopping at once; calls in flight are cut off")
            await self._server.stop(None)
            await stopping
        hurried.cancel()


@asynccontextmanager
async def serving(settings: Settings, process: int = 0) -> AsyncIterator[Serving]:
    """Build a server with all it needs, load what the registry has, and let it answer.

    `process` is its place among those that share the port. Raises Unavailable for a port that
    is taken. On leaving, what is still in flight is cut off; call `Serving.stop` before to
    drain.
    """
    async with AsyncExitStack() as stack:
        parts = Assembly.build(stack, settings)
        room = Room(settings.max_concurrent_calls)
        tracer = _tracer(settings, stack, parts.threads.blocking)
        server = grpc.aio.server(
            options=server_options(settings), maximum_concurrent_rpcs=BEYOND * room.most
        )
        gate = Gate(settings.admin_token(), loopback=settings.is_loopback)
        journal = Journal(settings.log_answers_share, tracer)
        delivery, readers = Delivery(parts.drain), {RANK: ranking_request.read}
        edge = ErrorEdge(gate, room, parts.meters, journal, delivery, readers)
        add_services(server, parts.servicers(), edge)
        port = listen(server, settings)
        stack.push_async_callback(server.stop, None)

        await parts.swap.reconcile()
        await server.start()
        # Calls are answered meanwhile.
        imported = asyncio.create_task(_import_the_rest(parts.threads.blocking))
        for work in parts.work():
            stack.push_async_callback(_cancelled, asyncio.create_task(_after(imported, work)))
        yield Serving(
            port,
            parts.shelf,
            parts.swap,
            Census(parts.meters, parts.shelf, process, parts.live_scores.families),
            server,
            parts.health,
            parts.drain,
            delivery,
            settings.drain_seconds,
            connection_age_s(settings),
        )


def _tracer(
    settings: Settings, stack: AsyncExitStack, executor: ThreadPoolExecutor
) -> Tracer | None:
    if settings.otlp_endpoint is None:
        return None
    tracer = Tracer(settings.otlp_endpoint, settings.trace_share)
    stack.push_async_callback(in_thread, executor, tracer.close)
    return tracer


async def _import_the_rest(executor: Executor) -> None:
    try:
        await in_thread(executor, import_the_rest)
        # No collection has to look through what was imported; calls may leave a little in it.
        gc.collect(0)
        gc.freeze()
    except Exception:
        # Predictions need none of it. Whoever does imports it again, and says what is wrong.
        _log.exception("what few calls need could not be imported")


async def _after(imported: asyncio.Task[None], work: Callable[[], Awaitable[None]]) -> None:
    # Waited for, not awaited: the work is cancelled by itself, without what all of it waits for.
    await asyncio.wait([imported])
    await work()


async def _cancelled(task: asyncio.Task[None]) -> None:
    # Again and again: see `Drain.news` about cancellations that get lost.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.2)
