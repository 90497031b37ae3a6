"""What the server answers to requests that are wrong, through a real channel."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from foretell.v1 import common_pb2, prediction_pb2
from tests.integration.server.conftest import RunningServer, StartServer, toy_request

BatchRequest = prediction_pb2.PredictBatchRequest


def refusal(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str, dict[str, str], str]:
    """Return status, message, field violations and reason of a call that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    status = rpc_status.from_call(caught.value)
    bad, info = error_details_pb2.BadRequest(), error_details_pb2.ErrorInfo()
    for detail in status.details:
        detail.Unpack(bad)
        detail.Unpack(info)
    fields = {v.field: v.description for v in bad.field_violations}
    return caught.value.code(), status.message, fields, info.reason


def request_of(features: Mapping[str, float | str | bool]) -> prediction_pb2.PredictRequest:
    """Return a request with these features, each in the kind of its Python type."""
    request = prediction_pb2.PredictRequest(workload="toy")
    for name, value in features.items():
        if isinstance(value, bool):
            request.features[name].flag = value
        elif isinstance(value, str):
            request.features[name].text = value
        else:
            request.features[name].number = value
    return request


def test_unknown_workload_lists_the_known_ones(shared_server: RunningServer) -> None:
    """A workload that does not exist is NOT_FOUND, and the message lists those that do."""
    code, message, _, reason = refusal(lambda: shared_server.predict(workload="tpy"))
    assert code is grpc.StatusCode.NOT_FOUND
    assert reason == "WORKLOAD_NOT_FOUND"
    assert "toy" in message
    assert "serverless" in message


def test_workload_without_a_bundle_says_how_to_train(shared_server: RunningServer) -> None:
    """A workload that was never trained is FAILED_PRECONDITION, with how to train it."""
    code, message, _, reason = refusal(lambda: shared_server.predict(workload="serverless"))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert reason == "NO_BUNDLE"
    assert "foretell train serverless" in message


