"""All that one serving process is made of, put together; the order of closing is the reverse."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from foretell.correction_channel import CorrectionReader
from foretell.jobs_async import AsyncJobStore
from foretell.monitoring_async import AsyncMonitor
from foretell.registries import registry_of
from foretell.registry import Registry
from foretell.settings import Settings
from foretell_server.cache import AnswerCache
from foretell_server.control_plane import ControlPlane
from foretell_server.converters.recall import Recall
from foretell_server.correcting import Correcting
from foretell_server.data_plane import DataPlane
from foretell_server.drain import Drain
from foretell_server.health import SERVING, Health, HealthServicer
from foretell_server.hot_path import HotPath
from foretell_server.hot_swap import HotSwap
from foretell_server.inference.service import InferenceService
from foretell_server.later import Later
from foretell_server.live_scores import LiveScores
from foretell_server.monitoring import MonitoringService
from foretell_server.outbox import Outbox
from foretell_server.promotions import Promotions
from foretell_server.recent import RecentAnswers
from foretell_server.replay import Replays
from foretell_server.reported import Reported
from foretell_server.reporting import Reporter
from foretell_server.schemas import Schemas
from foretell_server.servicers import ModelService, ObservationService, PredictionService
from foretell_server.shelf import Shelf
from foretell_server.telemetry.meters import Meters, Reading

if TYPE_CHECKING:
    from foretell_server.decisions import DecisionService

BLOCKING_THREADS = 8

ANSWERS_FOLDER = ".answers"
"""Where, in the registry, recent answers are kept: no workload has such a name."""


@dataclass(frozen=True)
class Threads:
    """Where work is done that would keep the event loop from everybody else."""

    predicting: ThreadPoolExecutor
    blocking: ThreadPoolExecutor
    """For whatever waits for a disk or the broker."""
    loading: ThreadPoolExecutor
    slices: ThreadPoolExecutor
    """These help with large batches."""
    most_helpers: int
    """So many on one batch: no more than there are processors for."""

    @classmethod
    def start(cls, stack: AsyncExitStack, workers: int) -> Threads:
        """Make the pools of one of so many processes; `stack` lets go of them."""
        processors = os.cpu_count() or 1
        helpers = max(0, processors // workers - 1)

        def threads(name: str, count: int) -> ThreadPoolExecutor:
            pool = ThreadPoolExecutor(count, thread_name_prefix=name)
            # Not waited for: whoever asked for the work has been answered, or cut off.
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            return pool

        return cls(
            predicting=threads("predict", processors),
            blocking=threads("blocking", BLOCKING_THREADS),
            loading=threads("load", 1),
            slices=threads("slices", max(helpers, 1)),
            most_helpers=helpers,
        )


@dataclass(frozen=True)
class Broker:
    """The ways to the broker; each finds out for itself whether it is there."""

    jobs: AsyncJobStore
    monitor: AsyncMonitor
    outbox: Outbox
    reported: Reported
    corrections: CorrectionReader

    @classmethod
    def reach(cls, stack: AsyncExitStack, url: str) -> Broker:
        """Make them; `stack` closes them."""
        broker = cls(
            AsyncJobStore(url), AsyncMonitor(url), Outbox(url), Reported(url), CorrectionReader(url)
        )
        for connection in (broker.jobs, broker.monitor, broker.corrections):
            stack.push_async_callback(connection.close)
        stack.callback(broker.outbox.close)
        stack.callback(broker.reported.close)
        return broker


@dataclass(frozen=True)
class Assembly:
    """What answers, and what it answers with."""

    settings: Settings
    threads: Threads
    broker: Broker
    registry: Registry
    shelf: Shelf
    health: Health
    drain: Drain
    meters: Meters
    swap: HotSwap
    plane: DataPlane
    recent: RecentAnswers
    correcting: Correcting
    rows: HotPath

    @classmethod
    def build(cls, stack: AsyncExitStack, settings: Settings) -> Assembly:
        """Put a process together. Nothing is loaded and nothing runs yet."""
        threads = Threads.start(stack, settings.workers)
        broker = Broker.reach(stack, settings.broker_url)
        registry, shelf, health = registry_of(settings), Shelf(), Health()
        meters = Meters(lambda workload: workload in shelf.known or workload in shelf.live)

        def on_change() -> None:
            health.update(shelf.state())
            correcting.wake()
            rows.forget()

        swap = _swap(settings, registry, shelf, threads, broker, health, meters, on_change)
        plane = _plane(settings, threads)
        recent = _recent(settings, plane.prefix)
        stack.callback(recent.close)
        correcting = Correcting(
            broker.corrections,
            shelf,
            poll_s=settings.registry_poll_s,
            meters=meters,
            remember=recent.keep_corrections,
        )
        rows = HotPath(shelf, swap, plane, _cache(settings, meters), recent)
        return cls(
            settings=settings,
            threads=threads,
            broker=broker,
            registry=registry,
            shelf=shelf,
            health=health,
            drain=Drain(),
            meters=meters,
            swap=swap,
            plane=plane,
            recent=recent,
            correcting=correcting,
            rows=rows,
        )

    @cached_property
    def live_scores(self) -> LiveScores:
        """What is shown of how answers have done."""
        return LiveScores(self.broker.monitor, self.shelf)

    @cached_property
    def schemas(self) -> Schemas:
        """The schemas of all workloads."""
        return Schemas(self.registry, self.shelf)

    def work(self) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
        """Yield what has to go on beside the calls, as long as the process serves."""
        yield self.swap.follow
        yield partial(self.swap.listen, self.broker.jobs.listen)
        yield self.correcting.follow
        yield self.correcting.listen
        yield self.live_scores.follow
        yield partial(self.recent.follow, self.threads.blocking)

    def servicers(self) -> dict[str, object]:
        """Return what answers the calls of each service, by its full name."""
        return {
            "foretell.v1.PredictionService": PredictionService(
                self.shelf,
                self.swap,
                self.plane,
                self.threads.predicting,
                self.drain,
                self.rows,
                self.meters,
            ),
            "foretell.v1.ObservationService": self._observations(),
            "foretell.v1.DecisionService": Later(self._decisions),
            "foretell.v1.ModelService": self._models(),
            "foretell.v1.MonitoringService": self._monitoring(),
            "inference.GRPCInferenceService": InferenceService(
                shelf=self.shelf,
                swap=self.swap,
                plane=self.plane,
                executor=self.threads.predicting,
                drain=self.drain,
                meters=self.meters,
                is_ready=lambda: self.health.status("") == SERVING,
            ),
            "grpc.health.v1.Health": HealthServicer(self.health),
        }

    def _observations(self) -> ObservationService:
        most, recall = self.settings.max_rows_per_call, Recall(self.recent)
        reporter = Reporter(self.schemas, self.broker.outbox, self.broker.reported, most, recall)
        return ObservationService(reporter, self.threads.blocking, self.drain)

    def _decisions(self) -> DecisionService:
        from foretell.decide import Bounds  # noqa: PLC0415 -- see `later`
        from foretell_server.decisions import DecisionService  # noqa: PLC0415

        given = self.settings
        bounds = Bounds(given.max_candidates, given.max_matrix_cells, given.max_placement_pairs)
        return DecisionService(self.shelf, self.swap, self.threads.predicting, bounds)

    def _models(self) -> ModelService:
        jobs = self.broker.jobs
        control = ControlPlane(
            registry=self.registry,
            schemas=self.schemas,
            shelf=self.shelf,
            jobs=jobs,
            outbox=self.broker.outbox,
            executor=self.threads.blocking,
        )
        promotions = Promotions(
            registry=self.registry,
            swap=self.swap,
            plane=control,
            executor=self.threads.blocking,
            announce=lambda workload, version: jobs.announce(workload, version, "current"),
        )
        return ModelService(control, promotions, self.drain)

    def _monitoring(self) -> MonitoringService:
        blocking = self.threads.blocking
        return MonitoringService(
            monitor=self.broker.monitor,
            schemas=self.schemas,
            outbox=self.broker.outbox,
            replays=Replays(self.recent, self.shelf, self.swap, self.rows, blocking),
            executor=blocking,
            drain=self.drain,
        )


def _swap(
    settings: Settings,
    registry: Registry,
    shelf: Shelf,
    threads: Threads,
    broker: Broker,
    health: Health,
    meters: Meters,
    on_change: Callable[[], None],
) -> HotSwap:
    predicting = threads.predicting
    waiting = Reading(
        "foretell_queue_depth", "Batches that wait for a thread.", predicting._work_queue.qsize
    )
    meters.show(waiting)
    return HotSwap(
        registry,
        shelf,
        threads.loading,
        poll_s=settings.registry_poll_s,
        on_change=on_change,
        on_broker=lambda heard: health.broker(heard=heard),
        meters=meters,
        announce=lambda workload: broker.jobs.announce(workload, "", ""),
    )


def _plane(settings: Settings, threads: Threads) -> DataPlane:
    return DataPlane(
        settings.max_rows_per_call,
        settings.max_message_bytes,
        threads.slices,
        threads.most_helpers,
    )


def _cache(settings: Settings, meters: Meters) -> AnswerCache:
    cache = AnswerCache(settings.cache_entries)
    cache.show(meters)
    return cache


def _recent(settings: Settings, prefix: str) -> RecentAnswers:
    folder = settings.answers or settings.registry / ANSWERS_FOLDER
    if settings.answers or settings.registry_url:
        folder.parent.mkdir(parents=True, exist_ok=True)
    return RecentAnswers(
        folder,
        prefix,
        most_bytes=settings.answers_kept_bytes,
        kept_s=settings.answers_kept_s,
    )
