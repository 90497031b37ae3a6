"""The worker of the queue `ingest`, as real processes that are really killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import psutil
import pytest
import yaml

from foretell.anomalies import anomalies_key, from_json
from foretell.broker import EmbeddedBroker
from foretell.celery_settings import DECIDE_TASK, INGEST_QUEUE
from foretell.cli.app import run
from foretell.events import EVENTS_KEY
from foretell.parcel import pack
from foretell.schema import Link
from foretell.settings import Settings
from foretell_trainer.anomalies.ledger import list_anomalies
from tests.integration.trainer.conftest import Place, eventually

pytestmark = pytest.mark.process

WORKER = "foretell_trainer.worker"
WRITTEN_DOWN = "foretell:worker:*:unacked_index"


def child_of(pid: int) -> int:
    (child,) = psutil.Process(pid).children()
    return child.pid


def test_messages_become_rows(standing: Place) -> None:
    """Observations that are sent are stored, each once, however often they are sent; and counted
    as new."""
    standing.send([standing.observation("a"), standing.observation("b")])
    standing.send([standing.observation("b"), standing.observation("c")])
    eventually(lambda: len(standing.stored_ids()) == 3)
    assert sorted(standing.stored_ids()) == ["a", "b", "c"]
    eventually(lambda: standing.client.get(f"foretell:new:{standing.workload}") == b"3")


def test_sigkill_in_the_middle_loses_and_doubles_nothing(place: Place) -> None:
    """A worker that is killed while it stores a message is replaced, and the message is stored:
    whether it is the process that stores or its parent, which took the message. Nothing of what
    the worker wrote down stays in the broker."""
    running = place.workers("ingest", program=WORKER)
    for stored, victim in ((50, child_of), (100, int)):
        with place.store.open():
            # The worker takes the message and then waits for the store, which is ours.
            place.send([place.observation(f"{stored}-{number}") for number in range(50)])
            eventually(lambda: place.held_messages() == 1)
            eventually(lambda: place.client.keys(WRITTEN_DOWN) != [])
            left = place.client.keys(WRITTEN_DOWN)
            os.kill(victim(running.pid("ingest")), signal.SIGKILL)
        eventually(lambda stored=stored: len(place.stored_ids()) == stored)  # type: ignore[misc]  # its default has a type
        eventually(place.all_done)
        assert len(set(place.stored_ids())) == len(place.stored_ids()) == stored
        eventually(lambda left=left: not place.client.exists(*left))  # type: ignore[misc]  # as above


def test_random_sigkills_under_load_lose_and_double_nothing(place: Place) -> None:
    """Whenever a worker is killed, all that was sent is stored once."""
    running = place.workers("ingest", program=WORKER)
    rng = random.Random(5)  # noqa: S311 -- no secret
    sent = [[place.observation(f"{batch}-{n}") for n in range(100)] for batch in range(45)]
    killed: list[int] = []

    def busy() -> bool:
        return running.pid("ingest") not in killed and place.held_messages() > 0

    for number, batch in enumerate(sent):
        place.send(pack(batch))
        if number % 15 == 14:
            eventually(busy)
            time.sleep(rng.uniform(0, 0.1))
            killed.append(running.pid("ingest"))
            os.kill(killed[-1], signal.SIGKILL)
    expected = {entry["id"] for batch in sent for entry in batch}
    eventually(place.all_done)
    eventually(lambda: len(place.stored_ids()) >= len(expected))
    assert sorted(place.stored_ids()) == sorted(expected)


def test_a_locked_store_delays_and_loses_nothing(standing: Place) -> None:
    """While somebody holds the store messages wait, and are stored when it is free."""
    with standing.store.open():
        for number in range(5):
            standing.send([standing.observation(f"o{number}")])
    eventually(lambda: len(standing.stored_ids()) == 5)


def test_bad_observations_are_kept_with_their_reasons(standing: Place) -> None:
    """What cannot be stored is in the rejected observations; the rest of its message is stored."""
    bad = standing.observation("bad", metrics={"seconds": -1})
    standing.send(pack([standing.observation("good"), bad]))
    standing.send(pack([standing.observation("lost")]), workload="nonsense")
    standing.send("not a list")
    standing.send([standing.observation("last")])
    eventually(lambda: "last" in standing.stored_ids())
    reasons = [reason for _, reason in standing.rejections()]
    assert sorted(standing.stored_ids()) == ["good", "last"]
    assert any("seconds" in reason for reason in reasons)
    assert any("WORKLOAD_NOT_FOUND" in reason for reason in reasons)
    assert len(reasons) == 3


def test_poison_is_buried_and_does_not_go_round(standing: Place) -> None:
    """A message that nobody can read is kept as rejected, and the worker goes on."""
    client, app = standing.client, standing.app
    client.lpush(INGEST_QUEUE, b"\xff not json")
    client.lpush(INGEST_QUEUE, b'{"body": "", "headers": {}, "properties": {}}')
    app.send_task("foretell.nonsense", queue=INGEST_QUEUE)
    app.send_task("foretell.ingest", args=(1, 2), kwargs={"unexpected": 3}, queue=INGEST_QUEUE)
    standing.send([standing.observation("good")])
    eventually(lambda: len(standing.rejections()) >= 3)
    eventually(standing.all_done)
    contents = [content for content, _ in standing.rejections()]
    assert any("not json" in content for content in contents)
    assert any("foretell.nonsense" in content for content in contents)
    assert standing.stored_ids() == ["good"]


def test_pickles_are_never_opened(standing: Place) -> None:
    """A message in another format than JSON is kept unread."""
    standing.app.send_task("foretell.ingest", kwargs={}, queue=INGEST_QUEUE, serializer="pickle")
    eventually(lambda: len(standing.rejections()) == 1)
    assert "unreadable" in standing.rejections()[0][1]


def test_a_killed_broker_loses_nothing(tmp_path: Path, settings: Settings) -> None:
    """Workers outlive a broker that is killed and started again, and so does every message."""
    broker = EmbeddedBroker(tmp_path / "mortal")
    url = broker.start()
    try:
        with Place(settings.model_copy(update={"broker_url": url})) as place:
            place.workers("ingest", program=WORKER)
            for batch in range(20):
                place.send([place.observation(f"{batch}-{n}") for n in range(100)])
            os.kill(broker.pid, signal.SIGKILL)
            broker.stop()
            assert broker.start() == url
            place.send([place.observation("after")])
            eventually(lambda: len(place.stored_ids()) == 2001)
    finally:
        broker.stop()


def test_a_worker_does_not_outlive_who_started_it(standing: Place) -> None:
    """A worker whose parent was killed while it was starting ends: beside the one that takes its
    place it would only hinder it."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    orphan = subprocess.run(
        [sys.executable, "-m", WORKER, "ingest", "orphan", str(gone.pid)],
        env=os.environ | standing.settings.as_environment(),
        check=False,
        timeout=120,
    )
    assert orphan.returncode == 0


