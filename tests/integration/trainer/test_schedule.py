"""Training runs that nobody asks for by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from foretell.errors import InvalidInput
from foretell_trainer.schedule import Schedule, begin_count, count_new
from tests.integration.trainer.conftest import Place


@contextmanager
def schedule(place: Place, **changes: float | str) -> Iterator[Schedule]:
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


def test_a_time_is_a_reason_if_anything_is_new(counted: Place) -> None:
    """A run is asked for when a time of the crontab has come, not before and not again after."""
    with schedule(counted, retrain_at="0 3 * * *") as nightly:
        assert nightly.look() == []
        nightly.strike()
        (job,) = nightly.look()
        assert job.spec == {"reason": "it is time: 0 3 * * *"}
        counted.jobs.update(job.id, state="FAILED")
        counted.client.delete(f"foretell:new:{counted.workload}:asking")
        assert nightly.look() == []


def test_a_time_is_not_lost_when_a_look_fails(counted: Place) -> None:
    """What was due then is asked for by the first look that succeeds."""
    with schedule(counted, retrain_at="0 3 * * *") as nightly:
        nightly.strike()
        counted.client.set(f"foretell:new:{counted.workload}", "not a number")
        with pytest.raises(ValueError, match="not a number"):
            nightly.look()
        counted.client.set(f"foretell:new:{counted.workload}", 1)
        assert len(nightly.look()) == 1


def test_what_is_no_time_is_refused(place: Place) -> None:
    """The error names the setting and what is allowed, before anything is begun."""
    for wrong in ("at three", "75 3 * * *", "0 3 * *", "0 3 31 2 *"):
        with (
            pytest.raises(InvalidInput, match=r"retrain_at.*minute, hour"),
            schedule(place, retrain_at=wrong),
        ):
            pass
