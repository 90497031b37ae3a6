"""A Redis transport for workers that loses no message, whenever it is killed.

Kombu's own takes a message off its queue (BRPOP) and then writes it down as unacknowledged: a
worker killed between the two takes the message with it. Here the message moves in one step
(BLMOVE) to a list of the worker's, and leaves that list in the same transaction that writes it
down. A message is in exactly one of three places: its queue, the worker's `taken` list, the
worker's unacknowledged hash. `foretell_trainer.attendance` brings both back when a worker dies.

What is not even JSON goes to the list of poison instead of ending the worker.
"""

# ruff: noqa: ANN401 -- Kombu ships no types

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as _kombu_redis

# Kombu is half annotated, and wrongly so where a subclass is concerned.
redis: Any = _kombu_redis

NAME = "foretell"
TRANSPORT_ALIASES[NAME] = "foretell_trainer.transport:Transport"

PREFIX = "foretell:worker"


def taken_key(worker: str) -> str:
    """Return the key of the list that holds the message a worker has just taken."""
    return f"{PREFIX}:{worker}:taken"


def unacked_key(worker: str) -> str:
    """Return the key of the hash of the messages that a worker has not acknowledged."""
    return f"{PREFIX}:{worker}:unacked"


def unacked_index_key(worker: str) -> str:
    """Return the key of the sorted set of when these messages were taken."""
    return f"{PREFIX}:{worker}:unacked_index"


def poison_key(queue: str) -> str:
    """Return the key of the list of a queue's messages that nobody can read."""
    return f"foretell:poison:{queue}"


def transport_options(worker: str) -> dict[str, Any]:
    """Return the options that give a worker its own bookkeeping in the broker."""
    return {
        "unacked_key": unacked_key(worker),
        "unacked_index_key": unacked_index_key(worker),
        "unacked_mutex_key": f"{PREFIX}:{worker}:unacked_mutex",
        "taken_key": taken_key(worker),
    }


class QoS(redis.QoS):  # type: ignore[misc]  # kombu has no types
    """Writes a message down as unacknowledged and off the `taken` list in one transaction."""

    def append(self, message: Any, delivery_tag: str) -> None:
        delivery = message.delivery_info
        written = json.dumps([message._raw, delivery["exchange"], delivery["routing_key"]])
        with self.pipe_or_acquire() as pipe:
            pipe.zadd(self.unacked_index_key, {delivery_tag: time.time()})
            pipe.hset(self.unacked_key, delivery_tag, written)
            pipe.delete(self.channel.taken_key)
            pipe.execute()
        # The grandparent's: the parent would write it down a second time.
        super(redis.QoS, self).append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        with _ending_when_lost(self.channel):
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        with _ending_when_lost(self.channel):
            super().reject(delivery_tag, requeue=requeue)


@contextmanager
def _ending_when_lost(channel: Any) -> Iterator[None]:
    """Have the worker end, gracefully, when the broker is gone.

    Celery logs an acknowledgement that fails and goes on; the message would count as taken for
    ever, and a worker that may hold one message would never take another.
    """
    try:
        yield
    except channel.connection_errors:
        os.kill(os.getpid(), signal.SIGTERM)
        raise


class Channel(redis.Channel):  # type: ignore[misc]  # kombu has no types
    """Takes messages of one queue with BLMOVE."""

    QoS = QoS
    taken_key = ""
    from_transport_options = (*redis.Channel.from_transport_options, "taken_key")

    def _brpop_start(self, timeout: float | None = None) -> None:
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        if len(queues) > 1:
            msg = f"a Foretell worker consumes one queue, not {', '.join(queues)}"
            raise ValueError(msg)
        self._in_poll = self.client.connection
        self._brpop_sent_at = time.monotonic()
        wait = self.brpop_timeout if timeout is None else timeout
        command = ["BLMOVE", queues[0], self.taken_key, "RIGHT", "LEFT", wait or 0]
        self.client.connection.send_command(*command)

    def _brpop_read(self, **options: Any) -> bool:
        try:
            try:
                item = self.client.parse_response(self.client.connection, "BLMOVE", **options)
            except self.connection_errors:
                # Disconnected, so that the next round connects again.
                self.client.connection.disconnect()
                raise
            if not item:
                raise Empty
            self._deliver(item)
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _deliver(self, item: bytes) -> None:
        queue = self.active_queues[0] if self.active_queues else None
        try:
            message = json.loads(item.decode())
            if "delivery_tag" not in message["properties"]:
                raise KeyError(item)
        except (ValueError, KeyError, TypeError):
            with self.conn_or_acquire() as client, client.pipeline() as pipe:
                pipe.lpush(poison_key(str(queue)), item)
                pipe.delete(self.taken_key)
                pipe.execute()
            return
        self.connection._deliver(message, queue)


class Transport(redis.Transport):  # type: ignore[misc]  # kombu has no types
    """The Redis transport with the channel above."""

    Channel = Channel