@pytest.mark.parametrize(
    ("features", "field", "says"),
    [
        ({"size": 1.0}, "features[kind]", "required"),
        ({"kind": "big", "size": "large"}, "features[size]", "not a finite number"),
        ({"kind": "big", "size": True}, "features[size]", "not a finite number"),
        ({"kind": "big", "hot": "yes"}, "features[hot]", "true or false"),
        ({"kind": "big", "size": math.nan}, "features[size]", "not a finite number"),
        ({"kind": "big", "size": math.inf}, "features[size]", "not a finite number"),
        ({"kind": "big", "size": -1.0}, "features[size]", "between 0 and 1e+09"),
        ({"kind": "big", "weight": 1.0}, "features[weight]", "known: size, hot, kind, color"),
    ],
)
def test_bad_feature_is_one_field_violation(
    shared_server: RunningServer,
    features: dict[str, float | str | bool],
    field: str,
    says: str,
) -> None:
    """A feature that cannot be used is INVALID_ARGUMENT with a violation that names it."""
    call = shared_server.stubs.prediction.Predict
    code, _, fields, reason = refusal(lambda: call(request_of(features)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert reason == "INVALID_INPUT"
    assert list(fields) == [field]
    assert says in fields[field]


def test_every_mistake_is_listed(shared_server: RunningServer) -> None:
    """A request with several mistakes is told all of them at once."""
    request = request_of({"size": -1.0, "hot": 3.0, "weight": 1.0})
    _, message, fields, _ = refusal(lambda: shared_server.stubs.prediction.Predict(request))
    assert set(fields) == {
        "features[kind]",
        "features[size]",
        "features[hot]",
        "features[weight]",
    }
    assert all(field in message for field in fields)


def test_a_value_without_content_is_refused(shared_server: RunningServer) -> None:
    """A feature whose value is of no kind is a mistake and not a missing value."""
    request = toy_request()
    request.features["hot"].SetInParent()
    code, _, fields, _ = refusal(lambda: shared_server.stubs.prediction.Predict(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(fields) == ["features[hot]"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"metrics": ["minutes"]}, "options.metrics[0]"),
        ({"quantiles": [0.5, 1.0]}, "options.quantiles[1]"),
        ({"metrics": ["kb", "seconds", "kb"]}, "options.metrics[2]"),
        ({"quantiles": [math.nan]}, "options.quantiles[0]"),
        ({"interval_level": 0.0}, "options.interval_level"),
        ({"confidence_tolerance": 0.0}, "options.confidence_tolerance"),
        ({"support_floor": 1.5}, "options.support_floor"),
        ({"quantiles": [0.5] * 65}, "options.quantiles"),
        ({"deadlines": [{"metric": "minutes", "value": 1}]}, "options.deadlines[0].metric"),
        ({"deadlines": [{"metric": "kb", "value": math.inf}]}, "options.deadlines[0].value"),
        (
            {"costs": [{"metric": "kb", "under_cost": 0, "over_cost": 1}]},
            "options.costs[0].under_cost",
        ),
    ],
)
def test_bad_option_is_a_field_violation(
    shared_server: RunningServer, options: dict[str, Any], field: str
) -> None:
    """An option that cannot be met is INVALID_ARGUMENT with a violation that names it."""
    code, _, fields, _ = refusal(
        lambda: shared_server.predict(options=prediction_pb2.ForecastOptions(**options))
    )
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(fields) == [field]


def test_an_end_of_the_range_is_told_to_be_outside(shared_server: RunningServer) -> None:
    """A level of 0 is refused with words that say that the ends are excluded."""
    options = prediction_pb2.ForecastOptions(quantiles=[0.0])
    _, message, _, _ = refusal(lambda: shared_server.predict(options=options))
    assert "0 is not strictly between 0 and 1" in message


def test_an_encoding_that_is_not_known_is_refused(shared_server: RunningServer) -> None:
    """An encoding that this server cannot write is a violation, not another encoding."""
    request = prediction_pb2.PredictBatchRequest(workload="toy", row_count=1, encoding=9)  # type: ignore[arg-type]
    code, message, fields, _ = refusal(lambda: shared_server.stubs.prediction.PredictBatch(request))
    assert (code, list(fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["encoding"])
    assert "ENCODING_RAW" in message


def test_unknown_category_is_an_answer(shared_server: RunningServer) -> None:
    """A category value that nobody has seen is answered: cold, little support, and said so."""
    request = request_of({"kind": "gigantic", "size": 10.0})
    answer = shared_server.stubs.prediction.Predict(request)
    assert list(answer.provenance.unknown_features) == ["kind"]
    assert answer.provenance.tier == common_pb2.TIER_COLD
    assert answer.provenance.groups[0].training_rows == 0
    assert answer.metrics[0].support == pytest.approx(0.1)


def test_missing_is_not_wrong(shared_server: RunningServer) -> None:
    """A feature that is not required may be left out."""
    answer = shared_server.stubs.prediction.Predict(request_of({"kind": "big"}))
    assert answer.metrics[0].median == pytest.approx(1.0)


def numbers(*values: float) -> common_pb2.Column:
    """Return a column of sizes."""
    return common_pb2.Column(name="size", numbers=common_pb2.Numbers(values=values))


def kinds(rows: int) -> common_pb2.Column:
    """Return a column of so many big kinds."""
    texts = common_pb2.Texts(dictionary=["big"], indices=[0] * rows)
    return common_pb2.Column(name="kind", texts=texts)


Column = common_pb2.Column


@pytest.mark.parametrize(
    ("columns", "rows", "field", "says"),
    [
        ([], 0, "row_count", "at least 1"),
        ([kinds(2), numbers(1)], 2, "columns[size]", "1 values for 2 rows"),
        ([kinds(2), numbers(1, math.nan)], 2, "columns[size][1]", "finite"),
        ([kinds(2), numbers(1, math.inf)], 2, "columns[size][1]", "finite"),
        ([kinds(2), numbers(-1, 2)], 2, "columns[size][0]", "between"),
        ([numbers(1)], 1, "columns[kind]", "required"),
        ([kinds(1), numbers(1), numbers(2)], 1, "columns[size]", "twice"),
        ([kinds(1), Column(name="size")], 1, "columns[size]", "no values"),
        ([kinds(1), Column(name="weight", numbers={"values": [1]})], 1, "columns[weight]", "known"),
        (
            [kinds(1), Column(name="size", numbers={"raw": b"1234567"})],
            1,
            "columns[size]",
            "multiple of 8",
        ),
        (
            [kinds(1), Column(name="size", numbers={"raw": bytes(8), "values": [1]})],
            1,
            "columns[size]",
            "two forms",
        ),
        ([kinds(1), Column(name="hot", flags={"raw": b"\x02"})], 1, "columns[hot]", "0 or 1"),
        (
            [Column(name="kind", texts={"dictionary": ["big"], "indices": [1]})],
            1,
            "columns[kind]",
            "index 1",
        ),
        (
            [kinds(1), Column(name="size", numbers={"values": [1]}, validity=b"\x01\x00")],
            1,
            "columns[size]",
            "validity",
        ),
    ],
)
def test_bad_column_is_a_field_violation(
    shared_server: RunningServer,
    columns: list[common_pb2.Column],
    rows: int,
    field: str,
    says: str,
) -> None:
    """A batch with one bad column or row is refused as a whole, and the violation names it."""
    request = BatchRequest(workload="toy", columns=columns, row_count=rows)
    code, _, fields, _ = refusal(lambda: shared_server.stubs.prediction.PredictBatch(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(fields) == [field]
    assert says in fields[field]


def test_too_many_rows_are_refused_before_any_work(start_server: StartServer) -> None:
    """A batch above max_rows_per_call is INVALID_ARGUMENT, and the message has the limit."""
    server = start_server(max_rows_per_call=10)
    server.publish()
    request = BatchRequest(workload="toy", columns=[kinds(11)], row_count=11)
    code, message, fields, _ = refusal(lambda: server.stubs.prediction.PredictBatch(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(fields) == ["row_count"]
    assert "10" in message


def test_many_violations_still_fit_into_the_answer(shared_server: RunningServer) -> None:
    """The details stay under the metadata that clients take, however much is wrong."""
    rows = 5000
    request = BatchRequest(
        workload="toy", columns=[kinds(rows), numbers(*[-1.0] * rows)], row_count=rows
    )
    code, message, fields, _ = refusal(lambda: shared_server.stubs.prediction.PredictBatch(request))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert len(fields) > 10
    assert "more" in message


def test_oversized_message_is_refused(start_server: StartServer) -> None:
    """A message above max_message_bytes is RESOURCE_EXHAUSTED, and the server lives on."""
    server = start_server(max_message_bytes=10_000)
    server.publish()
    request = toy_request(correlation_id="x" * 20_000)
    with pytest.raises(grpc.RpcError) as caught:
        server.stubs.prediction.Predict(request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.predict().metrics


def test_an_answer_that_could_not_be_sent_is_refused(start_server: StartServer) -> None:
    """A batch whose answer exceeds max_message_bytes is refused with rows, numbers and limit."""
    server = start_server(max_message_bytes=10_000)
    server.publish()
    texts = {"dictionary": ["big"], "raw_indices": bytes(4 * 1000)}
    request = prediction_pb2.PredictBatchRequest(
        workload="toy", row_count=1000, columns=[{"name": "kind", "texts": texts}]
    )
    with pytest.raises(grpc.RpcError) as caught:
        server.stubs.prediction.PredictBatch(request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "1000 rows of" in str(caught.value.details())
    assert "10000 of max_message_bytes" in str(caught.value.details())


@pytest.mark.parametrize(
    "payload", [b"\xff", b"\x12\x7f", struct.pack("<Q", 2**63), b"\x1a\x00\x1a"]
)
def test_bytes_that_are_no_message(shared_server: RunningServer, payload: bytes) -> None:
    """Bytes that cannot be decoded are INVALID_ARGUMENT, not an internal error."""
    call = shared_server.channel.unary_unary("/foretell.v1.PredictionService/Predict")
    code, message, _, _ = refusal(lambda: call(payload))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "foretell.v1.PredictRequest" in message


def test_deadline_that_passes_ends_the_work(shared_server: RunningServer) -> None:
    """A batch whose caller's time is up ends with DEADLINE_EXCEEDED, and others are served."""
    rows = 100_000
    request = BatchRequest(workload="toy", columns=[kinds(rows)], row_count=rows)
    with pytest.raises(grpc.RpcError) as caught:
        shared_server.stubs.prediction.PredictBatch(request, timeout=0.02)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert shared_server.predict().metrics


def test_unknown_bundle_version_lists_the_known_ones(shared_server: RunningServer) -> None:
    """A version that is not in the registry is NOT_FOUND."""
    code, message, _, reason = refusal(
        lambda: shared_server.predict(bundle_version="20200101T000000Z-00000000")
    )
    assert code is grpc.StatusCode.NOT_FOUND
    assert reason == "BUNDLE_NOT_FOUND"
    assert shared_server.predict().provenance.bundle_version in message
