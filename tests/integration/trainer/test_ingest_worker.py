"""The worker of the queue `ingest`, as real processes that are really killed."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import redis
from celery import Celery
from foretell.broker import EmbeddedBroker
from foretell.celery_settings import INGEST_QUEUE, make_app
from foretell.settings import Settings
from foretell_trainer.attendance import ROLL
from foretell_trainer.processes import WorkerProcesses
from foretell_trainer.store import Store
from foretell_trainer.transport import taken_key, unacked_key

from tests.integration.trainer.conftest import (
    StartWorkers,
    eventually,
    observation,
    rejections,
    send,
    stored_ids,
)

pytestmark = pytest.mark.process


@pytest.fixture
def client(broker: str) -> Any:  # noqa: ANN401 -- a fixture that yields a client
    with redis.Redis.from_url(broker) as client:
        yield client


def held_messages(client: redis.Redis) -> int:
    """Return how many messages workers have taken and not acknowledged."""
    roll = cast("list[bytes]", client.hkeys(ROLL))
    names = [name.decode() for name in roll]
    return sum(client.hlen(unacked_key(n)) + client.llen(taken_key(n)) for n in names)


def child_of(pid: int) -> int:
    (child,) = psutil.Process(pid).children()
    return child.pid


def test_messages_become_rows(workers: StartWorkers, app: Celery, store: Store) -> None:
    """Observations that are sent are stored, each once, however often they are sent."""
    workers("ingest")
    send(app, [observation("a"), observation("b")])
    send(app, [observation("b"), observation("c")])
    eventually(lambda: len(stored_ids(store)) == 3)
    assert sorted(stored_ids(store)) == ["a", "b", "c"]


@pytest.mark.parametrize("victim", ["parent", "child"])
def test_sigkill_in_the_middle_loses_and_doubles_nothing(
    workers: StartWorkers, app: Celery, store: Store, client: redis.Redis, victim: str
) -> None:
    """A worker that is killed while it stores a message is replaced, and the message is stored."""
    running = workers("ingest")
    with store.open():
        # The worker takes the message and then waits for the store, which is ours.
        send(app, [observation(f"o{number}") for number in range(50)])
        eventually(lambda: held_messages(client) == 1)
        parent = running.pid("ingest")
        os.kill(parent if victim == "parent" else child_of(parent), signal.SIGKILL)
    eventually(lambda: len(stored_ids(store)) == 50)
    eventually(lambda: held_messages(client) == 0 and client.llen(INGEST_QUEUE) == 0)
    assert len(set(stored_ids(store))) == len(stored_ids(store)) == 50


def test_random_sigkills_under_load_lose_and_double_nothing(
    workers: StartWorkers, app: Celery, store: Store, client: redis.Redis
) -> None:
    """Whenever a worker is killed, all that was sent is stored once."""
    running = workers("ingest")
    rng = random.Random(5)  # noqa: S311 -- no secret
    sent = [[observation(f"{batch}-{n}") for n in range(100)] for batch in range(80)]
    killed: list[int] = []

    def busy() -> bool:
        return running.pid("ingest") not in killed and held_messages(client) > 0

    for number, batch in enumerate(sent):
        send(app, batch)
        if number % 20 == 19:
            eventually(busy)
            time.sleep(rng.uniform(0, 0.1))
            killed.append(running.pid("ingest"))
            os.kill(killed[-1], signal.SIGKILL)
    expected = {entry["id"] for batch in sent for entry in batch}
    eventually(lambda: client.llen(INGEST_QUEUE) + held_messages(client) == 0)
    eventually(lambda: len(stored_ids(store)) >= len(expected))
    assert sorted(stored_ids(store)) == sorted(expected)


def test_a_locked_store_delays_and_loses_nothing(
    workers: StartWorkers, app: Celery, store: Store, settings: Settings
) -> None:
    """While somebody holds the store messages wait, and are stored when it is free."""
    workers("ingest")
    with Store(settings.data).open():
        for number in range(5):
            send(app, [observation(f"o{number}")])
    eventually(lambda: len(stored_ids(store)) == 5)


def test_bad_observations_are_kept_with_their_reasons(
    workers: StartWorkers, app: Celery, store: Store
) -> None:
    """What cannot be stored is in the rejected observations; the rest of its message is stored."""
    workers("ingest")
    send(app, [observation("good"), observation("bad", metrics={"seconds": -1})])
    send(app, [observation("lost")], workload="nonsense")
    send(app, "not a list")
    send(app, [observation("last")])
    eventually(lambda: "last" in stored_ids(store))
    reasons = [reason for _, reason in rejections(store)]
    assert sorted(stored_ids(store)) == ["good", "last"]
    assert any("seconds" in reason for reason in reasons)
    assert any("WORKLOAD_NOT_FOUND" in reason for reason in reasons)
    assert len(reasons) == 3


def test_poison_is_buried_and_does_not_go_round(
    workers: StartWorkers, app: Celery, store: Store, client: redis.Redis
) -> None:
    """A message that nobody can read is kept as rejected, and the worker goes on."""
    workers("ingest")
    client.lpush(INGEST_QUEUE, b"\xff not json")
    client.lpush(INGEST_QUEUE, b'{"body": "", "headers": {}, "properties": {}}')
    app.send_task("foretell.nonsense", queue=INGEST_QUEUE)
    app.send_task("foretell.ingest", args=(1, 2), kwargs={"unexpected": 3}, queue=INGEST_QUEUE)
    send(app, [observation("good")])
    eventually(lambda: len(rejections(store)) >= 3)
    eventually(lambda: client.llen(INGEST_QUEUE) + held_messages(client) == 0)
    contents = [content for content, _ in rejections(store)]
    assert any("not json" in content for content in contents)
    assert any("foretell.nonsense" in content for content in contents)
    assert stored_ids(store) == ["good"]


def test_pickles_are_never_opened(workers: StartWorkers, app: Celery, store: Store) -> None:
    """A message in another format than JSON is kept unread."""
    workers("ingest")
    app.send_task("foretell.ingest", kwargs={}, queue=INGEST_QUEUE, serializer="pickle")
    eventually(lambda: len(rejections(store)) == 1)
    assert "unreadable" in rejections(store)[0][1]


def test_a_killed_broker_loses_nothing(tmp_path: Path, settings: Settings) -> None:
    """Workers outlive a broker that is killed and started again, and so does every message."""
    broker = EmbeddedBroker(tmp_path / "mortal")
    url = broker.start()
    mortal = settings.model_copy(update={"broker_url": url})
    store = Store(settings.data)
    try:
        with WorkerProcesses(mortal, ["ingest"]), make_app(url) as app:
            for batch in range(40):
                send(app, [observation(f"{batch}-{n}") for n in range(100)])
            os.kill(broker.pid, signal.SIGKILL)
            broker.stop()
            assert broker.start() == url
            send(app, [observation("after")])
            eventually(lambda: len(stored_ids(store)) == 4001)
    finally:
        broker.stop()
