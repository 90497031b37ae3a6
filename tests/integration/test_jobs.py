"""Jobs in a real broker: created once, watched to the end, cancelled, announced."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from foretell.errors import NotFound, Unavailable
from foretell.jobs import Announcement, JobStore
from foretell.jobs_async import AsyncJobStore

pytestmark = pytest.mark.process


@pytest.fixture
def jobs(broker: str) -> Iterator[JobStore]:
    """A store in an empty broker."""
    store = JobStore(broker)
    yield store
    store.close()


def test_one_request_is_one_job(jobs: JobStore) -> None:
    """The same request id gives the same job, per workload; without one, each is new."""
    first = jobs.create("w", "request", {"rows": 1})
    assert jobs.create("w", "request", {"rows": 2}) == first
    assert jobs.create("other", "request", {}).id != first.id
    assert jobs.create("w", "", {}).id != jobs.create("w", "", {}).id
    assert first.state == "QUEUED"
    assert first.spec == {"rows": 1}


def test_a_job_through_its_life(jobs: JobStore) -> None:
    """Updates change what they name, and stamp when it began and ended."""
    job = jobs.create("w", "r", {})
    running = jobs.update(job.id, state="RUNNING", stage="fit", fraction=0.25)
    assert running.started_at is not None
    assert running.finished_at is None
    jobs.update(job.id, fraction=0.5, numbers={"rows": 10.0})
    done = jobs.update(job.id, state="SUCCEEDED", bundle_version="v")
    assert (done.stage, done.fraction, done.numbers) == ("fit", 0.5, {"rows": 10.0})
    assert done.finished_at is not None
    assert done.is_final


def test_a_job_that_is_over_stays_as_it_is(jobs: JobStore) -> None:
    """What ended is not changed by a late worker, nor by a late cancel."""
    job = jobs.create("w", "r", {})
    jobs.update(job.id, state="FAILED", error="no rows", error_status="FAILED_PRECONDITION")
    assert jobs.update(job.id, state="RUNNING").state == "FAILED"
    assert jobs.request_cancel(job.id).error == "no rows"


def test_cancelling(jobs: JobStore) -> None:
    """A job that waits is over at once; one that runs is asked to stop."""
    waiting = jobs.create("w", "waiting", {})
    assert jobs.request_cancel(waiting.id).state == "CANCELLED"
    running = jobs.create("w", "running", {})
    jobs.update(running.id, state="RUNNING")
    assert not jobs.is_cancelled(running.id)
    assert jobs.request_cancel(running.id).state == "RUNNING"
    assert jobs.is_cancelled(running.id)


def test_jobs_are_listed_newest_first(jobs: JobStore) -> None:
    """Lists are by workload or of all, and can be read page by page."""
    made = [jobs.create("w", f"r{i}", {}).id for i in range(5)]
    jobs.create("other", "r", {})
    assert [job.id for job in jobs.list("w")] == made[::-1]
    assert [job.id for job in jobs.list("w", start=1, limit=2)] == [made[3], made[2]]
    assert len(jobs.list()) == 6
    assert jobs.list("nothing") == []


def test_what_does_not_exist_is_not_found(jobs: JobStore) -> None:
    """An unknown id is NotFound, whatever is asked of it."""
    for ask in (jobs.get, jobs.update, jobs.request_cancel, lambda i: next(jobs.watch(i))):
        with pytest.raises(NotFound, match="no job named 'nope'"):
            ask("nope")


def test_watching_sees_every_change(jobs: JobStore) -> None:
    """A watch begins with the state now, sees each change in order, and ends with the job."""
    job = jobs.create("w", "r", {})
    watch = jobs.watch(job.id)
    seen = [next(watch)]

    def work() -> None:
        jobs.update(job.id, state="RUNNING", stage="snapshot")
        for step in range(20):
            jobs.update(job.id, stage="fit", fraction=step / 20)
        jobs.update(job.id, state="SUCCEEDED", fraction=1.0)

    worker = threading.Thread(target=work)
    worker.start()
    seen += watch
    worker.join()
    assert [j.state for j in seen] == ["QUEUED"] + ["RUNNING"] * 21 + ["SUCCEEDED"]
    assert [j.fraction for j in seen[2:-1]] == [step / 20 for step in range(20)]
    assert seen[-1].model_copy(update={"spec": {}}) == jobs.get(job.id)


def test_watching_what_is_over_ends_at_once(jobs: JobStore) -> None:
    """A job that has ended is yielded once."""
    job = jobs.create("w", "r", {})
    jobs.request_cancel(job.id)
    assert [j.state for j in jobs.watch(job.id)] == ["CANCELLED"]


def test_the_store_for_asyncio_does_the_same(broker: str) -> None:
    """Both stores read what the other writes, and watch it."""

    async def scenario() -> None:
        blocking, store = JobStore(broker), AsyncJobStore(broker)
        job = await store.create("w", "r", {"a": 1})
        assert blocking.create("w", "r", {}) == job
        assert await store.list("w") == [job]
        seen = []
        async for state in store.watch(job.id):
            seen.append(state.state)
            if state.state == "QUEUED":
                await store.update(job.id, state="RUNNING")
            elif state.state == "RUNNING" and not await store.is_cancelled(job.id):
                await store.request_cancel(job.id)
                blocking.update(job.id, state="CANCELLED")
        assert seen == ["QUEUED", "RUNNING", "CANCELLED"]
        assert (await store.get(job.id)).is_final
        await store.close()
        blocking.close()

    asyncio.run(scenario())


def test_announcements_reach_who_listens(broker: str) -> None:
    """A listener is told when it misses nothing any more, and then every announcement."""

    async def scenario() -> None:
        store = AsyncJobStore(broker)
        heard: list[Announcement | None] = []
        async for announcement in store.listen():
            heard.append(announcement)
            if announcement is not None:
                break
            await store.announce("w", "v", "current")
        assert heard == [None, Announcement("w", "v", "current")]
        await store.close()

    asyncio.run(scenario())


def test_blocking_listeners_hear_too(jobs: JobStore) -> None:
    """The blocking store hears announcements as well."""
    listener = jobs.listen()
    assert next(listener) is None
    jobs.announce("w", "v", "candidate")
    assert next(listener) == Announcement("w", "v", "candidate")
    listener.close()  # type: ignore[attr-defined]  # a generator, which Iterator does not say


def test_a_broker_that_is_gone_is_unavailable() -> None:
    """A broker that cannot be reached is UNAVAILABLE, for both stores."""
    url = "redis://127.0.0.1:1/0"
    with pytest.raises(Unavailable, match="the broker is unavailable"):
        JobStore(url).get("x")

    async def ask() -> None:
        store = AsyncJobStore(url)
        with pytest.raises(Unavailable, match="the broker is unavailable"):
            await store.create("w", "r", {})
        await store.close()

    asyncio.run(ask())
