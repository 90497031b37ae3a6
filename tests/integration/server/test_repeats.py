"""Requests that repeat: answered from the cache, and never with what does not hold any more."""

from __future__ import annotations

import grpc
import pytest

from foretell.v1 import prediction_pb2
from foretell_server.hot_path import correlation_end
from tests.integration.server.conftest import WAIT_S, RunningServer, toy_request


def hits(server: RunningServer) -> int:
    """Return how many answers came from the cache so far."""
    families = {family.name: family for family in server.serving.census.families()}
    return int(families["foretell_cache_hits_total"].samples[0].value)


def test_a_repeated_request_has_the_same_answer_under_another_name(
    shared_server: RunningServer,
) -> None:
    """The second answer comes from the cache; only its prediction id is new."""
    one = shared_server.predict(123.0)
    before = hits(shared_server)
    other = shared_server.predict(123.0)
    assert hits(shared_server) == before + 1
    assert one.prediction_id != other.prediction_id
    other.prediction_id = one.prediction_id
    assert one == other


def test_a_correlation_id_does_not_make_a_request_another(shared_server: RunningServer) -> None:
    """Requests that differ in their correlation id are one, and each answer carries its own."""
    requests = [toy_request(55.0, correlation_id=name) for name in ("", "a", "b" * 300, "c")]
    before = hits(shared_server)
    answers = list(shared_server.stubs.prediction.PredictStream(iter(requests), timeout=WAIT_S))
    assert [a.correlation_id for a in answers] == [r.correlation_id for r in requests]
    again = list(shared_server.stubs.prediction.PredictStream(iter(requests), timeout=WAIT_S))
    assert hits(shared_server) >= before + len(requests)
    assert [a.correlation_id for a in again] == [r.correlation_id for r in requests]
    assert [a.prediction.metrics for a in again] == [a.prediction.metrics for a in answers]


def test_a_correlation_id_in_an_odd_place_is_kept_for_nobody_else(
    shared_server: RunningServer,
) -> None:
    """Fields may come in any order; an answer is still that of its own request."""
    odd = toy_request(66.0).SerializeToString() + b"\x0a\x01x"
    call = shared_server.channel.stream_stream(
        "/foretell.v1.PredictionService/PredictStream",
        response_deserializer=prediction_pb2.PredictStreamResponse.FromString,
    )
    plain = toy_request(66.0).SerializeToString()
    answers = list(call(iter([odd, plain, odd, plain]), timeout=WAIT_S))
    assert [a.correlation_id for a in answers] == ["x", "", "x", ""]
    assert correlation_end(odd) == 0
    assert correlation_end(b"\x0a\x05abc") == 0


def test_a_swap_ends_what_was_kept(server: RunningServer) -> None:
    """After a swap a repeated request is answered by the new bundle; so is one that is pinned."""
    first = server.serving.shelf.live["toy"].version
    assert [server.predict().provenance.bundle_version for _ in range(2)] == [first, first]
    second = server.publish(shift=1.0)
    assert [server.predict().provenance.bundle_version for _ in range(2)] == [second, second]
    pinned = [server.predict(bundle_version=first).provenance.bundle_version for _ in range(2)]
    assert pinned == [first, first]
    assert server.predict().provenance.bundle_version == second


def test_corrections_end_what_was_kept(server: RunningServer) -> None:
    """When a bundle's corrections change, repeated requests are computed again."""
    server.predict()
    before = hits(server)
    server.serving.shelf.live["toy"].renew()
    server.predict()
    assert hits(server) == before
    server.predict()
    assert hits(server) == before + 1


def test_errors_are_not_kept(shared_server: RunningServer) -> None:
    """A request that is refused is refused again, each time with a request id of its own."""
    for _ in range(2):
        with pytest.raises(grpc.RpcError) as caught:
            shared_server.predict(-1.0)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
