"""The calls of MonitoringService, for both clients."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from foretell.anomalies import Anomaly
from foretell.client import answers
from foretell.client.channel import Connection, Stubs
from foretell.client.failures import translated
from foretell.client.results import Prediction
from foretell.errors import InvalidInput, Violation
from foretell.events import Event, EventKind
from foretell.live import LiveScore, Regression
from foretell.parsing import Value
from foretell.v1 import common_pb2, monitoring_pb2

Resolution = Literal["confirmed", "discarded"]

_RESOLUTIONS = {
    "confirmed": monitoring_pb2.RESOLUTION_CONFIRMED,
    "discarded": monitoring_pb2.RESOLUTION_DISCARDED,
}
_KINDS: dict[EventKind, monitoring_pb2.EventKind] = {
    "drift": monitoring_pb2.EVENT_KIND_DRIFT,
    "bias": monitoring_pb2.EVENT_KIND_BIAS,
    "coverage": monitoring_pb2.EVENT_KIND_COVERAGE,
    "anomaly": monitoring_pb2.EVENT_KIND_ANOMALY,
    "regression": monitoring_pb2.EVENT_KIND_REGRESSION,
    "shadow": monitoring_pb2.EVENT_KIND_SHADOW,
}
_KIND_NAMES = {number: name for name, number in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Replay:
    """An answer of the past, computed anew."""

    features: Mapping[str, Value]
    """What was asked about."""
    prediction: Prediction
    """The answer, with the id and the bundle version that it had."""
    answered_at: datetime
    """When it was given, to the second."""
    correction: int
    """Number of the corrections by recent outcomes that it was given with; 0 for none."""


class Monitoring:
    """What `Client` can say about how forecasts fare in the world."""

    _connection: Connection
    _stubs: Stubs

    def _call(self, method: Any, request: Any, timeout: float | None) -> Any:  # noqa: ANN401
        raise NotImplementedError  # the client that this is mixed into has it

    def _pages(self, method: Any, request: Any, timeout: float | None) -> Iterator[Any]:  # noqa: ANN401
        raise NotImplementedError  # the client that this is mixed into has it

    def anomalies(self, workload: str, *, timeout: float | None = None) -> list[Anomaly]:
        """Return the observations that cannot be and wait for somebody to look, newest first."""
        request = monitoring_pb2.ListAnomaliesRequest(workload=workload)
        found = self._pages(self._stubs.monitoring.ListAnomalies, request, timeout)
        return [_anomaly(message) for page in found for message in page.anomalies]

    def resolve_anomalies(
        self,
        workload: str,
        observation_ids: Iterable[str],
        resolution: Resolution,
        *,
        reason: str,
        author: str = "",
        timeout: float | None = None,
    ) -> None:
        """Say of anomalies that they are real ("confirmed") or wrong ("discarded").

        The trainer does it, a moment later.
        """
        request = _resolve_request(workload, observation_ids, resolution, reason, author)
        self._call(self._stubs.monitoring.ResolveAnomalies, request, timeout)

    def events(
        self,
        workload: str = "",
        *,
        kinds: Iterable[EventKind] = (),
        after: str = "",
        last: int = 0,
        timeout: float | None = None,
    ) -> Generator[Event]:
        """Yield what happens, as it happens, until the deadline; see `WatchEventsRequest`.

        First come the events after the one with the id `after`, or else the `last` ones.
        """
        seconds = self._connection.stream_seconds(timeout)
        request = _events_request(workload, kinds, after, last)
        call = self._stubs.monitoring.WatchEvents(
            request, timeout=seconds, metadata=self._connection.metadata
        )
        try:
            with translated(self._connection.address, seconds):
                yield from map(_event, call)
        finally:
            call.cancel()

    def live_scores(
        self, workload: str, *, groups: bool = False, timeout: float | None = None
    ) -> list[LiveScore]:
        """Return how a workload's answers have done lately; with `groups`, of each group too."""
        request = monitoring_pb2.ListLiveScoresRequest(workload=workload, include_groups=groups)
        found = self._call(self._stubs.monitoring.ListLiveScores, request, timeout)
        return list(map(_score, found.scores))

    def regressions(self, workload: str, *, timeout: float | None = None) -> list[Regression]:
        """Return the groups that are slower, or cost more, than they did; the worst first."""
        request = monitoring_pb2.ListRegressionsRequest(workload=workload)
        found = self._call(self._stubs.monitoring.ListRegressions, request, timeout)
        return list(map(_regression, found.regressions))

    def replay(self, prediction_id: str, *, timeout: float | None = None) -> Replay:
        """Return an answer of the past, given once more by what gave it; NotFound if it is gone."""
        request = monitoring_pb2.ReplayRequest(prediction_id=prediction_id)
        return _replay(self._call(self._stubs.monitoring.Replay, request, timeout))


