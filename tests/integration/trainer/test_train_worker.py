"""The worker of the queue `train`: jobs, their states, and what becomes of killed ones."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from foretell.broker import EmbeddedBroker
from foretell.celery_settings import TRAIN_TASK
from foretell.jobs import JobStore
from foretell.settings import Settings
from foretell_trainer.ownership import claim
from foretell_trainer.schedule import count_new
from foretell_trainer.turns import turn
from foretell_trainer.under_way import Run
from tests.integration.trainer.conftest import Place, eventually

pytestmark = pytest.mark.process


def test_a_job_publishes_a_bundle(standing: Place) -> None:
    """A job goes through its stages, publishes a bundle as current, is written down, and nothing
    is counted as new any more."""
    standing.fill()
    count_new(standing.client, standing.workload, 5)
    standing.go.touch()
    announcements = JobStore(standing.settings.broker_url).listen()
    assert next(announcements) is None
    job = standing.submit()
    seen = list(standing.jobs.watch(job.id))
    announced = next(announcements)
    last = seen[-1]
    assert (last.state, last.fraction) == ("SUCCEEDED", 1.0)
    assert last.bundle_version
    assert last.promoted
    assert "promoted: there was none before" in last.outcome
    assert "learned from all 5 observations" in last.outcome
    assert standing.client.get(f"foretell:new:{standing.workload}") is None
    assert last.numbers["rows"] == 5
    rounds = {name: value for name, value in last.numbers.items() if name.endswith(".rounds")}
    assert sorted(rounds.values()) == list(range(len(rounds)))
    assert len(rounds) > 1
    assert {"snapshot", "waiting", "publish"} <= {state.stage for state in seen}
    assert [state.fraction for state in seen] == sorted(state.fraction for state in seen)
    assert announced is not None
    assert (announced.workload, announced.version) == (standing.workload, last.bundle_version)
    assert standing.registry.aliases(standing.workload)["current"] == last.bundle_version
    assert job.id in standing.registry.history(standing.workload)[-1].why
    eventually(lambda: recorded(standing) == [(job.id, "SUCCEEDED", last.bundle_version)])
    assert len(standing.begins()) == 1


def recorded(place: Place) -> list[tuple[str, str, str]]:
    statement = "SELECT job_id, state, bundle_version FROM jobs WHERE workload = ?"
    with place.store.open() as connection:
        return connection.execute(statement, [place.workload]).fetchall()


def test_a_killed_fit_runs_again(place: Place) -> None:
    """A job whose worker is killed in the middle of a fit begins again and succeeds: whether it
    is the process that fits or its parent, which took the message."""
    place.fill()
    running = place.workers("train")
    job = place.submit()
    eventually(lambda: len(place.begins()) == 1)
    os.kill(place.begins()[-1], signal.SIGKILL)
    eventually(lambda: len(place.begins()) == 2)
    os.kill(running.pid("train"), signal.SIGKILL)
    eventually(lambda: len(place.begins()) == 3)
    assert not any(psutil.pid_exists(child) for child in place.begins()[:2])
    place.go.touch()
    assert place.finished(job).state == "SUCCEEDED"


def test_a_stopped_worker_gives_its_job_back(place: Place) -> None:
    """Workers that are stopped during a fit do not wait for it; the next ones run it again."""
    place.fill()
    first = place.workers("train")
    job = place.submit()
    eventually(lambda: len(place.begins()) == 1)
    first.stop()
    place.workers("train")
    place.go.touch()
    assert place.finished(job).state == "SUCCEEDED"
    assert len(place.begins()) == 2


def test_a_job_that_is_to_stop_is_to_stop_for_everything_in_it(place: Place) -> None:
    """A search asks again right after a trial of its own was stopped: it is told the same."""
    job = place.jobs.create(place.workload, "", {})
    with turn(place.client, place.workload) as held:
        run = Run(job, {}, place.jobs, held)
        assert not run.should_stop()
        place.jobs.request_cancel(job.id)
        eventually(run.should_stop)
        assert run.should_stop()


def test_a_fit_can_be_cancelled(standing: Place) -> None:
    """A job that is asked to stop inside a fit stops there and publishes nothing.

    All the while the fit gives way to whatever answers on the same machine.
    """
    standing.fill()
    job = standing.submit()
    eventually(lambda: len(standing.begins()) == 1)
    fitting, own = psutil.Process(standing.begins()[0]), psutil.Process()
    assert fitting.nice() == min(own.nice() + standing.settings.fit_niceness, 19)
    group = Path(f"/proc/{fitting.pid}/autogroup")
    # The kernel weighs sessions against each other, where it has autogroups.
    if group.exists():
        assert group.read_text().endswith(f" nice {standing.settings.fit_niceness}\n")
    standing.jobs.request_cancel(job.id)
    last = standing.finished(job)
    assert (last.state, last.bundle_version) == ("CANCELLED", "")
    assert not standing.go.exists()


def test_one_job_of_a_workload_at_a_time(standing: Place, standing_settings: Settings) -> None:
    """Two workers run two jobs of one workload one after the other, another workload's beside."""
    standing.workers("train")
    standing.fill()
    with Place(standing_settings) as other:
        other.fill()
        same = [standing.submit(), standing.submit()]
        eventually(lambda: len(standing.begins()) == 1)
        beside = other.submit()
        eventually(lambda: len(other.begins()) == 1)
        jobs = standing.jobs
        assert sorted(jobs.get(job.id).state for job in same) == ["QUEUED", "RUNNING"]
        assert jobs.get(beside.id).state == "RUNNING"
        standing.go.touch()
        other.go.touch()
        assert {standing.finished(job).state for job in (*same, beside)} == {"SUCCEEDED"}
        assert (len(standing.begins()), len(other.begins())) == (2, 1)


