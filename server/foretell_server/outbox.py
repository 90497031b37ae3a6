"""The outbox: what the server asks of the trainer, as Celery messages through the broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from foretell.anomalies import Decision
from foretell.celery_settings import (
    DECIDE_TASK,
    INGEST_QUEUE,
    INGEST_TASK,
    TRAIN_QUEUE,
    TRAIN_TASK,
    make_app,
)
from foretell.errors import Unavailable
from foretell.parcel import pack

if TYPE_CHECKING:
    from celery import Celery

# A send is tried three times in all, so a broker that hangs is given up after three times this.
ANSWER_WITHIN_S = 2.0


class Outbox:
    """Sends tasks. Blocking: runs in a thread. A task that was sent is in the broker."""

    def __init__(self, broker_url: str) -> None:
        self._broker_url = broker_url

    @cached_property
    def _app(self) -> Celery:
        # Celery is imported with the first report: a server that only answers starts sooner.
        return make_app(self._broker_url, answer_timeout_s=ANSWER_WITHIN_S)

    def ingest(self, workload: str, observations: Sequence[Mapping[str, Any]]) -> None:
        """Hand observations to the trainer; Unavailable when the broker does not take them."""
        kwargs = {"workload": workload, "observations": pack(observations)}
        self._send(INGEST_TASK, INGEST_QUEUE, kwargs)

    def decide(self, workload: str, observation_ids: Sequence[str], decision: Decision) -> None:
        """Hand a decision about anomalies to the trainer; Unavailable when that cannot be."""
        told = decision.model_dump(mode="json")
        kwargs = {"workload": workload, "observation_ids": list(observation_ids), "decision": told}
        self._send(DECIDE_TASK, INGEST_QUEUE, kwargs)

    def train(self, job_id: str, workload: str, spec: Mapping[str, Any]) -> None:
        """Ask the trainer to run a job; Unavailable when the broker does not take it."""
        kwargs = {"job_id": job_id, "workload": workload, "spec": dict(spec)}
        self._send(TRAIN_TASK, TRAIN_QUEUE, kwargs)

    def close(self) -> None:
        """Give the connections back."""
        if "_app" in self.__dict__:
            self._app.close()

    def _send(self, task: str, queue: str, kwargs: Mapping[str, Any]) -> None:
        from kombu.exceptions import OperationalError  # noqa: PLC0415 -- comes with Celery

        try:
            self._app.send_task(task, kwargs=dict(kwargs), queue=queue)
        except (OperationalError, OSError) as error:
            raise Unavailable("the broker", str(error) or type(error).__name__) from error