class AsyncMonitoring:
    """What `AsyncClient` can say about how forecasts fare in the world; see `Monitoring`."""

    _connection: Connection

    @property
    def _monitoring(self) -> Any:  # noqa: ANN401 -- gRPC's stubs have no types
        raise NotImplementedError  # the client that this is mixed into has it

    async def _call(self, method: Any, request: Any, timeout: float | None) -> Any:  # noqa: ANN401
        raise NotImplementedError  # the client that this is mixed into has it

    def _pages(self, method: Any, request: Any, timeout: float | None) -> AsyncIterator[Any]:  # noqa: ANN401
        raise NotImplementedError  # the client that this is mixed into has it

    async def anomalies(self, workload: str, *, timeout: float | None = None) -> list[Anomaly]:
        """Return the observations that cannot be and wait for somebody to look, newest first."""
        request = monitoring_pb2.ListAnomaliesRequest(workload=workload)
        pages = self._pages(self._monitoring.ListAnomalies, request, timeout)
        return [_anomaly(message) async for page in pages for message in page.anomalies]

    async def resolve_anomalies(
        self,
        workload: str,
        observation_ids: Iterable[str],
        resolution: Resolution,
        *,
        reason: str,
        author: str = "",
        timeout: float | None = None,
    ) -> None:
        """Say of anomalies that they are real ("confirmed") or wrong ("discarded")."""
        request = _resolve_request(workload, observation_ids, resolution, reason, author)
        await self._call(self._monitoring.ResolveAnomalies, request, timeout)

    async def events(
        self,
        workload: str = "",
        *,
        kinds: Iterable[EventKind] = (),
        after: str = "",
        last: int = 0,
        timeout: float | None = None,
    ) -> AsyncGenerator[Event]:
        """Yield what happens, as it happens, until the deadline; see `Monitoring.events`."""
        seconds = self._connection.stream_seconds(timeout)
        request = _events_request(workload, kinds, after, last)
        call = self._monitoring.WatchEvents(
            request, timeout=seconds, metadata=self._connection.metadata
        )
        try:
            with translated(self._connection.address, seconds):
                async for message in call:
                    yield _event(message)
        finally:
            call.cancel()

    async def live_scores(
        self, workload: str, *, groups: bool = False, timeout: float | None = None
    ) -> list[LiveScore]:
        """Return how a workload's answers have done lately; with `groups`, of each group too."""
        request = monitoring_pb2.ListLiveScoresRequest(workload=workload, include_groups=groups)
        found = await self._call(self._monitoring.ListLiveScores, request, timeout)
        return list(map(_score, found.scores))

    async def regressions(self, workload: str, *, timeout: float | None = None) -> list[Regression]:
        """Return the groups that are slower, or cost more, than they did; the worst first."""
        request = monitoring_pb2.ListRegressionsRequest(workload=workload)
        found = await self._call(self._monitoring.ListRegressions, request, timeout)
        return list(map(_regression, found.regressions))

    async def replay(self, prediction_id: str, *, timeout: float | None = None) -> Replay:
        """Return an answer of the past, given once more by what gave it; NotFound if it is gone."""
        request = monitoring_pb2.ReplayRequest(prediction_id=prediction_id)
        return _replay(await self._call(self._monitoring.Replay, request, timeout))


def _resolve_request(
    workload: str, ids: Iterable[str], resolution: Resolution, reason: str, author: str
) -> monitoring_pb2.ResolveAnomaliesRequest:
    if resolution not in _RESOLUTIONS:
        message = f"{resolution!r} is not allowed; one of {', '.join(_RESOLUTIONS)}"
        raise InvalidInput([Violation("resolution", str(resolution), message)])
    return monitoring_pb2.ResolveAnomaliesRequest(
        workload=workload,
        observation_ids=ids,
        resolution=_RESOLUTIONS[resolution],
        reason=reason,
        author=author,
    )


def _events_request(
    workload: str, kinds: Iterable[EventKind], after: str, last: int
) -> monitoring_pb2.WatchEventsRequest:
    wanted = tuple(kinds)
    if unknown := sorted(set(wanted) - set(_KINDS)):
        message = f"{unknown[0]!r} is not allowed; any of {', '.join(_KINDS)}"
        raise InvalidInput([Violation("kinds", unknown[0], message)])
    return monitoring_pb2.WatchEventsRequest(
        workload=workload,
        kinds=[_KINDS[kind] for kind in wanted],
        after_event_id=after,
        last=last,
    )


def _anomaly(message: monitoring_pb2.Anomaly) -> Anomaly:
    return Anomaly(
        workload=message.workload,
        observation_id=message.observation_id,
        time=message.observe_time.ToDatetime(tzinfo=UTC),
        source=message.source,
        tag=message.tag,
        reason=message.reason,
        found_at=message.find_time.ToDatetime(tzinfo=UTC),
        features=_features(message.features),
        metrics=dict(message.metrics),
    )


def _event(message: monitoring_pb2.Event) -> Event:
    return Event(
        id=message.id,
        time=message.time.ToDatetime(tzinfo=UTC),
        workload=message.workload,
        kind=_KIND_NAMES.get(message.kind, "unknown"),
        metric=message.metric,
        group=dict(message.group),
        message=message.message,
        numbers=dict(message.numbers),
        bundle_version=message.bundle_version,
        recovered=message.recovered,
    )


def _score(message: monitoring_pb2.LiveScore) -> LiveScore:
    return LiveScore(
        metric=message.metric,
        group=dict(message.group),
        bundle_version=message.bundle_version,
        is_shadow=message.is_shadow,
        outcomes=message.outcome_count,
        coverage=message.coverage,
        median_ratio=message.median_ratio,
        median_error=message.median_error,
        crps=message.crps,
        alarms=tuple(_KIND_NAMES.get(kind, "unknown") for kind in message.alarms),
    )


def _regression(message: monitoring_pb2.Regression) -> Regression:
    return Regression(
        metric=message.metric,
        group=dict(message.group),
        ratio=message.ratio,
        since=message.since.ToDatetime(tzinfo=UTC),
        tag=message.tag,
        baseline_tag=message.baseline_tag,
        outcomes=message.outcome_count,
        baseline=message.baseline_count,
    )


def _replay(message: monitoring_pb2.ReplayResponse) -> Replay:
    return Replay(
        features=_features(message.request.features),
        prediction=answers.prediction(message.response),
        answered_at=message.answer_time.ToDatetime(tzinfo=UTC),
        correction=message.corrections_number,
    )


def _features(values: Mapping[str, common_pb2.Value]) -> dict[str, Value]:
    return {name: getattr(v, v.WhichOneof("kind") or "text") for name, v in values.items()}
