"""One serving process: all its resources in one place, built, verified, then run."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import grpc

from foretell.correction_channel import CorrectionReader
from foretell.decide import Bounds
from foretell.jobs_async import AsyncJobStore
from foretell.logs import get_logger
from foretell.monitoring_async import AsyncMonitor
from foretell.registries import registry_of
from foretell.settings import Settings
from foretell_server.auth import Gate
from foretell_server.cache import AnswerCache
from foretell_server.connections import AGES_DIFFER, all_leave
from foretell_server.control_plane import ControlPlane
from foretell_server.converters.recall import Recall
from foretell_server.correcting import Correcting
from foretell_server.data_plane import DataPlane
from foretell_server.decisions import DecisionService
from foretell_server.drain import Drain
from foretell_server.error_edge import ErrorEdge
from foretell_server.health import SERVING, Health, HealthServicer
from foretell_server.hot_path import HotPath
from foretell_server.hot_swap import HotSwap
from foretell_server.inference.service import InferenceService
from foretell_server.listening import connection_age_s, listen, server_options
from foretell_server.live_scores import LiveScores
from foretell_server.monitoring import MonitoringService
from foretell_server.outbox import Outbox
from foretell_server.promotions import Promotions
from foretell_server.recent import RecentAnswers
from foretell_server.replay import Replays
from foretell_server.reporting import Reporter
from foretell_server.room import BEYOND, Room
from foretell_server.schemas import Schemas
from foretell_server.servicers import ModelService, ObservationService, PredictionService
from foretell_server.services import add_services
from foretell_server.shelf import Shelf
from foretell_server.telemetry.census import Census
from foretell_server.telemetry.journal import Journal
from foretell_server.telemetry.meters import Meters, Reading
from foretell_server.telemetry.tracing import Tracer
from foretell_server.threads import in_thread

_log = get_logger(__name__)

BLOCKING_THREADS = 8

ANSWERS_FOLDER = ".answers"
"""Where, in the registry, recent answers are kept: no workload has such a name."""


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
    _grace_s: float
    _age_s: float | None

    async def stop(self, at_once: asyncio.Event | None = None) -> None:
        """Say NOT_SERVING, take no more calls, and let those in flight finish.

        They have `drain_seconds`, or until `at_once` is set. Where connections are asked to
        leave at an age within that time, this is waited for, and no call is lost.
        """
        _log.info("draining", seconds=self._grace_s)
        self._health.drain()
        at_once = at_once or asyncio.Event()
        ends = time.monotonic() + self._grace_s
        if self._age_s is not None and AGES_DIFFER * self._age_s < self._grace_s:
            await all_leave(self.port, self._age_s, at_once)
        self._drain.begin()
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
        predicting = _threads(stack, "predict", os.cpu_count() or 1)
        blocking = _threads(stack, "blocking", BLOCKING_THREADS)
        loading = _threads(stack, "load", 1)
        registry = registry_of(settings)
        jobs = AsyncJobStore(settings.broker_url)
        stack.push_async_callback(jobs.close)
        monitor = AsyncMonitor(settings.broker_url)
        stack.push_async_callback(monitor.close)
        outbox = Outbox(settings.broker_url)
        stack.callback(outbox.close)

        shelf, health, drain = Shelf(), Health(), Drain()
        meters = Meters(lambda workload: workload in shelf.known or workload in shelf.live)
        schemas = Schemas(registry, shelf)
        reader = CorrectionReader(settings.broker_url)
        stack.push_async_callback(reader.close)

        def on_change() -> None:
            health.update(shelf.state())
            correcting.wake()

        swap = HotSwap(
            registry,
            shelf,
            loading,
            poll_s=settings.registry_poll_s,
            on_change=on_change,
            on_broker=lambda heard: health.broker(heard=heard),
            meters=meters,
            announce=lambda workload: jobs.announce(workload, "", ""),
        )
        others = max(0, (os.cpu_count() or 1) // settings.workers - 1)
        plane = DataPlane(
            settings.max_rows_per_call,
            settings.max_message_bytes,
            _threads(stack, "slices", max(others, 1)),
            others,
        )
        cache = AnswerCache(settings.cache_entries)
        cache.show(meters)
        answers = settings.answers or settings.registry / ANSWERS_FOLDER
        if settings.answers or settings.registry_url:
            answers.parent.mkdir(parents=True, exist_ok=True)
        recent = RecentAnswers(
            answers,
            plane.prefix,
            most_bytes=settings.answers_kept_bytes,
            kept_s=settings.answers_kept_s,
        )
        stack.callback(recent.close)
        correcting = Correcting(
            reader,
            shelf,
            poll_s=settings.registry_poll_s,
            meters=meters,
            remember=recent.keep_corrections,
        )
        live_scores = LiveScores(monitor, shelf)
        rows = HotPath(shelf, swap, plane, cache, recent)
        meters.show(
            Reading(
                "foretell_queue_depth",
                "Batches that wait for a thread.",
                predicting._work_queue.qsize,
            )
        )
        control = ControlPlane(
            registry=registry,
            schemas=schemas,
            shelf=shelf,
            jobs=jobs,
            outbox=outbox,
            executor=blocking,
        )
        servicers = {
            "foretell.v1.PredictionService": PredictionService(
                shelf, swap, plane, predicting, drain, rows, meters
            ),
            "foretell.v1.ObservationService": ObservationService(
                Reporter(schemas, outbox, settings.max_rows_per_call, Recall(recent)),
                blocking,
                drain,
            ),
            "foretell.v1.DecisionService": DecisionService(
                shelf,
                swap,
                predicting,
                Bounds(
                    settings.max_candidates,
                    settings.max_matrix_cells,
                    settings.max_placement_pairs,
                ),
            ),
            "foretell.v1.ModelService": ModelService(
                control,
                Promotions(
                    registry=registry,
                    swap=swap,
                    plane=control,
                    executor=blocking,
                    announce=lambda workload, version: jobs.announce(workload, version, "current"),
                ),
                drain,
            ),
            "foretell.v1.MonitoringService": MonitoringService(
                monitor=monitor,
                schemas=schemas,
                outbox=outbox,
                replays=Replays(recent, shelf, swap, rows, blocking),
                executor=blocking,
                drain=drain,
            ),
            "inference.GRPCInferenceService": InferenceService(
                shelf=shelf,
                swap=swap,
                plane=plane,
                executor=predicting,
                drain=drain,
                meters=meters,
                is_ready=lambda: health.status("") == SERVING,
            ),
            "grpc.health.v1.Health": HealthServicer(health),
        }
        room = Room(settings.max_concurrent_calls)
        journal = Journal(settings.log_answers_share, _tracer(settings, stack, blocking))
        server = grpc.aio.server(
            options=server_options(settings), maximum_concurrent_rpcs=BEYOND * room.most
        )
        gate = Gate(settings.admin_token(), loopback=settings.is_loopback)
        edge = ErrorEdge(gate, room, meters, journal)
        add_services(server, servicers, edge)
        port = listen(server, settings)
        stack.push_async_callback(server.stop, None)

        await swap.reconcile()
        await server.start()
        for work in (
            swap.follow(),
            swap.listen(jobs.listen),
            correcting.follow(),
            correcting.listen(),
            live_scores.follow(),
            recent.follow(blocking),
        ):
            stack.push_async_callback(_cancelled, asyncio.create_task(work))
        yield Serving(
            port,
            shelf,
            swap,
            Census(meters, shelf, process, live_scores.families),
            server,
            health,
            drain,
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


def _threads(stack: AsyncExitStack, name: str, count: int) -> ThreadPoolExecutor:
    pool = ThreadPoolExecutor(count, thread_name_prefix=name)
    # Not waited for: whoever asked for the work has been answered, or cut off.
    stack.callback(pool.shutdown, wait=False, cancel_futures=True)
    return pool


async def _cancelled(task: asyncio.Task[None]) -> None:
    # Again and again: see `Drain.news` about cancellations that get lost.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.2)
