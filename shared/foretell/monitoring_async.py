"""What the trainer finds out about answers, read from the broker, for asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator

from foretell.anomalies import Anomaly, anomalies_key, from_json
from foretell.broker_client import BrokerClient
from foretell.events import EVENTS_KEY, Event, read_entries
from foretell.jobs import BLOCK_MS, reaching_broker
from foretell.jobs_async import promptly
from foretell.live import LiveReport, live_key, read_report

MOST_LOOKED_BACK = 1000


class AsyncMonitor(BrokerClient):
    """Reads anomalies, live scores and events. Every call may raise Unavailable."""

    async def anomalies(self, workload: str) -> list[Anomaly]:
        """Return the open anomalies of a workload, those found last first."""
        async with promptly():
            return from_json(await self._redis.get(anomalies_key(workload)))

    async def report(self, workload: str) -> LiveReport:
        """Return how a workload's answers do."""
        async with promptly():
            return read_report(await self._redis.get(live_key(workload)))

    async def events(self, after: str = "") -> AsyncIterator[list[Event]]:
        """Yield the events after one, or the newest `MOST_LOOKED_BACK`, then new ones as they come.

        The first list may be empty; then nothing has happened yet.
        """
        async with promptly():
            if after:
                found = await self._redis.xrange(EVENTS_KEY, min=f"({after}")
            else:
                newest = await self._redis.xrevrange(EVENTS_KEY, count=MOST_LOOKED_BACK)
                found = newest[::-1]
        position = found[-1][0] if found else after or "0-0"
        yield read_entries(found)
        while True:
            with reaching_broker():
                reply = await self._redis.xread({EVENTS_KEY: position}, block=BLOCK_MS)
            for _, entries in reply or ():
                position = entries[-1][0]
                yield read_entries(entries)
