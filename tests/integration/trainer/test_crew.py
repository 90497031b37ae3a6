"""Shared work on real workers: folds and trials are spread, and a killed worker costs its part."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import cast

import psutil
import pytest
import redis

from foretell.broker import EmbeddedBroker
from foretell.celery_settings import TRAIN_QUEUE
from foretell.settings import Settings
from foretell.splits import parse_split
from foretell_trainer.attendance import present
from foretell_trainer.crew.helping import Parts
from foretell_trainer.crew.others import MOST_BEGUN
from foretell_trainer.crew.sharing import Crew, Help, crew, helped
from foretell_trainer.crew.told import Answer, Told
from foretell_trainer.cross_validation import fit_folds
from foretell_trainer.fits import fit_with_engine
from foretell_trainer.folds import Folds, as_part
from foretell_trainer.ingest import ingest_messages
from foretell_trainer.processes import WorkerProcesses
from foretell_trainer.runs import TrainingRuns
from foretell_trainer.search.budget import Budget
from foretell_trainer.search.parts import part_of_trial, result_of, told_trials
from foretell_trainer.search.search import search
from foretell_trainer.search.trials import Bar, Ground, run_trial
from foretell_trainer.snapshot import read_snapshot
from foretell_trainer.transport import unacked_key
from foretell_trainer.tuned import read_tuned
from tests.integration.trainer.conftest import Place
from tests.unit.engine.synthetic import QUICK
from tests.unit.engine.test_training import schema, workload

pytestmark = pytest.mark.process


def prepared(settings: Settings, family: str) -> tuple[Told, Ground]:
    """Return a search as others are told of it, and its ground.

    Like rows of which some are held out, the snapshot goes by the name of something larger.
    """
    snapshot = workload(80).snapshot(settings.data / "searches")
    fitting = replace(QUICK, family=family)
    ground = Ground.of(schema(), read_snapshot(snapshot, schema()), (), fitting)
    return told_trials(schema(), replace(snapshot, sha256="0" * 64), (), ground), ground


def test_a_worker_elsewhere_needs_nothing_of_this_machine(place: Place) -> None:
    """One that does not see the snapshot's file finds it in the broker, and answers as a trial run
    here does; one to whom the rows come out otherwise says so, and does nothing."""
    told, ground = prepared(place.settings, "ridge")
    elsewhere = Parts(place.client)
    tuned = {"strength": 3.0}
    part = part_of_trial(tuned, Bar())
    with shared(place, told) as others:
        others.send({100: part})
        told.snapshot.path.unlink()
        elsewhere.run(others.keys.work, 100, part, "elsewhere")
        (answer,) = others.answers(0.0)
    assert (answer.worker, result_of(answer)) == ("elsewhere", run_trial(ground, tuned))
    assert not place.client.keys("foretell:shared:*")
    elsewhere.run(others.keys.work, 100, part, "elsewhere")
    assert not place.client.keys("foretell:shared:*")

    told, _ = prepared(place.settings, "ridge")
    with shared(place, replace(told, fingerprint="another")) as others:
        others.send({1: part})
        elsewhere.run(others.keys.work, 1, part, "elsewhere")
        (refused,) = map(result_of, others.answers(0.0))
    assert refused.failure == "this worker prepares the rows otherwise: its libraries may differ"


def test_three_workers_spread_folds_and_trials(
    place: Place, three: dict[str, WorkerProcesses], tmp_path: Path
) -> None:
    """With one of them killed in the middle, only its own part is begun twice, and what comes out
    is what one process finds."""
    names = iter(three)
    split = parse_split("kfold", schema())
    folds = Folds.of(schema(), workload(80).snapshot(tmp_path / "rows"), (), split, QUICK)
    with shared(place, folds.told()) as others, killed(place.client, three, next(names)):
        spread = fit_folds(folds, others)
        assert sorted(begun(place.client).values()) == [1, 1, 1, 1, 2]
    for elsewhere, here in zip(spread, fit_folds(folds), strict=True):
        assert as_part(elsewhere) == as_part(here)

    told, ground = prepared(place.settings, "lightgbm")
    budget = Budget(trials=4, seconds=600)
    with shared(place, told) as others, killed(place.client, three, next(names)):
        verdict = search(ground, budget, tmp_path / "spread", others)
        assert sorted(begun(place.client).values()) == [1, 1, 1, 2]
    alone = search(ground, budget, tmp_path / "alone")
    assert (verdict.trials, verdict.failed, verdict.tuned) == (4, 0, alone.tuned)
    assert (verdict.gain, verdict.doubt) == (alone.gain, alone.doubt)
    assert (verdict.workers > 0, alone.workers) == (True, 0)


@pytest.fixture
def three(place: Place, tmp_path: Path) -> Iterator[dict[str, WorkerProcesses]]:
    """Three workers by their names, on machines of their own as far as folders make these."""
    with ThreadPoolExecutor(3) as stopping, ExitStack() as stack:
        named: dict[str, WorkerProcesses] = {}
        for number in range(3):
            own = {"data": tmp_path / f"data {number}", "registry": tmp_path / f"copies {number}"}
            settings = place.settings.model_copy(update=own)
            running = WorkerProcesses(settings, (TRAIN_QUEUE,))
            running.start()
            # All at once in the end: each takes a second or two.
            stack.callback(stopping.submit, running.stop)
            (new,) = set(present(place.client, TRAIN_QUEUE)) - set(named)
            named[new] = running
        yield named


def shared(place: Place, told: Told) -> AbstractContextManager[Crew]:
    """Share work with the workers of a place, as somebody who is none of them."""
    return crew(place.client, place.app, told, is_worker=False)


@contextmanager
def killed(
    client: redis.Redis, workers: Mapping[str, WorkerProcesses], name: str
) -> Iterator[None]:
    """Kill a worker as soon as it is in the middle of a part."""
    over = threading.Event()

    def follow() -> None:
        pid = workers[name].pid(TRAIN_QUEUE)
        while not over.wait(0.005):
            if in_the_middle(client, name):
                # Frozen, so that it cannot come to the end before it is killed.
                signalled(pid, signal.SIGSTOP)
                if in_the_middle(client, name):
                    signalled(pid, signal.SIGKILL)
                    return
                signalled(pid, signal.SIGCONT)

    following = threading.Thread(target=follow)
    following.start()
    try:
        yield
    finally:
        over.set()
        following.join()


def in_the_middle(client: redis.Redis, worker: str) -> bool:
    """Return whether a worker has a part that it has begun and not answered."""
    found = cast("list[bytes]", client.hvals(unacked_key(worker)))
    numbers = [int(json.loads(text)[0]["headers"]["id"].rpartition("-")[2]) for text in found]
    answers = cast("list[bytes]", client.keys("foretell:shared:*:answers"))
    texts = [text for key in answers for text in cast("list[bytes]", client.lrange(key, 0, -1))]
    done = {Answer.from_json(text).number for text in texts}
    return any(number in begun(client) and number not in done for number in numbers)


def begun(client: redis.Redis) -> dict[int, int]:
    """Return how often each part was begun."""
    keys = cast("list[bytes]", client.keys("foretell:shared:*:begun"))
    counts = cast("dict[bytes, bytes]", client.hgetall(keys[0]) if keys else {})
    return {int(number): int(count) for number, count in counts.items()}


def signalled(pid: int, number: signal.Signals) -> None:
    """Send a signal to a worker and what it forked, as to a machine that goes down."""
    children = psutil.Process(pid).children(recursive=True)
    for one in (pid, *(child.pid for child in children)):
        with suppress(ProcessLookupError):
            os.kill(one, number)


def test_nobody_waits_for_workers_that_are_not_there(place: Place) -> None:
    """What nobody has begun is taken back from the queue, what got lost is done again, and a part
    that takes its workers with it is given up."""
    told, ground = prepared(place.settings, "ridge")
    with shared(place, told) as others:
        assert search(ground, Budget(2, 600), place.settings.data, others).workers == 0
        others.send({7: {"n": 7}, 8: {"n": 8}, 9: {"n": 9}})
        assert others.take() == (9, {"n": 9})
        place.client.hset(others.keys.begun, "8", MOST_BEGUN)
        assert others.take() == (7, {"n": 7})
        (given_up,) = others.answers(0.0)
        assert (given_up.number, given_up.is_given_up) == (8, True)
        others.send({10: {"n": 10}})
        place.client.delete(TRAIN_QUEUE)
        # At the first look a worker that nobody knows yet may have it.
        assert (others.take(), others.take()) == (None, (10, {"n": 10}))
        others.send({11: {"n": 11}})
    assert not place.client.exists(TRAIN_QUEUE)


def test_a_broker_that_goes_away_leaves_the_work_here(place: Place, tmp_path: Path) -> None:
    """All parts that were sent and not answered are to be done by who asked, who goes on."""
    told, _ = prepared(place.settings, "ridge")
    with EmbeddedBroker(tmp_path / "broker") as broker:
        stack = ExitStack()
        others = stack.enter_context(helped(Help(broker.url, is_worker=False), told))
        others.send({1: {"n": 1}, 2: {"n": 2}})
    with stack:
        assert list(others.answers(0.1)) == []
        assert [others.take(), others.take()] == [(2, {"n": 2}), (1, {"n": 1})]
        assert (others.take(), others.waiting(), others.free()) == (None, 0, 0)


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
