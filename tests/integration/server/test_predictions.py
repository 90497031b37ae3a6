"""Forecasts through a real channel: unary, stream, batch; named and packed."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator

import grpc
import numpy as np
import pytest

import foretell
from foretell.v1 import common_pb2, prediction_pb2
from tests.integration.server.conftest import WAIT_S, RunningServer, toy_request

Options = prediction_pb2.ForecastOptions
BatchRequest = prediction_pb2.PredictBatchRequest


def test_answer_has_all_that_the_proto_promises(shared_server: RunningServer) -> None:
    """By default each metric has median, 80 % interval, confidence, support and its provenance."""
    answer = shared_server.predict(10.0)
    assert [m.metric for m in answer.metrics] == ["seconds", "kb"]
    seconds = answer.metrics[0]
    assert seconds.unit == "unit of seconds"
    assert seconds.median == pytest.approx(10.0, rel=1e-5)
    assert seconds.interval.level == pytest.approx(0.8)
    assert seconds.interval.lower == pytest.approx(10 * math.exp(-0.1282), rel=1e-5)
    assert seconds.interval.upper == pytest.approx(10 * math.exp(0.1282), rel=1e-5)
    assert 0.9 < seconds.confidence < 1.0
    assert seconds.support == pytest.approx(1.0)
    assert not seconds.abstained
    assert answer.provenance.workload == "toy"
    assert answer.provenance.bundle_version
    assert answer.provenance.tier == common_pb2.TIER_WARM
    assert [(list(g.features), g.training_rows) for g in answer.provenance.groups] == [
        (["kind"], 100)
    ]


def test_prediction_ids_are_unique(shared_server: RunningServer) -> None:
    """Each answer has a name of its own."""
    names = {shared_server.predict().prediction_id for _ in range(10)}
    assert len(names) == 10


def test_questions_are_answered_from_one_distribution(shared_server: RunningServer) -> None:
    """Quantiles, deadlines and costs are answered in the order asked, and agree."""
    options = Options(
        metrics=["kb"],
        quantiles=[0.9, 0.25],
        deadlines=[prediction_pb2.DeadlineQuestion(metric="kb", value=10.0)],
        costs=[prediction_pb2.CostQuestion(metric="kb", under_cost=9, over_cost=1)],
    )
    (kb,) = shared_server.predict(10.0, options=options).metrics
    assert [q.level for q in kb.quantiles] == [0.9, 0.25]
    assert kb.quantiles[0].value > kb.median > kb.quantiles[1].value
    assert kb.deadlines[0].probability == pytest.approx(0.5, abs=1e-6)
    assert kb.reservations[0].level == pytest.approx(0.9)
    assert kb.reservations[0].value == pytest.approx(kb.quantiles[0].value)
    assert kb.interval.upper == pytest.approx(kb.quantiles[0].value)


def test_floor_makes_it_abstain(shared_server: RunningServer) -> None:
    """Below the support floor the answer says that evidence is insufficient, numbers beside."""
    request = toy_request(options=Options(support_floor=0.5))
    request.features["kind"].text = "gigantic"
    metric = shared_server.stubs.prediction.Predict(request).metrics[0]
    assert metric.abstained
    assert "insufficient evidence" in metric.abstention_reason
    assert metric.median > 0


def test_stream_answers_in_order_and_survives_a_bad_item(shared_server: RunningServer) -> None:
    """PredictStream answers each item in its place; a bad one gets an error, the rest go on."""

    def requests() -> Iterator[prediction_pb2.PredictRequest]:
        for i in range(1, 200):
            request = toy_request(float(i), correlation_id=str(i))
            if i % 10 == 0:
                request.features["size"].number = -1
            if i % 25 == 0:
                request.workload = "nothing"
            yield request

    answers = list(shared_server.stubs.prediction.PredictStream(requests(), timeout=WAIT_S))
    assert [a.correlation_id for a in answers] == [str(i) for i in range(1, 200)]
    for i, answer in enumerate(answers, 1):
        if i % 25 == 0:
            assert answer.error.code == grpc.StatusCode.NOT_FOUND.value[0]
        elif i % 10 == 0:
            assert answer.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
            assert "features[size]" in answer.error.message
        else:
            assert answer.prediction.metrics[0].median == pytest.approx(i, rel=1e-5)


def test_stream_survives_bytes_that_are_no_message(shared_server: RunningServer) -> None:
    """Malformed bytes in a stream are answered with an error, and the stream goes on."""
    call = shared_server.channel.stream_stream(
        "/foretell.v1.PredictionService/PredictStream",
        response_deserializer=prediction_pb2.PredictStreamResponse.FromString,
    )
    good = toy_request(3.0).SerializeToString()
    answers = list(call(iter([good, b"\xff", good]), timeout=WAIT_S))
    assert [a.WhichOneof("result") for a in answers] == ["prediction", "error", "prediction"]
    assert answers[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def columns(sizes: np.ndarray, *, raw: bool) -> list[common_pb2.Column]:
    """Return sizes and kinds, every third kind unknown, packed in one of the two forms."""
    indices = np.arange(len(sizes)) % 3
    names = ["big", "small", "gigantic"]
    if raw:
        return [
            common_pb2.Column(name="size", numbers={"raw": sizes.astype("<f8").tobytes()}),
            common_pb2.Column(
                name="kind",
                texts={"dictionary": names, "raw_indices": indices.astype("<u4").tobytes()},
            ),
        ]
    return [
        common_pb2.Column(name="size", numbers={"values": sizes.tolist()}),
        common_pb2.Column(name="kind", texts={"dictionary": names, "indices": indices.tolist()}),
    ]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("rows", [1, 32, 33, 64, 65, 9000])
def test_batch_is_the_same_as_one_by_one(
    shared_server: RunningServer, rows: int, raw: bool
) -> None:
    """A batch answers each row as Predict does, in either encoding, whatever its size."""
    sizes = np.linspace(1, 100, rows)
    request = BatchRequest(
        workload="toy",
        columns=columns(sizes, raw=raw),
        row_count=rows,
        encoding=common_pb2.ENCODING_RAW if raw else common_pb2.ENCODING_PACKED,
        options=Options(quantiles=[0.99], support_floor=0.5),
    )
    answer = shared_server.stubs.prediction.PredictBatch(request, timeout=WAIT_S)
    seconds = answer.metrics[0]

    def values(column: common_pb2.Numbers) -> np.ndarray:
        return np.frombuffer(column.raw, "<f8") if raw else np.array(column.values)

    np.testing.assert_allclose(values(seconds.median), sizes, rtol=1e-5)
    assert answer.row_count == rows
    unknown = [row for row in range(rows) if row % 3 == 2]
    if unknown:
        assert answer.unknown_features[0].feature == "kind"
        assert list(answer.unknown_features[0].rows) == unknown
    tiers = list(answer.raw_tiers) if raw else list(answer.tiers)
    flags = list(answer.abstained.raw) if raw else list(answer.abstained.values)
    assert tiers == [4 if row in set(unknown) else 2 for row in range(rows)]
    assert flags == [row in set(unknown) for row in range(rows)]

    one = toy_request(float(sizes[-1]), options=Options(quantiles=[0.99]))
    one.features["kind"].text = ["big", "small", "gigantic"][(rows - 1) % 3]
    alone = shared_server.stubs.prediction.Predict(one).metrics[0]
    assert values(seconds.lower)[-1] == pytest.approx(alone.interval.lower)
    assert values(seconds.upper)[-1] == pytest.approx(alone.interval.upper)
    assert values(seconds.confidence)[-1] == pytest.approx(alone.confidence)
    assert values(seconds.quantiles[0].values)[-1] == pytest.approx(alone.quantiles[0].value)


def test_validity_marks_missing_rows(shared_server: RunningServer) -> None:
    """Where the validity bit is 0 the value does not count, even if it would be refused."""
    valid = np.packbits([1, 0, 1], bitorder="little").tobytes()
    request = BatchRequest(
        workload="toy",
        row_count=3,
        columns=[
            common_pb2.Column(
                name="size", numbers={"values": [10.0, math.nan, 20.0]}, validity=valid
            ),
            common_pb2.Column(name="kind", texts={"dictionary": ["big"], "indices": [0, 0, 0]}),
            common_pb2.Column(
                name="color", texts={"dictionary": ["red"], "indices": [0, 0, 0]}, validity=valid
            ),
            common_pb2.Column(name="hot", flags={"values": [True, False, False]}, validity=valid),
        ],
    )
    answer = shared_server.stubs.prediction.PredictBatch(request)
    assert list(answer.metrics[0].median.values) == pytest.approx([10.0, 1.0, 20.0], rel=1e-5)
    assert not answer.unknown_features


def test_pinned_version_answers_beside_the_current_one(server: RunningServer) -> None:
    """A caller that names a version is answered by it, also after another took over."""
    old = server.predict().provenance.bundle_version
    new = server.publish(shift=1.0)
    assert server.predict().provenance.bundle_version == new
    pinned = server.predict(10.0, bundle_version=old)
    assert pinned.provenance.bundle_version == old
    assert pinned.metrics[0].median == pytest.approx(10.0, rel=1e-5)


def test_batches_of_a_stream_are_answered_by_one_bundle(server: RunningServer) -> None:
    """Batch after batch is answered in order, by the bundle of the first, also after a swap."""
    swapped = threading.Event()

    def batches() -> Iterator[BatchRequest]:
        for start in (0, 100, 200):
            if start:
                swapped.wait(WAIT_S)
            sizes = np.arange(start + 1.0, start + 101)
            yield BatchRequest(workload="toy", columns=columns(sizes, raw=True), row_count=100)

    stream = server.stubs.prediction.PredictBatchStream(batches(), timeout=WAIT_S)
    answers = [next(stream)]
    new = server.publish(shift=1.0)
    swapped.set()
    answers += stream
    medians = [value for answer in answers for value in answer.metrics[0].median.values]
    assert medians == pytest.approx(np.arange(1.0, 301), rel=1e-5)
    assert len({answer.bundle_version for answer in answers}) == 1
    assert server.predict().provenance.bundle_version == new != answers[0].bundle_version


def test_a_bad_batch_ends_its_stream(shared_server: RunningServer) -> None:
    """What PredictBatch refuses ends the call, once the batches before it are answered."""
    batches = [
        BatchRequest(workload="toy", columns=columns(np.ones(2), raw=True), row_count=rows)
        for rows in (2, 3)
    ]
    stream = shared_server.stubs.prediction.PredictBatchStream(iter(batches), timeout=WAIT_S)
    assert next(stream).row_count == 2
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "columns[size]" in caught.value.details()


def test_the_client_gets_the_same(shared_server: RunningServer) -> None:
    """foretell.Client predicts one, many and streams against this server."""
    with foretell.Client(shared_server.address) as client:
        one = client.predict("toy", {"size": 7.0, "kind": "big"})
        assert one.metrics["seconds"].median == pytest.approx(7.0, rel=1e-5)
        many = client.predict_many("toy", {"size": [1.0, 2.0], "kind": ["big", "small"]})
        assert many.metrics["kb"].median == pytest.approx([1.0, 2.0], rel=1e-5)
        items = [{"size": float(i), "kind": "big"} for i in range(1, 50)]
        medians = [
            answer.prediction.metrics["kb"].median
            for answer in client.stream("toy", items)
            if answer.prediction is not None
        ]
        assert medians == pytest.approx(list(itertools.chain(range(1, 50))), rel=1e-5)
