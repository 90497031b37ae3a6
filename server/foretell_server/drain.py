"""Draining: how calls that wait for something end when the server shuts down.

Work that has begun is finished. A call that only waits, for its caller's next message or for
news of a job, would keep the server up until somebody loses patience; it ends at once, with
UNAVAILABLE, and its caller goes elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from foretell.errors import Unavailable

_T = TypeVar("_T")

QUIET_S = 0.2
"""A caller whose next message takes longer has sent none: what was received is read at once."""
LAST_MESSAGES_S = 2.0
"""So long a caller that never pauses is still answered after the shutdown began."""


class Drain:
    """Knows whether the server is shutting down, and which calls only wait."""

    def __init__(self) -> None:
        self.begun = False
        self._ends_at = 0.0
        self._waiting: set[asyncio.Task[Any]] = set()
        self._ended: set[asyncio.Task[Any]] = set()

    def begin(self) -> None:
        """End all calls that only wait, now and from now on."""
        self.begun = True
        self._ends_at = time.monotonic() + LAST_MESSAGES_S
        for task in self._waiting:
            self._ended.add(task)
            task.cancel()

    async def waiting(self, start: Callable[[], Awaitable[_T]]) -> _T:
        """Wait for something that may never come; Unavailable when the server shuts down."""
        task = asyncio.current_task()
        if task is None or self.begun:
            raise _shutting_down()
        self._waiting.add(task)
        try:
            return await start()
        except asyncio.CancelledError:
            if not self._takes_back(task):
                raise  # the caller has gone
            raise _shutting_down() from None
        finally:
            self._waiting.discard(task)

    def _takes_back(self, task: asyncio.Task[Any]) -> bool:
        """Take back a cancellation by `begin`; return False for one by anybody else."""
        if task not in self._ended:
            return False
        self._ended.discard(task)
        task.uncancel()
        return True

    async def news(self, items: AsyncIterator[_T]) -> AsyncIterator[_T]:
        """Yield the items of a watcher as they come; see `waiting`.

        For iterators whose code may not let go when it is cancelled: in Python 3.11
        `asyncio.wait_for`, which redis uses, loses a cancellation now and then. They run in a
        task of their own, which nobody waits for in the end.
        """
        while True:
            step = asyncio.ensure_future(items.__anext__())
            step.add_done_callback(_forget)
            try:
                await self.waiting(partial(asyncio.wait, [step]))
                yield step.result()
            except StopAsyncIteration:
                return
            finally:
                step.cancel()

    async def each(self, items: AsyncIterator[_T]) -> AsyncIterator[_T]:
        """Yield the messages of a caller as they come; see `waiting`.

        Those that were received when the shutdown began are yielded before the call ends.
        """
        task, step = asyncio.current_task(), items.__anext__
        try:
            while not self.begun and task is not None:
                self._waiting.add(task)  # as in `waiting`, which would cost each message more
                try:
                    item = await step()
                except asyncio.CancelledError:
                    if not self._takes_back(task):
                        raise  # the caller has gone
                    raise _shutting_down() from None
                finally:
                    self._waiting.discard(task)
                yield item
            while True:
                yield await self._received(items)
        except StopAsyncIteration:
            return

    async def _received(self, items: AsyncIterator[_T]) -> _T:
        try:
            async with asyncio.timeout(min(QUIET_S, self._ends_at - time.monotonic())):
                return await items.__anext__()
        except TimeoutError:
            raise _shutting_down() from None


def _forget(step: asyncio.Future[Any]) -> None:
    """Take note of how a step ended, so that asyncio does not report it as never looked at."""
    if not step.cancelled():
        step.exception()


def _shutting_down() -> Unavailable:
    return Unavailable("the server", "it is shutting down; another one may answer")
