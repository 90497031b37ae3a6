"""Real workers on a real broker, and what their tests send and look at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml
from celery import Celery
from foretell.celery_settings import INGEST_QUEUE, INGEST_TASK, TRAIN_TASK, make_app
from foretell.jobs import Job, JobStore
from foretell.registry import FolderRegistry
from foretell.settings import Settings
from foretell_trainer.processes import WorkerProcesses
from foretell_trainer.store import Store

from tests.bundles import WORKLOAD, toy_schema

ROOT = Path(__file__).parents[3]
FIT_AT_WILL = "tests.integration.trainer.fit_at_will"


class StartWorkers(Protocol):
    """Starts worker processes that are stopped after the test."""

    def __call__(self, *queues: str, program: str = ...) -> WorkerProcesses: ...


@pytest.fixture
def settings(broker: str, state_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings on the test's own folders; the workload `toy` is registered there."""
    # Worker processes import the tests' own fit.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    registry = state_folder / "registry"
    content = yaml.safe_dump(toy_schema().model_dump(mode="json"))
    FolderRegistry(registry).register(content)
    data = state_folder / "data"
    data.mkdir()
    return Settings(registry=registry, data=data, broker_url=broker, log_level="warning")


@pytest.fixture
def workers(settings: Settings) -> Iterator[StartWorkers]:
    """Start workers: `workers("ingest")`."""
    with ExitStack() as stack:

        def start(*queues: str, program: str = "foretell_trainer.worker") -> WorkerProcesses:
            return stack.enter_context(WorkerProcesses(settings, queues, program))

        yield start


@pytest.fixture
def app(broker: str) -> Iterator[Celery]:
    """A Celery application that sends, as the server's does."""
    with make_app(broker) as app:
        yield app


@pytest.fixture
def jobs(broker: str) -> Iterator[JobStore]:
    """The jobs in the broker."""
    store = JobStore(broker)
    yield store
    store.close()


@pytest.fixture
def store(settings: Settings) -> Store:
    """The store that the workers write."""
    return Store(settings.data)


def observation(name: str, **changes: object) -> dict[str, Any]:
    """Return an observation of the workload `toy` in its JSON form."""
    good = {
        "id": name,
        "workload": WORKLOAD,
        "time": "2026-01-31T12:00:00Z",
        "features": {"size": 3.0, "kind": "big"},
        "metrics": {"seconds": 0.5, "kb": 7.0},
    }
    return {**good, **changes}


def send(app: Celery, observations: object, workload: object = WORKLOAD) -> None:
    """Send one message of observations."""
    kwargs = {"workload": workload, "observations": observations}
    app.send_task(INGEST_TASK, kwargs=kwargs, queue=INGEST_QUEUE)


def submit(app: Celery, jobs: JobStore, workload: str = WORKLOAD, **spec: object) -> Job:
    """Ask for a training run."""
    job = jobs.create(workload, "", spec)
    kwargs = {"job_id": job.id, "workload": workload, "spec": spec}
    app.send_task(TRAIN_TASK, kwargs=kwargs)
    return job


def finished(jobs: JobStore, job: Job) -> Job:
    """Wait for the end of a job and return it."""
    return list(jobs.watch(job.id))[-1]


def stored_ids(store: Store) -> list[str]:
    """Return the ids of all stored observations."""
    with store.open() as connection:
        rows = connection.execute("SELECT observation_id FROM observations").fetchall()
    return [row[0] for row in rows]


def rejections(store: Store) -> list[tuple[str, str]]:
    """Return (content, reason) of all rejected observations."""
    with store.open() as connection:
        return connection.execute(
            "SELECT content, reason FROM rejected_observations ORDER BY number"
        ).fetchall()


def eventually(condition: Callable[[], bool], within_s: float = 120.0) -> None:
    """Wait for something that another process does and announces nowhere."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
