"""What the trainer finds out about answers, through a real channel and a real broker."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

import pytest
import redis

from foretell.anomalies import Anomaly, anomalies_key, to_json
from foretell.celery_settings import DECIDE_TASK, INGEST_QUEUE
from foretell.client import AsyncClient, Client
from foretell.corrections import CORRECTIONS_CHANNEL, Correction, Corrections, corrections_key
from foretell.errors import DeadlinePassed, InvalidInput, NotFound, Unavailable
from foretell.events import Event, publish
from foretell.live import LiveReport, LiveScore, Regression, live_key
from foretell.v1.monitoring_pb2 import ReplayRequest
from tests.integration.server.conftest import WAIT_S, RunningServer, StartServer, toy_request

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ANOMALIES = [
    Anomaly(
        workload="toy",
        observation_id=f"o{number}",
        time=NOW,
        reason="it cannot be",
        found_at=NOW,
        features={"kind": "big", "size": 3.0, "hot": True},
        metrics={"seconds": 0.5},
    )
    for number in range(250)
]
SCORE = LiveScore(
    metric="seconds",
    bundle_version="20260131T120000Z-0a1b2c3d",
    outcomes=50,
    coverage=0.7,
    median_ratio=1.4,
    median_error=0.3,
    crps=0.2,
    alarms=("drift", "coverage"),
)
REPORT = LiveReport(
    scores=(SCORE, SCORE.model_copy(update={"group": {"kind": "big"}, "is_shadow": True})),
    regressions=(
        Regression(
            metric="seconds",
            group={"kind": "big"},
            ratio=1.5,
            since=NOW,
            tag="v2",
            baseline_tag="v1",
            outcomes=20,
            baseline=100,
        ),
    ),
)


@pytest.fixture
def watched(start_server: StartServer, broker: str) -> RunningServer:
    """A server with a broker and one tiny bundle."""
    server = start_server(broker_url=broker)
    server.publish()
    return server


@pytest.fixture
def client(watched: RunningServer) -> Iterator[Client]:
    """A client of that server."""
    with Client(watched.address, timeout=WAIT_S) as client:
        yield client


@pytest.fixture
def store(broker: str) -> Iterator[redis.Redis]:
    """The broker, as the trainer writes to it."""
    with redis.Redis.from_url(broker) as connection:
        yield connection


def test_what_the_trainer_found_is_listed(client: Client, store: redis.Redis) -> None:
    """Open anomalies, live scores and regressions arrive as the trainer wrote them."""
    assert client.anomalies("toy") == []
    assert client.live_scores("toy") == []
    assert client.regressions("toy") == []
    store.set(anomalies_key("toy"), to_json(ANOMALIES))
    store.set(live_key("toy"), REPORT.model_dump_json())
    assert client.anomalies("toy") == ANOMALIES
    assert client.live_scores("toy") == [SCORE]
    assert client.live_scores("toy", groups=True) == list(REPORT.scores)
    assert client.regressions("toy") == list(REPORT.regressions)
    with pytest.raises(NotFound, match="nobody"):
        client.regressions("nobody")


def test_a_decision_waits_for_the_trainer(client: Client, store: redis.Redis) -> None:
    """Confirming and discarding are messages in the queue `ingest`, with who and why."""
    client.resolve_anomalies("toy", ["o1", "o2"], "discarded", reason="wrong clock", author="me")
    (raw,) = cast("list[bytes]", store.lrange(INGEST_QUEUE, 0, -1))
    message = json.loads(raw)
    assert message["headers"]["task"] == DECIDE_TASK
    _, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert kwargs["observation_ids"] == ["o1", "o2"]
    assert kwargs["decision"]["state"] == "discarded"
    assert kwargs["decision"]["why"] == "wrong clock"
    assert kwargs["decision"]["who"].startswith("me at ")


@pytest.mark.parametrize(
    ("ids", "resolution", "reason", "field"),
    [
        ((), "confirmed", "why", "observation_ids"),
        (("a",), "unsure", "why", "resolution"),
        (("a",), "confirmed", " ", "reason"),
    ],
)
def test_a_decision_that_says_too_little_is_refused(
    shared_server: RunningServer, ids: tuple[str, ...], resolution: str, reason: str, field: str
) -> None:
    """Ids, a resolution and a reason have to be there."""
    with Client(shared_server.address) as client, pytest.raises(InvalidInput, match=field):
        client.resolve_anomalies("toy", ids, resolution, reason=reason)  # type: ignore[arg-type]  # parametrised


def test_events_stream_from_the_past_into_the_present(client: Client, store: redis.Redis) -> None:
    """A watch begins with the last events asked for, and goes on with what happens."""
    old = [Event(workload="toy", kind="drift", message=f"old {i}") for i in range(3)]
    for event in old:
        publish(store, event)
    publish(store, Event(workload="other", kind="drift", message="not ours"))
    found = client.events("toy", last=2, timeout=WAIT_S)
    first = [next(found), next(found)]
    assert [event.message for event in first] == ["old 1", "old 2"]
    new = Event(
        workload="toy",
        kind="bias",
        metric="seconds",
        group={"kind": "big"},
        message="too low",
        numbers={"ratio": 1.5},
        bundle_version="20260131T120000Z-0a1b2c3d",
        recovered=True,
    )
    publish(store, new)
    heard = next(found)
    assert heard == new.model_copy(update={"id": heard.id})
    found.close()

    async def after(place: str) -> Event:
        async with AsyncClient(client._connection.address) as other:
            async for event in other.events(after=place, kinds=["bias"], timeout=WAIT_S):
                return event
        raise AssertionError

    assert asyncio.run(after(first[0].id)) == heard


def test_a_watch_ends_with_its_deadline_and_with_the_broker(shared_server: RunningServer) -> None:
    """Without a broker a watch says so; a bad question is refused."""
    with Client(shared_server.address, patience=0) as client:
        with pytest.raises((Unavailable, DeadlinePassed)):
            next(client.events(timeout=WAIT_S))
        with pytest.raises(InvalidInput, match="last"):
            next(client.events(last=-1))
        with pytest.raises(InvalidInput, match="colour"):
            next(client.events(kinds=["colour"]))  # type: ignore[list-item]  # the mistake that is tested


def test_an_answer_of_the_past_is_given_again(client: Client, watched: RunningServer) -> None:
    """By its id, an answer comes again with the same numbers, whoever answers now."""
    first = watched.predict(10.0)
    same = watched.predict(10.0)
    watched.publish(shift=1.0)
    newer = watched.predict(10.0)
    for answer in (first, same, newer):
        found = client._call(
            client._stubs.monitoring.Replay, ReplayRequest(prediction_id=answer.prediction_id), None
        )
        assert found.response == answer
        assert found.request == toy_request(10.0)
    assert first.metrics != newer.metrics
    replayed = client.replay(first.prediction_id)
    assert replayed.prediction.bundle_version == first.provenance.bundle_version
    assert replayed.features == {"size": 10.0, "kind": "big"}
    with pytest.raises(NotFound, match="prediction"):
        client.replay("0a0b-17")


def test_an_answer_is_replayed_with_the_corrections_of_its_time(
    client: Client, watched: RunningServer, store: redis.Redis
) -> None:
    """What recent outcomes corrected then is corrected again, though it is otherwise by now."""
    plain = watched.predict(10.0)
    answered = []
    for number in (1, 2):
        entry = Correction(("kind",), ("big",), (0.5 * number,) * 2, (1.0, 2.0))
        version = plain.provenance.bundle_version
        text = Corrections("toy", version, number, (entry,)).to_json()
        store.set(corrections_key("toy"), text)
        store.publish(CORRECTIONS_CHANNEL, "toy")
        while (answer := watched.predict(10.0)).provenance.correction != number:
            time.sleep(0.02)
        answered.append(answer)
    for answer in (plain, *answered):
        request = ReplayRequest(prediction_id=answer.prediction_id)
        found = client._call(client._stubs.monitoring.Replay, request, None)
        assert found.response == answer
        assert found.corrections_number == answer.provenance.correction
