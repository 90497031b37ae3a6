"""The synchronous client against a real server that answers by fixed rules."""

from __future__ import annotations

import itertools
import math
import pickle
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

import foretell
from foretell.client import Client, Cost, Tls
from foretell.client.columns import Table
from foretell.client.requests import Features
from foretell.errors import (
    Cancelled,
    DeadlinePassed,
    ForetellError,
    InvalidInput,
    NotFound,
    Unavailable,
)
from foretell.observation import Observation
from foretell.v1 import model_pb2

if TYPE_CHECKING:
    from tests.unit.client.conftest import FixedServer

ADMIT = "let-me-in"
ITEM = {"function": "fib", "argument": 3}


@pytest.fixture
def client(server: FixedServer) -> Iterator[Client]:
    """A client of the fixed server."""
    with Client(server.address) as connected:
        yield connected


def test_package_exports_the_clients_lazily() -> None:
    """`foretell.Client` is the client."""
    assert foretell.Client is Client


class TestPredict:
    def test_answer_is_typed_and_metrics_are_attributes(self, client: Client) -> None:
        """A metric is an attribute and an item, with everything that was asked for."""
        prediction = client.predict(
            "rules",
            ITEM,
            quantiles=[0.99],
            interval_level=0.9,
            deadlines={"duration_s": [5, 7.5]},
            costs={"duration_s": Cost(under=3, over=1)},
        )
        forecast = prediction.duration_s
        assert forecast is prediction["duration_s"]
        assert list(prediction) == ["duration_s"]
        assert (forecast.median, forecast.unit, forecast.confidence) == (6, "s", 0.9)
        assert forecast.interval.level == 0.9
        assert 6 in forecast.interval
        assert 7 not in forecast.interval
        assert forecast.quantiles[0.99] == pytest.approx(6 * 1.49)
        assert forecast.deadlines == {5: 0, 7.5: 1}
        assert forecast.reservations[0].level == 0.75
        assert (prediction.tier, prediction.support) == ("warm", 0.75)
        assert prediction.groups[0].training_rows == 12

    def test_defaults_are_left_to_the_server(self, client: Client, server: FixedServer) -> None:
        """What is not asked is not sent, so the server's documented defaults hold."""
        client.predict("rules", ITEM)
        assert server.seen[0].options.ListFields() == []

    def test_values_travel_as_their_kind(self, client: Client, server: FixedServer) -> None:
        """Numbers, texts and flags, numpy's too, keep their kind; None is left out."""
        features = {
            "argument": np.float32(2),
            "count": np.int64(7),
            "flag": np.bool_(True),
            "plain": False,
            "function": "fib",
            "absent": None,
        }
        client.predict("rules", features)
        kinds = {name: v.WhichOneof("kind") for name, v in server.seen[0].features.items()}
        assert kinds == {
            "argument": "number",
            "count": "number",
            "flag": "flag",
            "plain": "flag",
            "function": "text",
        }

    def test_value_that_cannot_travel_is_named(self, client: Client) -> None:
        """Every feature of a wrong type is named before anything is sent."""
        with pytest.raises(InvalidInput) as caught:
            client.predict("rules", {"argument": [1], "size": 10**400, "function": "\ud800"})
        fields = [violation.field for violation in caught.value.violations]
        assert fields == ["features[argument]", "features[size]", "features[function]"]

    def test_unknown_keyword_is_a_type_error(self, client: Client) -> None:
        """A mistyped option is refused, not ignored."""
        with pytest.raises(TypeError, match="'quantile'; one of metrics, quantiles"):
            client.predict("rules", ITEM, quantile=[0.9])  # type: ignore[call-arg]  # the mistake that is tested

    def test_printed_answer_is_a_short_table(self, client: Client) -> None:
        """An answer prints the numbers, what they rest on, and whether to trust them."""
        answer = client.predict(
            "rules", {"argument": 3, "function": "new"}, quantiles=[0.99], support_floor=0.9
        )
        assert str(answer).splitlines() == [
            "rules, bundle 20250131T120000Z-0a1b2c3d, warm, support 0.75, never seen: function, "
            "insufficient evidence: support 0.75 is below 0.9",
            "metric      median  80 % interval  99 %  confidence",
            "duration_s  6 s     [5.4, 6.6]     8.94  0.90",
        ]
        assert "<td>[5.4, 6.6]</td>" in answer._repr_html_()

    def test_answer_can_be_pickled(self, client: Client) -> None:
        """Answers are plain values: they go to other processes and stay equal."""
        answer = client.predict("rules", ITEM, quantiles=[0.5])
        assert pickle.loads(pickle.dumps(answer)) == answer  # noqa: S301
        with pytest.raises(AttributeError, match="no metric or attribute 'memory_kb'"):
            answer.memory_kb  # noqa: B018


