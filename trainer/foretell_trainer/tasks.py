"""The Celery tasks of the trainer.

`foretell.ingest` stores the observations of one message, `foretell.decide` writes down what was
decided about anomalies, `foretell.bury` keeps messages that
nobody can read, `foretell.train` runs a training job, `foretell.part` one part of the work that
a job shares (`foretell_trainer.crew`). A message is acknowledged when its work
is done; work that cannot be done now goes back to its queue. So nothing is lost, and since
doing it twice changes nothing, nothing is doubled.
"""

# ruff: noqa: ANN401 -- Celery ships no types

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import duckdb
import redis
from celery import Celery
from celery.exceptions import Reject, SoftTimeLimitExceeded

from foretell.anomalies import Decision
from foretell.celery_settings import (
    DECIDE_TASK,
    INGEST_QUEUE,
    INGEST_TASK,
    PART_TASK,
    TRAIN_TASK,
)
from foretell.errors import ForetellError, Unavailable
from foretell.logs import get_logger
from foretell.registries import registry_of
from foretell.registry import Registry
from foretell.settings import Settings
from foretell_trainer.anomalies.board import show_anomalies
from foretell_trainer.anomalies.ledger import decide
from foretell_trainer.fits import Fit
from foretell_trainer.intake import Intake
from foretell_trainer.news import tell_stored
from foretell_trainer.pruning import Policy, plan_pruning, prune
from foretell_trainer.runs import TrainingRuns
from foretell_trainer.schedule import count_new
from foretell_trainer.store import Store
from foretell_trainer.turns import Busy

if TYPE_CHECKING:
    from foretell_trainer.corrections.following import Following
    from foretell_trainer.crew.helping import Parts
    from foretell_trainer.watch.watching import Watching

BURY_TASK = "foretell.bury"

INGEST_LIMIT_S = 300
PAUSE_S = 1.0
"""How long a worker waits before it gives back work that cannot be done now."""

_log = get_logger(__name__)


class Resources:
    """What the tasks of one worker process share; made after the fork, at first use."""

    def __init__(self, settings: Settings, fit: Fit) -> None:
        self.settings = settings
        self._fit = fit

    @cached_property
    def client(self) -> redis.Redis:
        """A connection to the broker."""
        return redis.Redis.from_url(self.settings.broker_url, socket_timeout=30)

    @cached_property
    def store(self) -> Store:
        """The store, kept open as long as messages wait."""
        # One thread: appends are small, and the other processors have other work.
        return Store(self.settings.data, keep=self._more_waits, threads=1)

    @cached_property
    def registry(self) -> Registry:
        """Where bundles are."""
        return registry_of(self.settings)

    @cached_property
    def intake(self) -> Intake:
        """The intake."""
        return Intake(self.store, self.registry)

    @cached_property
    def following(self) -> Following:
        """What turns stored outcomes into corrections; it runs from the first use on."""
        # Numerical libraries are loaded by the process that ingests, not by the one that forks it.
        from foretell_trainer.corrections.following import Following  # noqa: PLC0415

        poll_s = self.settings.registry_poll_s
        found = Following(self.store, self.registry, self.client, poll_s=poll_s)
        found.start()
        return found

    @cached_property
    def watching(self) -> Watching:
        """What says how answers do; it runs from the first use on."""
        from foretell_trainer.watch.watching import Watching  # noqa: PLC0415 -- see `following`

        found = Watching(
            self.store,
            self.registry,
            self.client,
            poll_s=self.settings.registry_poll_s,
            regression_percent=self.settings.regression_percent,
        )
        found.start()
        return found

    def prune(self, workload: str) -> None:
        """Remove what the settings say is no longer needed of a workload."""
        settings = self.settings
        if settings.bundles_kept is None:
            return
        policy = Policy(settings.bundles_kept, settings.answers_kept_s)
        try:
            plan = plan_pruning(self.registry, settings.data / "snapshots", policy, [workload])
            prune(self.registry, plan, "trainer", f"bundles_kept is {settings.bundles_kept}")
        except (ForetellError, OSError) as error:
            # The job itself is over; the next one tries again.
            _log.warning("not pruned", workload=workload, error=str(error))

    def _more_waits(self) -> bool:
        try:
            return self.client.llen(INGEST_QUEUE) != 0
        except redis.RedisError:
            return False

    @cached_property
    def parts(self) -> Parts:
        """What does parts of the work of others."""
        # Numerical libraries are loaded by the process that fits, not by the one that forks it.
        from foretell_trainer.crew.helping import Parts  # noqa: PLC0415

        return Parts(self.client)

    @cached_property
    def runs(self) -> TrainingRuns:
        """The runner of training jobs."""
        return TrainingRuns(self.settings, self.client, self._fit)