def link_seconds_to_size(place: Place) -> None:
    """Declare that the workload's seconds are its size."""
    linked = place.schema.model_copy(
        update={"links": (Link(metric="seconds", factors={"size": 1.0}),)}
    )
    place.registry.register(yaml.safe_dump(linked.model_dump(mode="json")))


def shown(place: Place) -> list[str]:
    """Return the ids of the open anomalies that servers see."""
    text = cast("bytes | None", place.client.get(anomalies_key(place.workload)))
    return ["nothing yet"] if text is None else [a.observation_id for a in from_json(text)]


def test_what_cannot_be_is_shown_until_it_is_decided(standing: Place) -> None:
    """A broken identity is an event and an open anomaly; a decision that was sent closes it."""
    link_seconds_to_size(standing)
    good, wrong = {"seconds": 3.0, "kb": 7.0}, {"seconds": 99.0, "kb": 7.0}
    standing.send([standing.observation(f"o{n}", metrics=m) for n, m in enumerate((good, wrong))])
    eventually(lambda: shown(standing) == ["o1"])

    def told() -> bool:
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", standing.client.xrange(EVENTS_KEY))
        texts = [fields[b"event"].decode() for _, fields in entries]
        return any(standing.workload in text and "seconds is 99" in text for text in texts)

    # The event follows the list.
    eventually(told)
    decision = {"state": "confirmed", "who": "me", "why": "seen with my own eyes"}
    kwargs = {"workload": standing.workload, "observation_ids": ["o1"], "decision": decision}
    standing.app.send_task(DECIDE_TASK, kwargs=kwargs, queue=INGEST_QUEUE)
    eventually(lambda: shown(standing) == [])
    assert [a.decision for a in list_anomalies(standing.store, standing.workload)] == [
        "seen with my own eyes"
    ]


def test_files_are_told_as_messages_are(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `foretell ingest` stores itself counts as new, and shows what cannot be: at once where
    a broker is, else when a worker starts."""
    link_seconds_to_size(place)
    folders = ("--store", str(place.settings.data), "--registry", str(place.settings.registry))

    def ingest(name: str) -> int:
        file = tmp_path / f"{name}.csv"
        file.write_text(f"id,size,kind,seconds,kb\n{name}-good,3,big,3,7\n{name},3,big,99,7\n")
        return run(["ingest", place.workload, "--data", str(file), *folders])

    assert ingest("nobody there") == 0
    assert shown(place) == ["nothing yet"]
    place.workers("ingest", program=WORKER)
    eventually(lambda: shown(place) == ["nobody there"])
    monkeypatch.setenv("FORETELL_BROKER_URL", place.settings.broker_url)
    assert ingest("told") == 0
    assert shown(place) == ["told", "nobody there"]
    assert place.client.get(f"foretell:new:{place.workload}") == b"2"