class TestConnection:
    def test_unavailable_is_retried(self, server: FixedServer) -> None:
        """Unavailable is repeated, more often than gRPC does by itself, and then succeeds."""
        server.faults.extend([grpc.StatusCode.UNAVAILABLE] * 6)
        with Client(server.address, timeout=60, patience=30) as client:
            assert client.predict("rules", ITEM).duration_s.median == 6
        assert len(server.seen) == 7

    def test_unavailable_that_a_server_explains_is_not_waited_out(
        self, client: Client, server: FixedServer
    ) -> None:
        """A server that is there and says what it misses is asked five times and believed."""
        with pytest.raises(Unavailable, match="the broker is unavailable: gone"):
            client.predict("brokerless", ITEM)
        assert len(server.seen) == 5

    def test_other_failures_are_not_retried(self, client: Client, server: FixedServer) -> None:
        """Only UNAVAILABLE is repeated: an internal error reaches the caller at once."""
        server.faults.append(grpc.StatusCode.INTERNAL)
        with pytest.raises(ForetellError, match="a fault that the test asked for") as caught:
            client.predict("rules", ITEM)
        assert (type(caught.value), caught.value.reason) == (ForetellError, "INTERNAL")
        assert len(server.seen) == 1

    def test_no_server_is_unavailable_and_named(self) -> None:
        """With nobody listening, the error says where."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        with Client(address, patience=0) as client, pytest.raises(Unavailable, match=address):
            client.predict("rules", ITEM)

    def test_every_call_has_a_deadline(self, server: FixedServer) -> None:
        """The client's timeout is the deadline of each call, streams have their own."""
        with Client(server.address, timeout=700, stream_timeout=9000) as client:
            client.predict("rules", ITEM)
            client.predict("rules", ITEM, timeout=300)
            list(client.stream("rules", [ITEM]))
            client.predict("rules", ITEM, timeout=math.inf)
        # Some of it is over when the server looks; without a deadline it says centuries.
        assert server.time_remaining == [
            pytest.approx(700, abs=60),
            pytest.approx(300, abs=60),
            pytest.approx(9000, abs=60),
            pytest.approx(1e19, rel=1),
        ]

    def test_deadline_that_passes_is_an_error_with_the_limit(self, client: Client) -> None:
        """A server that does not answer in time raises DeadlinePassed with the time given."""
        with pytest.raises(DeadlinePassed, match=r"within 0\.3 s"):
            client.predict("endless", ITEM, timeout=0.3)

    def test_token_travels_with_every_call(self, server: FixedServer) -> None:
        """The token is sent as a bearer token, and never shown."""
        with Client(server.address, token=ADMIT) as client:
            client.predict("rules", ITEM)
            list(client.stream("rules", [ITEM]))
            assert ADMIT not in repr(client) + repr(vars(client))
        assert [m["authorization"] for m in server.metadata] == [f"Bearer {ADMIT}"] * 2

    @pytest.mark.parametrize(
        "address", ["scheduler.example:50051", "dns:///10.0.0.1:1", "[2001:db8::1]:1", "10.0.0.1"]
    )
    def test_token_is_not_sent_in_the_clear(self, address: str) -> None:
        """A token to another machine wants TLS, or the caller's word that it is meant."""
        with pytest.raises(InvalidInput, match="unencrypted"):
            Client(address, token=ADMIT)
        Client(address, token=ADMIT, insecure=True).close()
        Client(address, token=ADMIT, tls=True).close()

    @pytest.mark.parametrize(
        "address", ["localhost:1", "127.0.0.2:1", "[::1]:1", "unix:/run/f", "ipv4:127.0.0.1:1"]
    )
    def test_token_may_travel_within_the_machine(self, address: str) -> None:
        """A token to this machine needs no TLS."""
        Client(address, token=ADMIT).close()

    def test_certificate_that_cannot_be_read_is_named(self) -> None:
        """A missing certificate file is named with its option."""
        with pytest.raises(InvalidInput, match=r"tls\.ca_file: cannot be read"):
            Client("localhost:1", tls=Tls(ca_file="/nowhere/ca.pem"))

    def test_health_is_read_from_the_standard_service(self, client: Client) -> None:
        """Health speaks to the real grpc.health.v1 service, per name."""
        assert client.health() == "SERVING"
        assert client.health("rules") == "SERVING"
        assert client.health("untrained") == "NOT_SERVING"
        with pytest.raises(NotFound):
            client.health("nobody")


