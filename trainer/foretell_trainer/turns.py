"""Turns: one training job at a time for each workload, over all machines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from redis.exceptions import LockError, LockNotOwnedError

from foretell.logs import get_logger

HELD_S = 6.0
"""How long a turn outlives a holder that was killed."""
RENEWED_EVERY_S = 1.5
WAIT_S = 1.0

_log = get_logger(__name__)


class Busy(Exception):  # noqa: N818 -- a condition, not a fault
    """Another job of the workload runs; try again later."""


class Turn:
    """Held while a job runs; ``lost`` is set when somebody else may have taken it."""

    def __init__(self, lock: redis.lock.Lock) -> None:
        self.lost = threading.Event()
        self._lock = lock
        self._over = threading.Event()

    def keep(self) -> None:
        """Renew until the turn is over."""
        while not self._over.wait(RENEWED_EVERY_S):
            try:
                self._lock.reacquire()
            except LockNotOwnedError:
                self.lost.set()
                return
            except redis.RedisError as error:
                # The broker may come back before the turn runs out.
                _log.warning("turn not renewed", error=str(error))

    def end(self) -> None:
        """Let the next one have it."""
        self._over.set()
        with suppress(LockError, redis.RedisError):
            self._lock.release()


@contextmanager
def turn(client: redis.Redis, workload: str) -> Iterator[Turn]:
    """Hold the workload's turn, renewed by a thread of its own.

    Raises:
        Busy: another job has it, and for longer than `WAIT_S`.
    """
    # Not bound to the thread that took it: another one renews it.
    lock = client.lock(f"foretell:training:{workload}", timeout=HELD_S, thread_local=False)
    if not lock.acquire(blocking_timeout=WAIT_S):
        raise Busy(workload)
    held = Turn(lock)
    keeper = threading.Thread(target=held.keep, daemon=True)
    keeper.start()
    try:
        yield held
    finally:
        held.end()
        keeper.join()
