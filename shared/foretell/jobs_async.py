"""The store of training jobs for asyncio; what it keeps, and where, is in `foretell.jobs`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from foretell.broker_client import BrokerClient
from foretell.errors import Unavailable
from foretell.jobs import (
    BLOCK_MS,
    BUNDLES_CHANNEL,
    Announcement,
    Job,
    announcement_text,
    cancel_key,
    cancel_script,
    create_script,
    events_key,
    index_key,
    job_key,
    new_job,
    reaching_broker,
    read_announcement,
    read_events,
    read_job,
    update_script,
)

ANSWER_WITHIN_S = 5.0
"""How long the broker may take over a call that does not wait for news."""


class AsyncJobStore(BrokerClient):
    """The jobs in a broker, for asyncio. Every call may raise Unavailable."""

    async def create(self, workload: str, request_id: str, spec: Mapping[str, Any]) -> Job:
        """Return a new queued job, or the one that the same request id made before."""
        script = create_script(new_job(workload, request_id, spec))
        async with promptly():
            job_id = await self._redis.eval(*script.call())
        return await self.get(str(job_id))

    async def get(self, job_id: str) -> Job:
        """Return a job, or raise NotFound."""
        async with promptly():
            return read_job(job_id, await self._redis.hgetall(job_key(job_id)))

    async def list(
        self, workload: str | None = None, *, start: int = 0, limit: int = 100
    ) -> list[Job]:
        """Return jobs, of one workload or of all, newest first."""
        async with promptly():
            ids = await self._redis.zrevrange(index_key(workload), start, start + limit - 1)
            pipe = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipe.hgetall(job_key(job_id))
            found = await pipe.execute()
        return [read_job(i, fields) for i, fields in zip(ids, found, strict=True) if fields]

    async def update(self, job_id: str, **changes: Any) -> Job:  # noqa: ANN401 -- fields of Job
        """Change fields of a job and return it; a job that is over is not changed."""
        async with promptly():
            await self._redis.eval(*update_script(job_id, changes).call())
        return await self.get(job_id)

    async def request_cancel(self, job_id: str) -> Job:
        """Ask a job to stop and return it; one that still waits is over at once."""
        async with promptly():
            await self._redis.eval(*cancel_script(job_id).call())
        return await self.get(job_id)

    async def is_cancelled(self, job_id: str) -> bool:
        """Return whether somebody asked the job to stop."""
        async with promptly():
            return bool(await self._redis.exists(cancel_key(job_id)))

    async def watch(self, job_id: str) -> AsyncIterator[Job]:
        """Yield the job as it is now, and then after each change, until it is over."""
        async with promptly():
            pipe = self._redis.pipeline(transaction=True)
            pipe.hgetall(job_key(job_id))
            pipe.xrevrange(events_key(job_id), count=1)
            fields, last = await pipe.execute()
            job = read_job(job_id, fields)
            position = last[0][0] if last else "0"
        yield job
        while not job.is_final:
            with reaching_broker():
                found = await self._redis.xread({events_key(job_id): position}, block=BLOCK_MS)
            for event in read_events(found):
                position, job = event.position, job.after(event.changes)
                yield job

    async def announce(self, workload: str, version: str, alias: str) -> None:
        """Tell every server that an alias now stands for another version."""
        text = announcement_text(Announcement(workload, version, alias))
        async with promptly():
            await self._redis.publish(BUNDLES_CHANNEL, text)

    async def listen(self) -> AsyncIterator[Announcement | None]:
        """Yield None once nothing can be missed any more, then every announcement."""
        with reaching_broker():
            async with self._redis.pubsub() as pubsub:
                await pubsub.subscribe(BUNDLES_CHANNEL)
                while True:
                    message = await pubsub.get_message(timeout=BLOCK_MS / 1000)
                    if message is not None and message["type"] == "subscribe":
                        yield None
                    elif message is not None and message["type"] == "message":
                        yield read_announcement(message["data"])


@asynccontextmanager
async def promptly() -> AsyncIterator[None]:
    """Raise Unavailable when the broker cannot be reached, or hangs."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            with reaching_broker():
                yield
    except TimeoutError:
        raise Unavailable("the broker", f"no answer within {ANSWER_WITHIN_S:g} s") from None
