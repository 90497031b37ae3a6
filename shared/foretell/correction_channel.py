"""The broker's side of corrections: one writer per workload, and every server as a reader.

A state is a text under `corrections_key`; that it changed is published on `CORRECTIONS_CHANNEL`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from foretell.broker_client import BrokerClient
from foretell.corrections import CORRECTIONS_CHANNEL, Correction, Corrections, corrections_key
from foretell.errors import InvalidInput, Unavailable
from foretell.jobs import BLOCK_MS, reaching_broker

ANSWER_WITHIN_S = 5.0


class CorrectionWriter:
    """Publishes corrections. Every call may raise Unavailable."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 -- redis types replies as anything
        self._client = client

    def read(self, workload: str) -> Corrections | None:
        """Return what was published last; None when there is nothing that can be read."""
        with reaching_broker():
            text = self._client.get(corrections_key(workload))
        try:
            return None if text is None else Corrections.from_json(text)
        except InvalidInput:
            return None

    def write(self, workload: str, version: str, entries: tuple[Correction, ...]) -> Corrections:
        """Publish corrections under the next number, and return them."""
        key = corrections_key(workload)
        with reaching_broker():
            number = int(self._client.incr(f"{key}:number"))
            corrections = Corrections(workload, version, number, entries)
            with self._client.pipeline(transaction=True) as pipe:
                pipe.set(key, corrections.to_json())
                pipe.publish(CORRECTIONS_CHANNEL, workload)
                pipe.execute()
        return corrections


class CorrectionReader(BrokerClient):
    """Reads corrections, for asyncio. Every call may raise Unavailable."""

    async def read(self, workloads: Sequence[str]) -> list[str | None]:
        """Return the texts of some workloads' corrections; None where there are none."""
        if not workloads:
            return []
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                with reaching_broker():
                    found: list[str | None] = await self._redis.mget(
                        [corrections_key(workload) for workload in workloads]
                    )
        except TimeoutError:
            raise Unavailable("the broker", f"no answer within {ANSWER_WITHIN_S:g} s") from None
        return found

    async def listen(self) -> AsyncIterator[None]:
        """Yield once nothing can be missed any more, then whenever any corrections change."""
        with reaching_broker():
            async with self._redis.pubsub() as pubsub:
                await pubsub.subscribe(CORRECTIONS_CHANNEL)
                while True:
                    message = await pubsub.get_message(timeout=BLOCK_MS / 1000)
                    if message is not None:
                        yield
