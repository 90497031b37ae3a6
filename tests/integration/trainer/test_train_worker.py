"""The worker of the queue `train`: jobs, their states, and what becomes of killed ones."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from celery import Celery
from foretell.broker import EmbeddedBroker
from foretell.celery_settings import TRAIN_TASK, make_app
from foretell.jobs import JobStore
from foretell.registry import FolderRegistry
from foretell.settings import Settings
from foretell_trainer.ingest import ingest_messages
from foretell_trainer.processes import WorkerProcesses
from foretell_trainer.store import Store

from tests.bundles import WORKLOAD, toy_schema
from tests.integration.trainer.conftest import (
    FIT_AT_WILL,
    StartWorkers,
    eventually,
    finished,
    observation,
    send,
    stored_ids,
    submit,
)

pytestmark = pytest.mark.process


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with a few observations of the workload `toy`."""
    ingest_messages(store, toy_schema(), [observation(f"o{number}") for number in range(5)])
    return store


@pytest.fixture
def begun(settings: Settings, filled: Store) -> Path:  # noqa: ARG001 -- a fit needs rows
    """The file that a fit adds its process id to when it begins."""
    return settings.data / "begun"


@pytest.fixture
def go(settings: Settings) -> Iterator[Path]:
    """The file that lets fits go on; made at the end in any case."""
    path = settings.data / "go"
    yield path
    path.touch()


def begins(begun: Path) -> list[int]:
    return [int(line) for line in begun.read_text().split()] if begun.exists() else []


def test_a_job_publishes_a_bundle(
    workers: StartWorkers, app: Celery, jobs: JobStore, settings: Settings, begun: Path, go: Path
) -> None:
    """A job goes through its stages, publishes a bundle as current, and is written down."""
    workers("train", program=FIT_AT_WILL)
    go.touch()
    announcements = JobStore(settings.broker_url).listen()
    assert next(announcements) is None
    job = submit(app, jobs)
    seen = list(jobs.watch(job.id))
    announced = next(announcements)
    last = seen[-1]
    assert (last.state, last.fraction) == ("SUCCEEDED", 1.0)
    assert last.bundle_version
    assert last.numbers["rows"] == 5
    rounds = {name: value for name, value in last.numbers.items() if name.endswith(".rounds")}
    assert sorted(rounds.values()) == list(range(len(rounds)))
    assert len(rounds) > 1
    assert {"snapshot", "waiting", "publish"} <= {state.stage for state in seen}
    assert [state.fraction for state in seen] == sorted(state.fraction for state in seen)
    assert announced is not None
    assert (announced.workload, announced.version) == (WORKLOAD, last.bundle_version)
    registry = FolderRegistry(settings.registry)
    assert registry.aliases(WORKLOAD)["current"] == last.bundle_version
    assert job.id in str(registry.history(WORKLOAD)[-1]["why"])
    eventually(lambda: recorded(settings) == [(job.id, "SUCCEEDED", last.bundle_version)])
    assert len(begins(begun)) == 1


def recorded(settings: Settings) -> list[tuple[str, str, str]]:
    with Store(settings.data).open() as connection:
        return connection.execute("SELECT job_id, state, bundle_version FROM jobs").fetchall()


@pytest.mark.parametrize("victim", ["parent", "child"])
def test_a_killed_fit_runs_again(
    workers: StartWorkers, app: Celery, jobs: JobStore, begun: Path, go: Path, victim: str
) -> None:
    """A job whose worker is killed in the middle of a fit begins again and succeeds."""
    running = workers("train", program=FIT_AT_WILL)
    job = submit(app, jobs)
    eventually(lambda: len(begins(begun)) == 1)
    (child,) = begins(begun)
    os.kill(running.pid("train") if victim == "parent" else child, signal.SIGKILL)
    eventually(lambda: len(begins(begun)) == 2)
    assert not psutil.pid_exists(child)
    go.touch()
    assert finished(jobs, job).state == "SUCCEEDED"


def test_a_stopped_worker_gives_its_job_back(
    workers: StartWorkers, app: Celery, jobs: JobStore, begun: Path, go: Path
) -> None:
    """Workers that are stopped during a fit do not wait for it; the next ones run it again."""
    first = workers("train", program=FIT_AT_WILL)
    job = submit(app, jobs)
    eventually(lambda: len(begins(begun)) == 1)
    first.stop()
    workers("train", program=FIT_AT_WILL)
    go.touch()
    assert finished(jobs, job).state == "SUCCEEDED"
    assert len(begins(begun)) == 2


