"""grpc.health.v1: SERVING only where something would answer.

Names are the services' full names, "" for the server as a whole, and each workload's name. A
workload serves while a bundle of it is loaded; PredictionService and "" while any is, and
ObservationService while the broker is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from grpc_health.v1 import health_pb2

from foretell.errors import NotFound

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN

ALWAYS = "foretell.v1.ModelService"
"""Needs no bundle, and without a broker it still lists and promotes."""
OBSERVATION = "foretell.v1.ObservationService"
PREDICTION = "foretell.v1.PredictionService"


class Health:
    """The state of each name; watchers hear of every change. Used on one event loop."""

    def __init__(self) -> None:
        self._status: Mapping[str, int] = {}
        self._serving: Mapping[str, bool] = {}
        self._hears_broker = False
        self._draining = False
        self._changed = asyncio.Event()

    def update(self, serving: Mapping[str, bool]) -> None:
        """Take over which workloads have a bundle; ignored once the server drains."""
        self._serving = serving
        self._renew()

    def broker(self, *, heard: bool) -> None:
        """Take over whether the broker is there; without it no observation is accepted."""
        if heard != self._hears_broker:
            self._hears_broker = heard
            self._renew()

    def _renew(self) -> None:
        if self._draining:
            return
        some = any(self._serving.values())
        states = {
            "": some,
            PREDICTION: some,
            ALWAYS: True,
            OBSERVATION: self._hears_broker,
            **self._serving,
        }
        self._become({name: SERVING if up else NOT_SERVING for name, up in states.items()})

    def drain(self) -> None:
        """Say NOT_SERVING for good; watchers are told, and their calls end."""
        self._draining = True
        self._become(dict.fromkeys(self._status, NOT_SERVING))

    def all(self) -> Mapping[str, int]:
        """Return the state of every name."""
        return self._status

    def status(self, name: str) -> int | None:
        """Return the state of a name, None for a name that nobody knows."""
        return self._status.get(name)

    async def watch(self, name: str) -> AsyncIterator[int]:
        """Yield the state of a name, and again each time that it changes."""
        last: int | None = None
        while True:
            changed = self._changed
            now = self._status.get(name, SERVICE_UNKNOWN)
            if now != last:
                last = now
                yield now
            if self._draining and changed is self._changed:
                return
            await changed.wait()

    def _become(self, status: Mapping[str, int]) -> None:
        self._status = status
        # Whoever waited on the old event sees the new state; the next change has its own.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class HealthServicer:
    """The methods of grpc.health.v1.Health."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """Return the state of one name; NOT_FOUND for a name that nobody knows."""
        status = self._health.status(request.service)
        if status is None:
            raise NotFound("service", request.service)
        return health_pb2.HealthCheckResponse(status=status)

    async def List(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802
        """Return the states of all names."""
        return health_pb2.HealthListResponse(
            statuses={
                name: health_pb2.HealthCheckResponse(status=status)
                for name, status in self._health.all().items()
            }
        )

    async def Watch(  # noqa: N802
        self,
        request: Any,  # noqa: ANN401
        context: Any,  # noqa: ANN401, ARG002
    ) -> AsyncIterator[Any]:
        """Stream the state of one name."""
        async for status in self._health.watch(request.service):
            yield health_pb2.HealthCheckResponse(status=status)
