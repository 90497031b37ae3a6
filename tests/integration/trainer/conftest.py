"""Real workers on a real broker, and what their tests send and look at.

Starting and stopping a worker takes seconds. So one worker of each queue stands for all tests
that do not kill it: each of them has a workload of its own there (`standing`). The others start
their own (`place`).
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import pytest
import redis
import yaml

from foretell.broker import EmbeddedBroker
from foretell.celery_settings import INGEST_QUEUE, INGEST_TASK, TRAIN_QUEUE, TRAIN_TASK, make_app
from foretell.jobs import Job, JobStore
from foretell.registry import FolderRegistry
from foretell.settings import Settings
from foretell_trainer.attendance import ROLL
from foretell_trainer.ingest import ingest_messages
from foretell_trainer.processes import WorkerProcesses
from foretell_trainer.store import Store
from foretell_trainer.transport import taken_key, unacked_key
from tests.bundles import toy_schema

ROOT = Path(__file__).parents[3]
FIT_AT_WILL = "tests.integration.trainer.fit_at_will"

_numbers = itertools.count(1)


class Place:
    """A broker, a registry and a store where workers work, and a test's own workload there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.workload = f"toy-{next(_numbers)}"
        self.schema = toy_schema(self.workload)
        self.registry = FolderRegistry(settings.registry)
        self.registry.register(yaml.safe_dump(self.schema.model_dump(mode="json")))
        self.store = Store(settings.data)
        self.begun = settings.data / f"begun-{self.workload}"
        self.go = settings.data / f"go-{self.workload}"
        self._rejected_before = len(self._rejections())
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.app = self._stack.enter_context(make_app(self.settings.broker_url))
        self.jobs = JobStore(self.settings.broker_url)
        self._stack.callback(self.jobs.close)
        self.client = self._stack.enter_context(redis.Redis.from_url(self.settings.broker_url))
        # Whatever goes wrong, no fit waits any more.
        self._stack.callback(self.go.touch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def workers(
        self, *queues: str, program: str = FIT_AT_WILL, data: Path | None = None
    ) -> WorkerProcesses:
        """Start workers that stop with the test, with another data folder if one is given."""
        settings = self.settings.model_copy(update={"data": data or self.settings.data})
        return self._stack.enter_context(WorkerProcesses(settings, queues, program))

    def observation(self, name: str, **changes: object) -> dict[str, Any]:
        """Return an observation of the workload in its JSON form."""
        good = {
            "id": name,
            "workload": self.workload,
            "time": "2026-01-31T12:00:00Z",
            "features": {"size": 3.0, "kind": "big"},
            "metrics": {"seconds": 0.5, "kb": 7.0},
        }
        return {**good, **changes}

    def send(self, observations: object, workload: str = "") -> None:
        """Send one message of observations."""
        kwargs = {"workload": workload or self.workload, "observations": observations}
        self.app.send_task(INGEST_TASK, kwargs=kwargs, queue=INGEST_QUEUE)

    def fill(self) -> None:
        """Store a few observations, without a worker."""
        observations = [self.observation(f"o{number}") for number in range(5)]
        ingest_messages(self.store, self.schema, observations)

    def submit(self, workload: str = "", **spec: object) -> Job:
        """Ask for a training run."""
        name = workload or self.workload
        job = self.jobs.create(name, "", spec)
        kwargs = {"job_id": job.id, "workload": name, "spec": spec}
        self.app.send_task(TRAIN_TASK, kwargs=kwargs)
        return job

    def finished(self, job: Job) -> Job:
        """Wait for the end of a job and return it."""
        return list(self.jobs.watch(job.id))[-1]

    def stored_ids(self) -> list[str]:
        """Return the ids of all stored observations of the workload."""
        statement = "SELECT observation_id FROM observations WHERE workload = ?"
        with self.store.open() as connection:
            rows = connection.execute(statement, [self.workload]).fetchall()
        return [row[0] for row in rows]

    def rejections(self) -> list[tuple[str, str]]:
        """Return (content, reason) of what was rejected since the test began."""
        return self._rejections()[self._rejected_before :]

    def _rejections(self) -> list[tuple[str, str]]:
        statement = "SELECT content, reason FROM rejected_observations ORDER BY number"
        with self.store.open() as connection:
            return connection.execute(statement).fetchall()

    def held_messages(self) -> int:
        """Return how many messages workers have taken and not acknowledged."""
        names = [name.decode() for name in cast("list[bytes]", self.client.hkeys(ROLL))]
        return sum(
            self.client.hlen(unacked_key(name)) + self.client.llen(taken_key(name))
            for name in names
        )

    def all_done(self) -> bool:
        """Return whether no message of the queue `ingest` waits or is worked on."""
        return int(self.client.llen(INGEST_QUEUE)) + self.held_messages() == 0

    def begins(self) -> list[int]:
        """Return the process ids of the fits that have begun, in order."""
        return [int(line) for line in self.begun.read_text().split()] if self.begun.exists() else []


@pytest.fixture
def settings(broker: str, state_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings on the test's own folders."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    return _settings(state_folder, broker)


@pytest.fixture
def place(settings: Settings) -> Iterator[Place]:
    """An empty place, to start workers at."""
    with Place(settings) as place:
        yield place


@pytest.fixture(scope="session")
def standing_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a place where one worker of each queue works for all tests of the session."""
    folder = tmp_path_factory.mktemp("standing")
    with ExitStack() as stack:
        broker = stack.enter_context(EmbeddedBroker(folder / "broker"))
        settings = _settings(folder, broker.url)
        workers = WorkerProcesses(settings, (INGEST_QUEUE, TRAIN_QUEUE), FIT_AT_WILL)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
            stack.enter_context(workers)
        yield settings


@pytest.fixture
def standing(standing_settings: Settings) -> Iterator[Place]:
    """The place where workers stand."""
    with Place(standing_settings) as place:
        yield place


def _settings(folder: Path, broker_url: str) -> Settings:
    data = folder / "data"
    data.mkdir()
    return Settings(
        registry=folder / "registry", data=data, broker_url=broker_url, log_level="warning"
    )


def eventually(condition: Callable[[], bool], within_s: float = 120.0) -> None:
    """Wait for something that another process does and announces nowhere."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
