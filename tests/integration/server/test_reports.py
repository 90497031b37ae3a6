"""Observations through a real channel and a real broker, up to the trainer's queue."""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import redis
from google.protobuf.timestamp_pb2 import Timestamp

import foretell
from foretell.celery_settings import INGEST_QUEUE, INGEST_TASK
from foretell.client import Client
from foretell.observation import Observation
from foretell.parcel import unpack
from foretell.v1 import observation_pb2
from foretell_trainer.messages import check_messages
from tests.bundles import toy_schema
from tests.integration.server.conftest import WAIT_S, RunningServer, StartServer, toy_request


@pytest.fixture
def reporting(start_server: StartServer, broker: str) -> RunningServer:
    """A server with a broker and one tiny bundle."""
    server = start_server(broker_url=broker)
    server.publish()
    return server


def observed(name: str = "a", **changes: Any) -> observation_pb2.Observation:  # noqa: ANN401
    """Return an observation that can be learned from, changed as asked."""
    message = observation_pb2.Observation(
        id=name,
        workload="toy",
        observe_time=Timestamp(seconds=1_700_000_000, nanos=5_000_000),
        source="bench",
        metrics={"seconds": 2.5},
    )
    message.features["kind"].text = "big"
    message.features["size"].number = 3.0
    message.features["hot"].flag = True
    for field, value in changes.items():
        if isinstance(value, dict):
            getattr(message, field).clear()
            getattr(message, field).update(value)
        else:
            setattr(message, field, value)
    return message


def report(
    server: RunningServer, *observations: observation_pb2.Observation
) -> list[observation_pb2.Acknowledgement]:
    """Report and return what became of each."""
    request = observation_pb2.ReportRequest(observations=observations)
    return list(server.stubs.observation.Report(request, timeout=WAIT_S).acknowledgements)


def queued(broker: str) -> list[dict[str, Any]]:
    """Return the keyword arguments of the messages that wait for the trainer, oldest first."""
    with redis.Redis.from_url(broker) as client:
        raw = client.lrange(INGEST_QUEUE, 0, -1)
    messages = [json.loads(text) for text in reversed(raw)]
    assert {message["headers"]["task"] for message in messages} <= {INGEST_TASK}
    sent = [json.loads(base64.b64decode(message["body"]))[1] for message in messages]
    return [{**told, "observations": json.loads(unpack(told["observations"]))} for told in sent]


def test_accepted_observation_waits_in_the_broker(reporting: RunningServer, broker: str) -> None:
    """An acknowledged observation is in the broker, whole, as one message of the ingest queue."""
    (first, second) = report(reporting, observed("a"), observed("b"))
    assert (first.observation_id, second.observation_id) == ("a", "b")
    assert not first.HasField("rejection")
    (message,) = queued(broker)
    assert message["workload"] == "toy"
    stored = Observation.model_validate(message["observations"][0])
    assert stored.id == "a"
    assert stored.features == {"kind": "big", "size": 3.0, "hot": True}
    assert stored.metrics == {"seconds": 2.5}
    assert stored.time.timestamp() == pytest.approx(1_700_000_000.005)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"metrics": {"minutes": 1.0}}, "metrics[minutes]"),
        ({"metrics": {"seconds": math.nan}}, "metrics[seconds]"),
        ({"metrics": {"seconds": -1.0}}, "metrics[seconds]"),
        ({"metrics": {}}, "metrics"),
        ({"id": ""}, "id"),
        ({"workload": "nothing"}, "workload"),
        ({"outcome": 77}, "outcome"),
        ({"lower_bounds": {"seconds": 1.0}}, "lower_bounds"),
    ],
)
def test_bad_observation_is_rejected_alone_and_kept(
    reporting: RunningServer, broker: str, changes: dict[str, Any], field: str
) -> None:
    """A bad observation is acknowledged with its reason, the good ones beside it are accepted,
    and the trainer gets both, so that the rejected one is stored too."""
    good, bad = report(reporting, observed("good"), observed(**{"name": "bad", **changes}))
    assert not good.HasField("rejection")
    assert [v.field for v in bad.rejection.violations] == [field]
    assert bad.rejection.message
    sent = [o["id"] for message in queued(broker) for o in message["observations"]]
    assert sorted(sent) == sorted(["good", bad.observation_id])


def test_outcome_by_prediction_id(
    reporting: RunningServer, start_server: StartServer, broker: str
) -> None:
    """An outcome with only its answer's id has the answer's features: of an answer from the
    cache, of a stream and of another process too; answers that repeat are apart. One that was
    reported before is said to be, by another process as well."""
    ids = [reporting.predict(size).prediction_id for size in (5.0, 5.0, 6.0)]
    assert len(set(ids)) == 3
    streamed = reporting.stubs.prediction.PredictStream(
        iter([toy_request(7.0, correlation_id="first")]), timeout=WAIT_S
    )
    ids += [answer.prediction.prediction_id for answer in streamed]
    with Client(reporting.address) as client:
        outcomes = [
            {"workload": "toy", "prediction_id": name, "metrics": {"seconds": 1.0}} for name in ids
        ]
        acknowledged = client.report(outcomes)
        assert (acknowledged.accepted, acknowledged.already_reported) == (4, 0)
        reporting.stop()
    other = start_server(broker_url=broker)
    with Client(other.address) as client:
        killed = {"outcome": "timeout", "lower_bounds": {"seconds": 9.0}}
        last = client.report([{"workload": "toy", "prediction_id": ids[2], **killed}])
        assert str(last) == "1 accepted (1 already reported), 0 rejected"
    stored = [o for message in queued(broker) for o in message["observations"]]
    assert [o["features"] for o in stored] == [
        {"size": size, "kind": "big"} for size in (5.0, 5.0, 6.0, 7.0, 6.0)
    ]
    assert [o["id"] for o in stored] == [*ids, ids[2]]


