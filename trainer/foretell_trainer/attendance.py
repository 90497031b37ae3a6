"""Who is at work: each worker says so every two seconds, and takes over from those who stopped.

A worker that is killed leaves messages that it had taken but not acknowledged. Celery alone
would deliver them again after the visibility timeout, which must be longer than the longest
fit; here the next worker puts them back as soon as their owner has not been heard of for
`ABSENT_AFTER_S`.
"""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterator
from typing import Any, cast

import redis

from foretell.logs import get_logger
from foretell_trainer.transport import PREFIX, taken_key, unacked_index_key, unacked_key

BEAT_EVERY_S = 2.0
ABSENT_AFTER_S = 7.0

ROLL = "foretell:workers"

# Two workers may take over at once: whoever finds the entry gone adds nothing.
_PUT_BACK = """
redis.call('ZREM', KEYS[3], ARGV[1])
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2])
return 1
"""

_log = get_logger(__name__)


class Attendance:
    """One worker's entry in the roll of all workers.

    Args:
        client: a connection to the broker.
        worker: the worker's name, never used before.
        queue: the one queue that it consumes.
    """

    def __init__(self, client: redis.Redis, worker: str, queue: str) -> None:
        self.client = client
        self.worker = worker
        self.queue = queue

    def beat(self) -> None:
        """Say that this worker is alive."""
        with self.client.pipeline() as pipe:
            pipe.hset(ROLL, self.worker, self.queue)
            pipe.set(_alive_key(self.worker), 1, px=int(ABSENT_AFTER_S * 1000))
            pipe.execute()

    def leave(self) -> None:
        """Say that this worker stops; what it has not acknowledged is free to be taken over."""
        strike_off(self.client, self.worker)

    def take_over(self) -> int:
        """Put back what absent workers of the same queue had taken; return how many messages."""
        restored = 0
        for worker in self._absent():
            restored += _restore(self.client, worker, self.queue)
            # Empty-handed now, it can be struck off; should it only have slept, it comes back.
            self.client.hdel(ROLL, worker)
        if restored:
            _log.warning("messages taken over", queue=self.queue, messages=restored)
        return restored

    def _absent(self) -> Iterator[str]:
        roll = cast("dict[bytes, bytes]", self.client.hgetall(ROLL))
        for worker, queue in roll.items():
            name = worker.decode()
            if queue.decode() == self.queue and not self.client.exists(_alive_key(name)):
                yield name


def strike_off(client: redis.Redis, worker: str) -> None:
    """Say of a worker that it is dead, so that nobody waits to find out."""
    client.delete(_alive_key(worker))


def new_name(queue: str) -> str:
    """Return a name for a worker that no worker ever had."""
    return f"{queue}@{socket.gethostname()}:{secrets.token_hex(8)}"


def present(client: redis.Redis, queue: str) -> list[str]:
    """Return the names of the workers of a queue that are alive."""
    roll = cast("dict[bytes, bytes]", client.hgetall(ROLL))
    names = [name.decode() for name, of in roll.items() if of.decode() == queue]
    return [name for name in names if client.exists(_alive_key(name))]


def _alive_key(worker: str) -> str:
    return f"{PREFIX}:{worker}:alive"


def _restore(client: redis.Redis, worker: str, queue: str) -> int:
    restored = 0
    while client.lmove(taken_key(worker), queue, "LEFT", "RIGHT"):
        restored += 1
    hash_key, index_key = unacked_key(worker), unacked_index_key(worker)
    written = cast("dict[bytes, bytes]", client.hgetall(hash_key))
    for tag, text in written.items():
        message: Any = json.loads(text)[0]
        message.setdefault("headers", {})["redelivered"] = True
        args = (hash_key, queue, index_key, tag.decode(), json.dumps(message))
        restored += int(client.eval(_PUT_BACK, 3, *args))
    return restored