def register_tasks(app: Celery, resources: Resources) -> None:
    """Add the tasks to a Celery application."""

    @app.task(name=INGEST_TASK, soft_time_limit=INGEST_LIMIT_S)  # type: ignore[untyped-decorator]  # Celery has no types
    def ingest(*_args: Any, workload: Any = "", observations: Any = (), **_more: Any) -> None:
        _or_give_back(lambda: _ingest(resources, workload, observations))

    @app.task(name=DECIDE_TASK, soft_time_limit=INGEST_LIMIT_S)  # type: ignore[untyped-decorator]  # Celery has no types
    def decide_anomalies(
        *_args: Any,
        workload: Any = "",
        observation_ids: Any = (),
        decision: Any = None,
        **_more: Any,
    ) -> None:
        ids = list(map(str, observation_ids))
        _or_give_back(lambda: _decide(resources, str(workload), ids, decision))

    @app.task(name=BURY_TASK, soft_time_limit=INGEST_LIMIT_S)  # type: ignore[untyped-decorator]  # Celery has no types
    def bury(queue: str) -> None:
        _or_give_back(lambda: resources.intake.bury(resources.client, queue))

    @app.task(name=TRAIN_TASK, bind=True, max_retries=None)  # type: ignore[untyped-decorator]  # Celery has no types
    def train(
        self: Any, *_args: Any, job_id: Any = "", workload: Any = "", spec: Any = None, **_more: Any
    ) -> None:
        try:
            _or_give_back(lambda: resources.runs.run(str(job_id), str(workload), spec))
            resources.prune(str(workload))
        except Busy as busy:
            # To the end of the queue: other workloads do not wait behind this one.
            raise self.retry(exc=busy, countdown=PAUSE_S) from busy

    @app.task(name=PART_TASK)  # type: ignore[untyped-decorator]  # Celery has no types
    def part(*_args: Any, work: Any = "", number: Any = 0, part: Any = None, **_more: Any) -> None:
        about = (str(work), int(number), dict(part or {}), str(app.conf.foretell_worker))
        _or_give_back(lambda: resources.parts.run(*about))


def _ingest(resources: Resources, workload: object, observations: object) -> None:
    appended = resources.intake.ingest(workload, observations)
    resources.following.stored(str(workload))
    resources.watching.stored(str(workload))
    with suppress(redis.RedisError):  # they are stored; that a run is due is seen by the next ones
        client, store = resources.client, resources.store
        stored, flagged = appended.stored, appended.flagged
        tell_stored(client, store, str(workload), stored=stored, flagged=flagged)


def _decide(resources: Resources, workload: str, ids: list[str], decision: object) -> None:
    told = Decision.model_validate(decision)
    decided = decide(resources.store, workload, ids, told)
    show_anomalies(resources.client, resources.store, workload)
    if told.state == "confirmed":  # they are new to training
        count_new(resources.client, workload, decided)
    _log.info("anomalies decided", workload=workload, state=told.state, anomalies=decided)


def _or_give_back(work: Callable[[], object]) -> None:
    """Do the work, or put its message back when what it needs is not there now."""
    try:
        work()
    except (Unavailable, SoftTimeLimitExceeded, OSError, duckdb.Error, redis.RedisError) as error:
        _log.warning("given back to the queue", error=str(error))
        time.sleep(PAUSE_S)
        # As text: it goes from the process that works to the one that acknowledges, and an error
        # of ours cannot be made anew there from its message alone.
        raise Reject(str(error), requeue=True) from None
