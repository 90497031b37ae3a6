"""Training runs that nobody asks for by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from foretell_trainer.schedule import Schedule, begin_count, count_new
from tests.integration.trainer.conftest import Place


@contextmanager
def schedule(place: Place, **changes: float) -> Iterator[Schedule]:
    """Yield a schedule that looks when the test says so."""
    looked_by_hand = Schedule(place.settings.model_copy(update=changes))
    yield looked_by_hand
    looked_by_hand.stop()


@pytest.fixture
def counted(place: Place) -> Place:
    """A place with 30 new observations."""
    count_new(place.client, place.workload, 20)
    count_new(place.client, place.workload, 10)
    return place


def test_enough_new_observations_are_a_reason(counted: Place) -> None:
    """A run is asked for once there are enough, once, whoever looks; it says why; and the count
    begins anew with it."""
    with schedule(counted, retrain_after_observations=31) as patient:
        assert patient.look() == []
    with schedule(counted, retrain_after_observations=30) as due:
        (job,) = due.look()
        assert (job.workload, job.spec) == (counted.workload, {"reason": "30 new observations"})
        assert due.look() == []
    assert counted.client.llen("train") == 1
    counted.jobs.update(job.id, state="RUNNING")
    counted.client.delete(f"foretell:new:{counted.workload}:asking")
    with schedule(counted, retrain_after_observations=30) as again:
        assert again.look() == []
        begin_count(counted.client, counted.workload)
        counted.jobs.update(job.id, state="SUCCEEDED")
        assert again.look() == []


def test_time_is_a_reason_if_anything_is_new(counted: Place) -> None:
    """A run is asked for when the last one is long ago, and not when nothing came since."""
    first = counted.jobs.create(counted.workload, "", {})
    counted.jobs.update(first.id, state="FAILED")
    with schedule(counted, retrain_every_s=3600.0) as patient:
        assert patient.look() == []
    with schedule(counted, retrain_every_s=1e-6) as due:
        (job,) = due.look()
        assert str(job.spec["reason"]).endswith("s since the last run")
        counted.jobs.update(job.id, state="FAILED")
        counted.client.delete(f"foretell:new:{counted.workload}:asking")
        begin_count(counted.client, counted.workload)
        assert due.look() == []