def test_a_fit_can_be_cancelled(
    workers: StartWorkers, app: Celery, jobs: JobStore, begun: Path, go: Path
) -> None:
    """A job that is asked to stop inside a fit stops there and publishes nothing."""
    workers("train", program=FIT_AT_WILL)
    job = submit(app, jobs)
    eventually(lambda: len(begins(begun)) == 1)
    jobs.request_cancel(job.id)
    last = finished(jobs, job)
    assert (last.state, last.bundle_version) == ("CANCELLED", "")
    assert not go.exists()


def test_one_job_of_a_workload_at_a_time(
    workers: StartWorkers, app: Celery, jobs: JobStore, begun: Path, go: Path, settings: Settings
) -> None:
    """Two workers run two jobs of one workload one after the other, another workload's beside."""
    workers("train", program=FIT_AT_WILL)
    workers("train", program=FIT_AT_WILL)
    other = toy_schema("other")
    FolderRegistry(settings.registry).register(yaml.safe_dump(other.model_dump(mode="json")))
    ingest_messages(Store(settings.data), other, [observation("x", workload="other")])
    same = [submit(app, jobs), submit(app, jobs)]
    eventually(lambda: len(begins(begun)) == 1)
    beside = submit(app, jobs, "other")
    eventually(lambda: len(begins(begun)) == 2)
    assert sorted(jobs.get(job.id).state for job in same) == ["QUEUED", "RUNNING"]
    assert jobs.get(beside.id).state == "RUNNING"
    go.touch()
    assert {finished(jobs, job).state for job in (*same, beside)} == {"SUCCEEDED"}
    assert len(begins(begun)) == 3


def test_a_job_that_is_over_is_not_run_again(
    workers: StartWorkers, app: Celery, jobs: JobStore, begun: Path, go: Path
) -> None:
    """A message that is delivered twice trains once."""
    workers("train", program=FIT_AT_WILL)
    go.touch()
    job = submit(app, jobs)
    kwargs = {"job_id": job.id, "workload": WORKLOAD, "spec": {}}
    app.send_task(TRAIN_TASK, kwargs=kwargs)
    app.send_task(TRAIN_TASK, kwargs={"job_id": "unknown", "workload": WORKLOAD, "spec": {}})
    assert finished(jobs, job).state == "SUCCEEDED"
    last = submit(app, jobs)
    assert finished(jobs, last).state == "SUCCEEDED"
    assert len(begins(begun)) == 2


def test_failures_say_why_and_do_not_stay(
    workers: StartWorkers, app: Celery, jobs: JobStore, begun: Path, go: Path
) -> None:
    """A fit that fails ends its job with the reason; the next job is run as ever."""
    workers("train", program=FIT_AT_WILL)
    go.touch()
    failed = finished(jobs, submit(app, jobs, fail="no such luck"))
    assert (failed.state, failed.error_status) == ("FAILED", "INTERNAL")
    assert failed.error == "ArithmeticError: no such luck"
    unknown = finished(jobs, submit(app, jobs, "nonsense"))
    assert (unknown.state, unknown.error_status) == ("FAILED", "NOT_FOUND")
    empty = finished(jobs, submit(app, jobs, "serverless"))
    assert (empty.state, empty.error_status) == ("FAILED", "INVALID_ARGUMENT")
    assert "no observations" in empty.error
    assert finished(jobs, submit(app, jobs)).state == "SUCCEEDED"
    assert len(begins(begun)) == 2


def test_a_fit_does_not_hold_up_ingest(
    workers: StartWorkers, app: Celery, jobs: JobStore, begun: Path, go: Path, filled: Store
) -> None:
    """Observations are stored while a fit runs."""
    workers("train", program=FIT_AT_WILL)
    workers("ingest")
    job = submit(app, jobs)
    eventually(lambda: len(begins(begun)) == 1)
    send(app, [observation("during the fit")])
    eventually(lambda: "during the fit" in stored_ids(filled))
    assert jobs.get(job.id).state == "RUNNING"
    go.touch()
    assert finished(jobs, job).state == "SUCCEEDED"


def test_a_fit_outlives_the_broker(settings: Settings, begun: Path, go: Path) -> None:
    """A fit goes on while the broker is killed and started again, and its job succeeds."""
    broker = EmbeddedBroker(settings.data.parent / "mortal")
    url = broker.start()
    mortal = settings.model_copy(update={"broker_url": url})
    mortal_jobs = JobStore(url)
    try:
        with WorkerProcesses(mortal, ["train"], FIT_AT_WILL), make_app(url) as app:
            job = submit(app, mortal_jobs)
            eventually(lambda: len(begins(begun)) == 1)
            os.kill(broker.pid, signal.SIGKILL)
            broker.stop()
            assert broker.start() == url
            go.touch()
            assert finished(mortal_jobs, job).state == "SUCCEEDED"
        assert len(begins(begun)) == 1
    finally:
        mortal_jobs.close()
        broker.stop()
