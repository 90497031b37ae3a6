"""Updates as jobs: the current bundle goes on with what is new, through the gate like any other."""

from __future__ import annotations

import random

from foretell.bundle import STATE_FILE
from foretell.jobs import Job
from foretell_trainer.fits import fit_with_engine
from foretell_trainer.ingest import ingest_messages
from foretell_trainer.runs import TrainingRuns
from tests.integration.trainer.conftest import Place
from tests.integration.trainer.test_crew import measured

QUICK = {"family": "sgd", "random_folds": 2, "grouped_folds": 2, "threads": 1}


def test_a_job_updates_the_current_bundle_and_says_so(place: Place) -> None:
    """What was stored since the snapshot is what it learns from; the bundle names its parent."""
    store(place, 0, 150)
    first = run(place, {"fit": QUICK})
    assert "learned from all 150 observations (there is no bundle to go on from)" in first.outcome
    assert STATE_FILE in place.registry.manifest(place.workload, first.bundle_version).files
    store(place, 150, 300)
    second = run(place, {"mode": "update", "fit": QUICK})
    assert second.state == "SUCCEEDED"
    assert f"{first.bundle_version} was updated with " in second.outcome
    manifest = place.registry.manifest(place.workload, second.bundle_version)
    assert manifest.lineage.parent == first.bundle_version
    # Some of the newest are held out, to compare both bundles on.
    assert 100 <= manifest.training["update"]["new_rows"] < 150
    assert "gate" in manifest.evaluation


def test_an_update_that_cannot_be_fails_and_says_why(place: Place) -> None:
    """Nobody who asks for an update waits for a fit; without a mode, a fit it is."""
    store(place, 0, 60)
    failed = run(place, {"mode": "update"})
    assert (failed.state, failed.error_status) == ("FAILED", "INVALID_ARGUMENT")
    assert "there is no bundle to go on from" in failed.error


def run(place: Place, spec: dict[str, object]) -> Job:
    job = place.jobs.create(place.workload, "", {})
    TrainingRuns(place.settings, place.client, fit_with_engine).run(job.id, place.workload, spec)
    return place.jobs.get(job.id)


def store(place: Place, start: int, end: int) -> None:
    rng = random.Random(start)  # noqa: S311 -- no secret
    ingest_messages(place.store, place.schema, [measured(place, i, rng) for i in range(start, end)])
