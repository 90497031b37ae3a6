"""MonitoringService: convert, call, convert. Method names are those of the proto."""

# ruff: noqa: N802, ARG002 -- the protos' names and gRPC's signature

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from concurrent.futures import Executor

from grpc.aio import ServicerContext

from foretell.anomalies import Decision
from foretell.errors import InvalidInput, Violation
from foretell.events import Event
from foretell.live import LiveReport
from foretell.monitoring_async import MOST_LOOKED_BACK, AsyncMonitor
from foretell.v1 import monitoring_pb2
from foretell_server.control_plane import Page, PageRequest
from foretell_server.converters import monitoring
from foretell_server.drain import Drain
from foretell_server.outbox import Outbox
from foretell_server.promotions import Signature
from foretell_server.replay import Replays
from foretell_server.schemas import Schemas
from foretell_server.threads import in_thread

MOST_RESOLVED = 1000


class MonitoringService:
    """Shows how forecasts fare in the world."""

    def __init__(
        self,
        *,
        monitor: AsyncMonitor,
        schemas: Schemas,
        outbox: Outbox,
        replays: Replays,
        executor: Executor,
        drain: Drain,
    ) -> None:
        self._monitor = monitor
        self._schemas = schemas
        self._outbox = outbox
        self._replays = replays
        self._executor = executor
        self._drain = drain

    async def ListAnomalies(
        self, request: monitoring_pb2.ListAnomaliesRequest, context: ServicerContext
    ) -> monitoring_pb2.ListAnomaliesResponse:
        """List what cannot be and waits for somebody to look."""
        asked = PageRequest(request.page_size, request.page_token)
        await self._check_workload(request.workload)
        found = await self._monitor.anomalies(request.workload)
        page = Page.of(asked, found[asked.start : asked.start + asked.limit + 1])
        return monitoring_pb2.ListAnomaliesResponse(
            anomalies=map(monitoring.anomaly_message, page.items), next_page_token=page.next_token
        )

    async def ResolveAnomalies(
        self, request: monitoring_pb2.ResolveAnomaliesRequest, context: ServicerContext
    ) -> monitoring_pb2.ResolveAnomaliesResponse:
        """Have the trainer write down whether anomalies are real."""
        signature = Signature(request.author, context.peer(), request.reason)
        signature.check()
        _check_resolution(request)
        await self._check_workload(request.workload)
        decision = Decision(
            state=monitoring.RESOLUTIONS[request.resolution], who=signature.who, why=request.reason
        )
        ids = list(request.observation_ids)
        await in_thread(
            self._executor, lambda: self._outbox.decide(request.workload, ids, decision)
        )
        return monitoring_pb2.ResolveAnomaliesResponse()

    async def WatchEvents(
        self, request: monitoring_pb2.WatchEventsRequest, context: ServicerContext
    ) -> AsyncIterator[monitoring_pb2.Event]:
        """Stream what happened, and what happens."""
        if not 0 <= request.last <= MOST_LOOKED_BACK:
            message = f"{request.last} is not allowed; 0 to {MOST_LOOKED_BACK}"
            raise InvalidInput([Violation("last", str(request.last), message)])
        if request.workload:
            await self._check_workload(request.workload)
        first = not request.after_event_id
        async for events in self._drain.news(self._monitor.events(request.after_event_id)):
            wanted = _wanted(events, request.workload, request.kinds)
            for event in wanted[len(wanted) - request.last :] if first else wanted:
                yield event
            first = False

    async def ListLiveScores(
        self, request: monitoring_pb2.ListLiveScoresRequest, context: ServicerContext
    ) -> monitoring_pb2.ListLiveScoresResponse:
        """List how a workload's answers have done lately."""
        scores = (await self._report(request.workload)).scores
        return monitoring_pb2.ListLiveScoresResponse(
            scores=[
                monitoring.score_message(score)
                for score in scores
                if request.include_groups or not score.group
            ]
        )

    async def ListRegressions(
        self, request: monitoring_pb2.ListRegressionsRequest, context: ServicerContext
    ) -> monitoring_pb2.ListRegressionsResponse:
        """List the groups of a workload that have become worse."""
        found = (await self._report(request.workload)).regressions
        return monitoring_pb2.ListRegressionsResponse(
            regressions=map(monitoring.regression_message, found)
        )

    async def Replay(
        self, request: monitoring_pb2.ReplayRequest, context: ServicerContext
    ) -> monitoring_pb2.ReplayResponse:
        """Answer once more what was asked before."""
        return monitoring.replay_response(await self._replays.replay(request.prediction_id))

    async def _report(self, workload: str) -> LiveReport:
        await self._check_workload(workload)
        return await self._monitor.report(workload)

    async def _check_workload(self, workload: str) -> None:
        """Raise NotFound, naming those that there are, for an unknown workload."""
        await in_thread(self._executor, lambda: self._schemas.get(workload))


def _check_resolution(request: monitoring_pb2.ResolveAnomaliesRequest) -> None:
    violations = []
    count = len(request.observation_ids)
    if not 1 <= count <= MOST_RESOLVED:
        message = f"{count} ids are not allowed; 1 to {MOST_RESOLVED}"
        violations.append(Violation("observation_ids", str(count), message))
    if request.resolution not in monitoring.RESOLUTIONS:
        message = "must be RESOLUTION_CONFIRMED or RESOLUTION_DISCARDED"
        violations.append(Violation("resolution", str(request.resolution), message))
    if violations:
        raise InvalidInput(violations)


def _wanted(
    events: Collection[Event], workload: str, kinds: Collection[int]
) -> list[monitoring_pb2.Event]:
    messages = (monitoring.event_message(e) for e in events if workload in ("", e.workload))
    return [message for message in messages if not kinds or message.kind in kinds]