def test_outcome_of_an_answer_that_is_not_known(reporting: RunningServer, broker: str) -> None:
    """An id that nobody gave rejects an outcome without features, in the server and in the
    trainer, and says why; one with features is accepted."""
    mine = reporting.predict().prediction_id
    unknown = [
        observed(name, features={}, prediction_id=name) for name in ("0a1b-1", "../x-1", "x")
    ]
    for rejected in report(reporting, *unknown):
        assert [v.field for v in rejected.rejection.violations] == ["prediction_id"]
        assert "report the outcome with the features" in rejected.rejection.message
    (sent,) = queued(broker)
    checked = check_messages(toy_schema(), sent["observations"])
    assert (len(checked.observations), len(checked.rejected)) == (0, 3)
    (accepted,) = report(reporting, observed("whole", prediction_id=mine))
    assert not accepted.HasField("rejection")


def test_server_and_trainer_reject_the_same(reporting: RunningServer, broker: str) -> None:
    """What the server rejects the trainer keeps as rejected, and it stores all the rest."""
    timeless = observed("timeless")
    timeless.ClearField("observe_time")
    empty = observed("empty")
    empty.features["hot"].Clear()
    wrong = observed("wrong")
    wrong.features["size"].number = math.inf
    batch = [
        observed("good"),
        timeless,
        empty,
        wrong,
        observed("unknown metric", metrics={"minutes": 1.0}),
        observed("nan", metrics={"seconds": math.nan}),
        observed("ended strangely", outcome=77),
    ]
    rejected = {a.observation_id for a in report(reporting, *batch) if a.HasField("rejection")}
    (message,) = queued(broker)
    checked = check_messages(toy_schema(), message["observations"])
    assert {row.observation_id for row in checked.rejected} == rejected
    assert checked.observations.column("observation_id").to_pylist() == ["good"]


def test_bad_feature_and_missing_time_are_named(reporting: RunningServer) -> None:
    """Each mistake of an observation is a violation of its own, by the name in the proto."""
    wrong = observed("wrong")
    wrong.features["size"].text = "large"
    (rejected,) = report(reporting, wrong)
    assert [v.field for v in rejected.rejection.violations] == ["features[size]"]
    timeless = observed("timeless")
    timeless.ClearField("observe_time")
    (rejected,) = report(reporting, timeless)
    assert [v.field for v in rejected.rejection.violations] == ["observe_time"]
    early = observed("early")
    early.observe_time.seconds = int(time.time()) + 2 * 86_400
    (rejected,) = report(reporting, early)
    assert [v.field for v in rejected.rejection.violations] == ["observe_time"]
    assert "in the future" in rejected.rejection.message


def test_killed_run_is_taken_with_its_lower_bounds(reporting: RunningServer, broker: str) -> None:
    """A run that was killed is an observation with lower bounds and without the metric."""
    killed = observed("killed", metrics={}, lower_bounds={"seconds": 9.0})
    killed.outcome = observation_pb2.OUTCOME_TIMEOUT
    (acknowledged,) = report(reporting, killed)
    assert not acknowledged.HasField("rejection")
    stored = Observation.model_validate(queued(broker)[0]["observations"][0])
    assert stored.outcome == "timeout"
    assert stored.lower_bounds == {"seconds": 9.0}


def test_stream_answers_each_batch_in_order(reporting: RunningServer, broker: str) -> None:
    """ReportStream answers each batch in its place."""

    def batches() -> Iterator[observation_pb2.ReportRequest]:
        for i in range(5):
            yield observation_pb2.ReportRequest(
                observations=[observed(f"{i}.0"), observed(f"{i}.1")]
            )

    answers = list(reporting.stubs.observation.ReportStream(batches(), timeout=WAIT_S))
    named = [[a.observation_id for a in answer.acknowledgements] for answer in answers]
    assert named == [[f"{i}.0", f"{i}.1"] for i in range(5)]
    assert len(queued(broker)) == 5


def test_empty_and_too_large_reports_are_refused(start_server: StartServer, broker: str) -> None:
    """A batch of no observations, or above max_rows_per_call, is INVALID_ARGUMENT."""
    server = start_server(broker_url=broker, max_rows_per_call=2)
    for batch in ([], [observed(str(i)) for i in range(3)]):
        with pytest.raises(grpc.RpcError) as caught:
            report(server, *batch)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_without_a_broker_nothing_is_acknowledged(shared_server: RunningServer) -> None:
    """With the broker down Report is UNAVAILABLE, not late, and predictions go on."""
    with pytest.raises(grpc.RpcError) as caught:
        shared_server.channel.unary_unary(
            "/foretell.v1.ObservationService/Report",
            request_serializer=observation_pb2.ReportRequest.SerializeToString,
        )(observation_pb2.ReportRequest(observations=[observed()]), timeout=WAIT_S)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert shared_server.predict().metrics


def test_the_client_reports(reporting: RunningServer, broker: str) -> None:
    """foretell.Client reports observations and gets one acknowledgement each."""
    run = {"workload": "toy", "features": {"kind": "big"}}
    with foretell.Client(reporting.address) as client:
        acknowledged = client.report(
            [
                {**run, "metrics": {"seconds": 1.0}},
                {**run, "metrics": {"seconds": -1.0}},
            ]
        )
    assert [a.accepted for a in acknowledged] == [True, False]
    assert len(queued(broker)[0]["observations"]) == 2
