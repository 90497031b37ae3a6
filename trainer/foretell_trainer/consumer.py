"""What a Foretell worker adds to Celery's consumer: attendance, and a place for poison.

Celery drops what it cannot decode and what names no task. Here such a message goes to the list
of poison in the broker, and the task `foretell.bury` moves it to the rejected observations.
"""

# ruff: noqa: ANN401 -- Celery ships no types

from __future__ import annotations

import json
import os
import signal
from typing import Any

import redis
from celery import bootsteps
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.exceptions import OperationalError

from foretell.celery_settings import INGEST_QUEUE
from foretell.logs import get_logger
from foretell_trainer.attendance import BEAT_EVERY_S, Attendance
from foretell_trainer.ownership import claim
from foretell_trainer.transport import poison_key

_log = get_logger(__name__)


class AttendanceStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Keeps the roll while the consumer is connected, and sends poison to be buried."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Enter the roll, take over at once, then again with every beat."""
        conf = parent.app.conf
        client = redis.Redis.from_url(conf.broker_url, socket_timeout=5)
        self._attendance = Attendance(client, conf.foretell_worker, conf.foretell_queue)
        if conf.foretell_queue == INGEST_QUEUE:
            claim(client, conf.foretell_data)
        self._beat(parent)
        self._timer = parent.timer.call_repeatedly(BEAT_EVERY_S, self._beat, (parent,))

    def stop(self, parent: Any) -> None:  # noqa: ARG002 -- Celery's signature
        """Stop the beat; the broker notices the absence by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._attendance.client.close()

    def _beat(self, parent: Any) -> None:
        if os.getppid() != parent.app.conf.foretell_parent:
            # Whoever started us was killed; the next one starts workers of its own, and two that
            # ingest would take the store from each other with every message.
            os.kill(os.getpid(), signal.SIGTERM)
            return
        try:
            self._attendance.beat()
            self._attendance.take_over()
            if self._attendance.client.llen(poison_key(self._attendance.queue)):
                parent.app.send_task(
                    "foretell.bury",
                    kwargs={"queue": self._attendance.queue},
                    queue=INGEST_QUEUE,
                )
        except (redis.RedisError, OperationalError) as error:
            # The consumer itself notices a lost broker and connects again.
            _log.warning("no beat", error=str(error))


class Consumer(CeleryConsumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer, which keeps what it cannot use."""

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep a message whose body cannot be decoded."""
        self._keep_poison(message, exc)

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002
        """Keep a message that is not a task."""
        self._keep_poison(message, ValueError("not a task"))

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002
        """Keep a message for a task that does not exist."""
        self._keep_poison(message, exc)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002
        """Keep a message whose arguments make no call."""
        self._keep_poison(message, exc)

    def _keep_poison(self, message: Any, exc: Exception) -> None:
        _log.error("message kept as poison", error=repr(exc))
        queue = str(self.app.conf.foretell_queue)
        with message.channel.conn_or_acquire() as client:
            client.lpush(poison_key(queue), json.dumps(message._raw, default=str))
        message.ack()
