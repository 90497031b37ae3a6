"""Trials on real workers: what they answer, and what a killed one costs."""

from __future__ import annotations

import math
import os
import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import cast

import psutil
import pytest
import redis

from foretell.celery_settings import TRAIN_QUEUE
from foretell.settings import Settings
from foretell_trainer.fits import fit_with_engine
from foretell_trainer.ingest import ingest_messages
from foretell_trainer.runs import TrainingRuns
from foretell_trainer.search.budget import Budget
from foretell_trainer.search.crew import Crew, crew
from foretell_trainer.search.search import search
from foretell_trainer.search.trials import Bar, Ground, Result, run_trial
from foretell_trainer.snapshot import Snapshot, read_snapshot
from foretell_trainer.tuned import read_tuned
from tests.integration.trainer.conftest import Place, eventually
from tests.unit.engine.synthetic import QUICK
from tests.unit.engine.test_training import schema, workload

pytestmark = pytest.mark.process


def prepared(settings: Settings, family: str) -> tuple[Snapshot, Ground]:
    """Return a snapshot where workers can read it, and the ground that it makes.

    Like rows of which some are held out, it goes by the name of something larger.
    """
    snapshot = workload(80).snapshot(settings.data / "searches")
    columns = read_snapshot(snapshot, schema())
    return replace(snapshot, sha256="0" * 64), Ground.of(
        schema(), columns, (), replace(QUICK, family=family)
    )


def answers(others: Crew, count: int) -> dict[int, Result]:
    """Wait for the results of so many trials."""
    found: dict[int, Result] = {}

    def complete() -> bool:
        found.update(others.results(0.2))
        return len(found) == count

    eventually(complete)
    return found


def test_a_killed_worker_costs_its_trial_and_no_more(place: Place, tmp_path: Path) -> None:
    """Its trial is run again by the next worker; results are those of a trial run here, also of a
    worker that does not see the snapshot's file."""
    running = place.workers(TRAIN_QUEUE, data=tmp_path / "other machine")
    snapshot, ground = prepared(place.settings, "lightgbm")
    slow = {"learning_rate": 0.01, "leaves": 8.0}
    told = (place.client, place.app, schema(), snapshot, (), ground)
    with crew(*told, is_worker=False) as others:
        snapshot.path.unlink()
        assert others.free() == 1
        others.send(100, slow, Bar())
        others.send(101, {}, Bar())
        assert others.free() == -1
        eventually(lambda: begun(place.client) == {b"100": b"1"})
        kill(running.pid(TRAIN_QUEUE))
        found = answers(others, 2)
        assert begun(place.client) == {b"100": b"2", b"101": b"1"}
        # The worker that is there now helps with a whole search, too.
        verdict = search(ground, Budget(trials=3, seconds=600), place.settings.data, others)
    assert found[100].errors == pytest.approx(run_trial(ground, slow).errors)
    assert found[101].errors == pytest.approx(run_trial(ground, {}).errors)
    assert (verdict.trials, verdict.failed) == (3, 0)
    assert verdict.workers >= 1
    assert not place.client.keys("foretell:search:*")


def begun(client: redis.Redis) -> object:
    """Return how often each trial was begun."""
    keys = cast("list[bytes]", client.keys("foretell:search:*:attempts"))
    return client.hgetall(keys[0]) if keys else {}


def kill(pid: int) -> None:
    """Kill a worker and what it forked, as a machine that goes down does."""
    children = psutil.Process(pid).children(recursive=True)
    for one in (pid, *(child.pid for child in children)):
        if psutil.pid_exists(one):
            os.kill(one, signal.SIGKILL)


def test_nobody_waits_for_workers_that_are_not_there(place: Place) -> None:
    """Without workers a search runs its trials itself, and none waits in the queue."""
    snapshot, ground = prepared(place.settings, "ridge")
    told = (place.client, place.app, schema(), snapshot, (), ground)
    with crew(*told, is_worker=False) as others:
        verdict = search(ground, Budget(trials=2, seconds=600), place.settings.data, others)
        others.send(7, {}, Bar())
        assert others.waiting() == 0
    assert (verdict.trials, verdict.workers) == (2, 0)


def test_a_job_searches_and_cross_validates_first(place: Place) -> None:
    """Its bundle says what came of both; what was found is kept if it is better."""
    rng = random.Random(1)  # noqa: S311 -- no secret
    ingest_messages(place.store, place.schema, [measured(place, i, rng) for i in range(120)])
    job = place.jobs.create(place.workload, "", {})
    asked = {"search": "trials=3,seconds=600", "split": "grouped:kind", "fit": {"family": "ridge"}}
    TrainingRuns(place.settings, place.client, fit_with_engine).run(job.id, place.workload, asked)
    ended = place.jobs.get(job.id)
    assert (ended.state, ended.error) == ("SUCCEEDED", "")
    manifest = place.registry.manifest(place.workload, ended.bundle_version)
    verdict = manifest.evaluation["search"]
    assert (manifest.family, verdict["trials"]) == ("ridge", 3)
    assert manifest.evaluation["cross_validation"]["split"] == "grouped:kind"
    kept = read_tuned(place.settings.registry, place.workload, "ridge")
    assert kept == (verdict["tuned"] if verdict["better"] else {})
    assert manifest.training["settings"]["tuned"] == kept


def measured(place: Place, number: int, rng: random.Random) -> dict[str, object]:
    """Return a run that takes 3 microseconds per unit of size, give or take 5 %."""
    size = math.exp(rng.uniform(0, 10))
    seconds = 3e-6 * size * math.exp(rng.gauss(0, 0.05))
    kind = rng.choice(["big", "small"])
    return place.observation(
        f"o{number}",
        features={"size": size, "kind": kind},
        metrics={"seconds": seconds, "kb": 100 + size},
    )
