"""Retraining by itself: after so many new observations, so long a time, at times of the day, or
when errors drift.

Ingest counts in the broker what it stored; a training run that takes its snapshot begins the
count anew. Celery beat, in every worker's parent process, looks at the count now and then.
Several of them may do so: one at a time asks, and nobody asks while a run of the workload waits or
is under way. Nothing new is no reason to train.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import redis

from foretell.celery_settings import TRAIN_QUEUE, TRAIN_TASK, make_app
from foretell.errors import ForetellError, Unavailable
from foretell.jobs import Job, JobStore
from foretell.logs import get_logger
from foretell.registries import registry_of
from foretell.settings import Settings

if TYPE_CHECKING:
    from foretell_trainer.beat import Beat, When

LOOKED_EVERY_S = 5.0
ASKED_ALONE_S = 30
"""For so long nobody else asks for a run of the workload that somebody is asking for."""

_log = get_logger(__name__)


def count_new(client: redis.Redis, workload: str, stored: int) -> None:
    """Add to the observations that no training run has seen."""
    if stored:
        client.incrby(_new_key(workload), stored)


def begin_count(client: redis.Redis, workload: str) -> None:
    """Begin the count anew; before the snapshot, so that what comes meanwhile counts."""
    client.delete(_new_key(workload), _drift_key(workload))


def note_drift(client: redis.Redis, workload: str, message: str) -> None:
    """Say that a workload's errors drift; it counts until a run takes its snapshot."""
    client.set(_drift_key(workload), message)


class Schedule:
    """Asks for training runs when they are due; a context manager."""

    def __init__(self, settings: Settings) -> None:
        """Take what says when; InvalidInput for times that are none."""
        self._rows = settings.retrain_after_observations
        self._seconds = settings.retrain_every_s
        self._at = settings.retrain_at
        self._times = None if self._at is None else _times(self._at)
        self._on_drift = settings.retrain_on_drift
        self._broker_url = settings.broker_url
        self._registry = registry_of(settings)
        self._client = redis.Redis.from_url(settings.broker_url, socket_timeout=5)
        self._jobs = JobStore(settings.broker_url)
        self._beat: Beat | None = None
        self._is_time = False

    def start(self) -> None:
        """Look now and then, in a thread, if any setting says that runs are due by themselves."""
        others = (self._rows, self._seconds, self._on_drift or None)
        if self._at is None and not any(reason is not None for reason in others):
            return
        # Celery is loaded by who needs it: most workers' parents do not.
        from foretell_trainer.beat import Beat, Entry, every  # noqa: PLC0415

        entries = {"foretell.look": Entry(every(LOOKED_EVERY_S), self._try_to_look)}
        if self._times is not None:
            entries["foretell.retrain_at"] = Entry(self._times, self.strike)
        self._beat = Beat(entries)
        self._beat.start()

    def stop(self) -> None:
        """Look no more."""
        if self._beat is not None:
            self._beat.stop()
        self._jobs.close()
        self._client.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def look(self) -> list[Job]:
        """Ask for the runs that are due now, and return them."""
        asked = []
        for workload in self._registry.workloads():
            why = self._due(workload)
            if why and self._client.set(_asking_key(workload), "1", nx=True, ex=ASKED_ALONE_S):
                asked.append(self._ask(workload, why))
        self._is_time = False
        return asked

    def strike(self) -> None:
        """Say that it is one of the times `retrain_at`; the next look that succeeds goes by it."""
        self._is_time = True

    def _try_to_look(self) -> None:
        try:
            self.look()
        except (ForetellError, redis.RedisError, OSError) as error:
            # Looked at again soon: the broker or the registry may be back by then.
            _log.warning("retraining could not be looked after", error=str(error))

    def _due(self, workload: str) -> str:
        """Return why a run is due; empty when none is."""
        new = int(cast("bytes | None", self._client.get(_new_key(workload))) or 0)
        last = next(iter(self._jobs.list(workload, limit=1)), None)
        if not new or (last is not None and not last.is_final):
            return ""
        if self._rows is not None and new >= self._rows:
            return f"{new} new observations"
        drift = cast("bytes | None", self._client.get(_drift_key(workload)))
        if self._on_drift and drift is not None:
            return f"drift: {drift.decode(errors='replace')}"
        return self._due_by_clock(new, last)

    def _due_by_clock(self, new: int, last: Job | None) -> str:
        if self._is_time:
            return f"it is time: {self._at}"
        if self._seconds is None:
            return ""
        if last is None:
            return f"{new} new observations, and no run before"
        age = (datetime.now(UTC) - last.created_at).total_seconds()
        return f"{age:.0f} s since the last run" if age >= self._seconds else ""

    def _ask(self, workload: str, why: str) -> Job:
        job = self._jobs.create(workload, "", {"reason": why})
        kwargs = {"job_id": job.id, "workload": workload, "spec": job.spec}
        try:
            with make_app(self._broker_url) as app:
                app.send_task(TRAIN_TASK, kwargs=kwargs, queue=TRAIN_QUEUE)
        except Exception as error:
            # Whatever Celery and its transport raise. The job would be waited for in vain.
            self._jobs.request_cancel(job.id)
            raise Unavailable("the broker", str(error) or type(error).__name__) from error
        _log.info("training run asked for", workload=workload, job_id=job.id, reason=why)
        return job


def _times(text: str) -> When:
    # Celery is loaded by who needs it: most workers' parents do not.
    from foretell_trainer.beat import crontab_of  # noqa: PLC0415

    return crontab_of(text)


def _new_key(workload: str) -> str:
    return f"foretell:new:{workload}"


def _drift_key(workload: str) -> str:
    return f"foretell:drift:{workload}"


def _asking_key(workload: str) -> str:
    return f"foretell:new:{workload}:asking"