def test_a_job_waits_for_a_worker_that_sees_the_store(place: Place, tmp_path: Path) -> None:
    """A worker on another machine, without the store, leaves the job to one that has it."""
    place.fill()
    claim(place.client, place.settings.data)
    place.workers("train", data=tmp_path / "other machine")
    job = place.submit()
    place.workers("train")
    place.go.touch()
    assert place.finished(job).state == "SUCCEEDED"


def test_a_job_that_is_over_is_not_run_again(standing: Place) -> None:
    """A message that is delivered twice trains once."""
    standing.fill()
    standing.go.touch()
    job = standing.submit()
    for job_id in (job.id, "unknown"):
        kwargs = {"job_id": job_id, "workload": standing.workload, "spec": {}}
        standing.app.send_task(TRAIN_TASK, kwargs=kwargs)
    assert standing.finished(job).state == "SUCCEEDED"
    last = standing.submit()
    assert standing.finished(last).state == "SUCCEEDED"
    assert len(standing.begins()) == 2


def test_failures_say_why_and_do_not_stay(standing: Place) -> None:
    """A fit that fails ends its job with the reason; the next job is run as ever."""
    standing.fill()
    standing.go.touch()
    failed = standing.finished(standing.submit(fail="no such luck"))
    assert (failed.state, failed.error_status) == ("FAILED", "INTERNAL")
    assert failed.error == "ArithmeticError: no such luck"
    unknown = standing.finished(standing.submit("nonsense"))
    assert (unknown.state, unknown.error_status) == ("FAILED", "NOT_FOUND")
    empty = standing.finished(standing.submit("serverless"))
    assert (empty.state, empty.error_status) == ("FAILED", "INVALID_ARGUMENT")
    assert "no observations" in empty.error
    assert standing.finished(standing.submit()).state == "SUCCEEDED"
    assert len(standing.begins()) == 2


def test_a_fit_does_not_hold_up_ingest(standing: Place) -> None:
    """Observations are stored while a fit runs."""
    standing.fill()
    job = standing.submit()
    eventually(lambda: len(standing.begins()) == 1)
    standing.send([standing.observation("during the fit")])
    eventually(lambda: "during the fit" in standing.stored_ids())
    assert standing.jobs.get(job.id).state == "RUNNING"
    standing.go.touch()
    assert standing.finished(job).state == "SUCCEEDED"


def test_a_fit_outlives_the_broker(settings: Settings) -> None:
    """A fit goes on while the broker is killed and started again, and its job succeeds."""
    broker = EmbeddedBroker(settings.data.parent / "mortal")
    url = broker.start()
    try:
        with Place(settings.model_copy(update={"broker_url": url})) as place:
            place.fill()
            place.workers("train")
            job = place.submit()
            eventually(lambda: len(place.begins()) == 1)
            os.kill(broker.pid, signal.SIGKILL)
            broker.stop()
            assert broker.start() == url
            place.go.touch()
            assert place.finished(job).state == "SUCCEEDED"
            assert len(place.begins()) == 1
    finally:
        broker.stop()
