"""Work that blocks, off the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

_T = TypeVar("_T")

Gone = Callable[[], bool]
"""Whether nobody waits for the result any more."""


async def in_thread(executor: Executor, work: Callable[[], _T]) -> _T:
    """Run blocking work in a thread and return what it returns."""
    return await asyncio.get_running_loop().run_in_executor(executor, work)


async def in_thread_while_wanted(executor: Executor, work: Callable[[Gone], _T]) -> _T:
    """Run long work in a thread; it can ask whether its caller has gone or is out of time."""
    gone = threading.Event()
    try:
        return await in_thread(executor, lambda: work(gone.is_set))
    except asyncio.CancelledError:
        gone.set()
        raise