class TestErrors:
    def test_server_error_comes_back_as_its_class(self, client: Client) -> None:
        """The class, the message and the reason of the server's error survive the way."""
        with pytest.raises(NotFound, match="no workload named 'other'; known: rules") as caught:
            client.predict("other", ITEM)
        assert caught.value.reason == "WORKLOAD_NOT_FOUND"

    def test_field_violations_are_kept(self, client: Client) -> None:
        """Each field violation of the server is a violation of the error."""
        with pytest.raises(InvalidInput) as caught:
            client.predict("rules", {"function": "fib"})
        (violation,) = caught.value.violations
        assert (violation.field, violation.message) == ("argument", "is required")


class TestPredictMany:
    @pytest.mark.parametrize(
        "table",
        [
            {"function": ["a", "b", "a"], "argument": [1, 2.5, 3]},
            {"function": np.array(["a", "b", "a"]), "argument": np.array([1, 2.5, 3])},
            [
                {"function": "a", "argument": 1},
                {"function": "b", "argument": 2.5},
                {"argument": 3, "function": "a"},
            ],
        ],
        ids=["lists", "arrays", "rows"],
    )
    def test_tables_of_any_form_are_answered_in_columns(
        self, client: Client, table: Table, server: FixedServer
    ) -> None:
        """Columns as lists, arrays or rows give the same packed request and arrays back."""
        predictions = client.predict_many("rules", table, quantiles=[0.99])
        assert predictions.duration_s.median.tolist() == [2, 5, 6]
        assert predictions.duration_s.quantiles[0.99] == pytest.approx([2.98, 7.45, 8.94])
        assert predictions.tiers.tolist() == ["cold", "warm", "warm"]
        assert predictions.groups["function",].tolist() == [0, 1, 2]
        assert not predictions.abstained.any()
        columns = {column.name: column for column in server.seen[0].columns}
        assert list(columns["function"].texts.dictionary) == ["a", "b"]
        assert columns["function"].texts.raw_indices == bytes([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
        assert columns["function"].validity == b""

    def test_missing_values_are_marked(self, client: Client, server: FixedServer) -> None:
        """None and masked values are missing; a column without any value is left out."""
        table: Table = {
            "argument": [1, 2, 3],
            "function": ["a", None, "b"],
            "warm": [True, None, False],
            "size": [None, 2, 3],
            "other": np.ma.masked_invalid([1.0, np.nan, 3.0]),
            "nothing": [None, None, None],
        }
        client.predict_many("rules", table)
        columns = {column.name: column for column in server.seen[0].columns}
        assert columns.keys() == {"argument", "function", "warm", "size", "other"}
        assert columns["function"].validity == bytes([0b101])
        assert columns["warm"].validity == bytes([0b101])
        assert columns["size"].validity == bytes([0b110])
        assert columns["other"].validity == bytes([0b101])

    def test_long_tables_are_cut_into_calls(self, client: Client, server: FixedServer) -> None:
        """100,000 rows become several small calls and one answer, rows in order."""
        arguments = np.arange(1, 100_001, dtype=np.float64)
        predictions = client.predict_many("rules", {"argument": arguments})
        assert len(server.seen) > 5
        assert max(request.ByteSize() for request in server.seen) < 3_000_000
        assert np.array_equal(predictions.duration_s.median, 2 * arguments)
        assert predictions.bundle_versions == tuple(f"v{i + 1}" for i in range(len(server.seen)))
        starts = [chunk.first_row for chunk in predictions.chunks]
        assert predictions.unknown_features["function"].tolist() == starts
        row = predictions[starts[1] + 5]
        assert (row.bundle_version, row.prediction_id) == ("v2", "b2/5")
        assert row.duration_s.median == 2 * (starts[1] + 6)
        assert predictions[starts[1]].unknown_features == ("function",)
        assert row.unknown_features == ()
        assert predictions[-1].duration_s.median == 200_000

    def test_violations_count_rows_from_the_start_of_the_table(self, client: Client) -> None:
        """A bad row far down is named by its place in the caller's table, not in a chunk."""
        arguments = np.ones(20_000)
        arguments[15_000] = np.nan
        with pytest.raises(InvalidInput) as caught:
            client.predict_many("rules", {"argument": arguments})
        assert caught.value.violations[0].field == "columns[argument][15000]"

    def test_columns_that_cannot_travel_are_named(self, client: Client) -> None:
        """Columns of mixed kinds or other lengths are refused before anything is sent."""
        table: Table = {"argument": [1, "two"], "function": ["a"], "flag": [True, 1]}
        with pytest.raises(InvalidInput) as caught:
            client.predict_many("rules", table)
        fields = [violation.field for violation in caught.value.violations]
        assert fields == ["columns[function]", "columns[argument]", "columns[flag]"]

    def test_flat_columns_and_print(self, client: Client) -> None:
        """The answer is a flat table for data frames, and prints its first rows."""
        predictions = client.predict_many("rules", {"argument": [1] * 12}, quantiles=[0.995])
        assert list(predictions.columns()) == [
            "duration_s",
            "duration_s_lower",
            "duration_s_upper",
            "duration_s_confidence",
            "duration_s_p99.5",
            "support",
            "tier",
        ]
        text = str(predictions).splitlines()
        assert text[0] == "rules, 12 rows, bundle v1"
        assert text[1].split("  ")[0] == "row"
        assert text[-1] == "... 4 more rows"
        assert len(list(predictions)) == 12


class TestStream:
    def test_answers_come_in_order(self, client: Client) -> None:
        """A flood of items is answered one by one and in order."""
        items = [{"argument": i} for i in range(3000)]
        medians = [answer.prediction.duration_s.median for answer in client.stream("rules", items)]
        assert medians == [2 * i for i in range(3000)]

    def test_bad_items_do_not_end_the_stream(self, client: Client) -> None:
        """A refused item has its error in its place, whether the server or the client refused."""
        items: list[Features] = [{"argument": 1}, {}, {"argument": object()}, {"argument": 4}]
        answers = list(client.stream("rules", items))
        assert [answer.index for answer in answers] == [0, 1, 2, 3]
        assert [answer.error is None for answer in answers] == [True, False, False, True]
        with pytest.raises(InvalidInput, match="is required"):
            answers[1].prediction  # noqa: B018
        with pytest.raises(InvalidInput, match="object is not allowed"):
            answers[2].prediction  # noqa: B018
        assert answers[3].prediction.duration_s.median == 8

    def test_items_are_taken_as_answers_are(self, client: Client) -> None:
        """An endless producer is held back: it stays a bounded number ahead of the consumer."""
        taken = 0

        def endless() -> Iterator[dict[str, int]]:
            nonlocal taken
            for taken in itertools.count(1):
                yield {"argument": taken}

        stream = client.stream("rules", endless())
        for _ in range(1000):
            next(stream)
        assert 1000 <= taken <= 1000 + 257

    def test_leaving_early_ends_the_call(self, client: Client, server: FixedServer) -> None:
        """Closing the iterator cancels the call on the server."""
        stream = client.stream("rules", ({"argument": i} for i in itertools.count()))
        next(stream)
        stream.close()  # type: ignore[attr-defined]  # it is a generator
        assert server.stream_ended.wait(60)

    def test_error_of_the_producer_reaches_the_consumer(self, client: Client) -> None:
        """What the item iterator raises is raised to the caller, after the answers before it."""

        def failing() -> Iterator[dict[str, int]]:
            yield {"argument": 1}
            raise KeyError("lost")

        stream = client.stream("rules", failing())
        assert next(stream).prediction.duration_s.median == 2
        with pytest.raises(KeyError, match="lost"):
            next(stream)

    def test_server_that_hangs_up_is_noticed(self, client: Client) -> None:
        """A stream that the server ends too early is an error, even with a silent producer."""
        release = threading.Event()

        def silent() -> Iterator[dict[str, int]]:
            yield {"argument": 1}
            release.wait()

        with pytest.raises(Unavailable, match="before its last answer"):
            list(client.stream("goodbye", silent()))
        release.set()

    def test_broken_stream_raises_its_status(self, client: Client, server: FixedServer) -> None:
        """A status that ends the stream becomes its error class."""
        server.faults.append(grpc.StatusCode.RESOURCE_EXHAUSTED)
        with pytest.raises(ForetellError) as caught:
            list(client.stream("rules", [ITEM]))
        assert caught.value.status == "RESOURCE_EXHAUSTED"


class TestReport:
    def test_each_observation_is_acknowledged_or_rejected(
        self, client: Client, server: FixedServer
    ) -> None:
        """Acknowledgements come in order and rejections carry their reason."""
        noon = datetime(2025, 1, 31, 12, tzinfo=UTC)
        observation = Observation(
            id="a",
            workload="rules",
            time=noon,
            outcome="timeout",
            features={"argument": 1.5, "fuel": True},
            lower_bounds={"duration_s": 10},
        )
        acks = client.report(
            [
                observation,
                {"workload": "rules", "id": "b", "metrics": {"duration_s": np.float64(-1)}},
            ]
        )
        assert [ack.observation_id for ack in acks] == ["a", "b"]
        assert (acks.accepted, len(acks)) == (1, 2)
        assert acks.rejected[0].violations[0].field == "metrics[duration_s]"
        assert str(acks) == "1 accepted, 1 rejected\n  b: metrics[duration_s]: -1 is not above 0"
        sent = server.seen[0].observations[0]
        assert sent.observe_time.ToDatetime(tzinfo=UTC) == noon
        assert (sent.outcome, sent.lower_bounds["duration_s"]) == (2, 10)
        assert sent.features["fuel"].WhichOneof("kind") == "flag"

    def test_long_reports_are_cut_into_calls(self, client: Client, server: FixedServer) -> None:
        """Observations without ids get one each; long reports are cut into calls."""
        acks = client.report(
            {"workload": "rules", "metrics": {"duration_s": i}} for i in range(2500)
        )
        assert len({ack.observation_id for ack in acks}) == 2500
        assert [len(request.observations) for request in server.seen] == [1000, 1000, 500]

    def test_what_is_no_observation_is_named(self, client: Client) -> None:
        """A wrong outcome, an unknown field and a time without a zone are named with the place."""
        bad = {
            "workload": "rules",
            "outcome": "exploded",
            "time": "2025-01-31T12:00:00",
            "colour": 1,
        }
        with pytest.raises(InvalidInput) as caught:
            client.report([{"workload": "rules"}, bad])
        fields = {violation.field for violation in caught.value.violations}
        assert fields == {
            "observations[1].outcome",
            "observations[1].time",
            "observations[1].colour",
        }


RUNNING = model_pb2.Job(
    id="j1",
    workload="rules",
    state=model_pb2.JOB_STATE_RUNNING,
    stage="fit",
    fraction_done=0.5,
    numbers={"rows": 100},
)
SUCCEEDED = model_pb2.Job(id="j1", state=model_pb2.JOB_STATE_SUCCEEDED, bundle_version="v2")


class TestModels:
    def test_retrain_returns_at_once(self, client: Client, server: FixedServer) -> None:
        """Without wait the job is queued; each call has a request id so that retries are safe."""
        assert client.retrain("rules").state == "QUEUED"
        client.retrain("rules", request_id="mine")
        assert len(server.seen[0].request_id) >= 32
        assert server.seen[1].request_id == "mine"

    def test_waiting_reports_progress(self, client: Client, server: FixedServer) -> None:
        """With wait the finished job is returned, and progress is reported on the way."""
        server.job = [RUNNING, RUNNING, SUCCEEDED]
        steps: list[str] = []
        done = client.retrain("rules", on_progress=lambda j: steps.append(str(j)))
        assert (done.state, done.bundle_version, done.done) == ("SUCCEEDED", "v2", True)
        assert steps == ["job j1, rules, running, fit (50 %), rows 100", str(done)]

    def test_broken_watch_is_opened_again(self, client: Client, server: FixedServer) -> None:
        """A watch whose connection breaks goes on where it was, without telling a state twice."""
        server.job = [RUNNING, grpc.StatusCode.UNAVAILABLE, SUCCEEDED]
        assert [j.state for j in client.watch("j1")] == ["RUNNING", "SUCCEEDED"]
        assert len(server.seen) == 2

    def test_failed_job_raises_its_error(self, client: Client, server: FixedServer) -> None:
        """Waiting for a job that fails raises why; a cancelled one raises Cancelled."""
        failed = model_pb2.Job(id="j1", state=model_pb2.JOB_STATE_FAILED)
        failed.error.code, failed.error.message = 9, "no observations to train on"
        server.job = [failed]
        with pytest.raises(ForetellError, match="no observations to train on"):
            client.retrain("rules", wait=True)
        server.job = [model_pb2.Job(id="j1", state=model_pb2.JOB_STATE_CANCELLED)]
        with pytest.raises(Cancelled, match="job j1 was cancelled"):
            client.retrain("rules", wait=5.0)

    def test_pages_are_followed(self, client: Client) -> None:
        """Lists come whole, however the server pages them."""
        assert [bundle.version for bundle in client.bundles("rules")] == ["v0", "v1", "v2"]

    def test_schema_is_typed_and_prints(self, client: Client) -> None:
        """A schema has typed features, absent limits are None, and it prints as a table."""
        schema = client.schema("rules")
        (feature,) = schema.features
        assert (feature.kind, feature.scale, feature.minimum, feature.maximum) == (
            "number",
            "log",
            0,
            None,
        )
        assert schema.groups == (("function",),)
        assert str(schema).splitlines()[0] == "rules: By rule"
        assert "duration_s" in str(schema)
