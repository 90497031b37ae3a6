"""Requests for rankings: what is known by its bytes says the same as what is read."""

from __future__ import annotations

import itertools

import pytest

from foretell.decide import Recommend
from foretell.errors import InvalidInput
from foretell.v1.common_pb2 import Value
from foretell.v1.decision_pb2 import RecommendHardwareRequest
from foretell_server.converters import decision_question
from foretell_server.ranking_request import read

ITEM = RecommendHardwareRequest(workload="lab", features={"batch_size": Value(number=4.0)})
WEIGHED = RecommendHardwareRequest(
    objective={"terms": [{"quantity": "latency_ms"}]},
    limits=[{"quantity": "power_w", "at_most": 300.0}],
    max_results=3,
    bundle_version="v1",
)
CANDIDATES = RecommendHardwareRequest(
    candidates=[{"name": "fast", "features": {"batch_size": {"number": 8.0}}}, {"name": "old"}]
)
PARTS = [part.SerializeToString() for part in (ITEM, CANDIDATES, WEIGHED)]


def question(raw: bytes) -> Recommend:
    """Return what the bytes of a request ask."""
    return decision_question.recommend(read(raw))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_fields_of_a_request_may_come_in_any_order(order: tuple[int, ...]) -> None:
    """A request says the same however its fields are ordered, though one order is usual."""
    request = read(b"".join(PARTS[i] for i in order))
    found = decision_question.recommend(request)
    assert (request.workload, request.bundle_version) == ("lab", "v1")
    assert found.features == {"batch_size": 4.0}
    assert [c.name for c in found.candidates] == ["fast", "old"]
    assert found.candidates[0].features == {"batch_size": 8.0}
    assert (found.limits[0].at_most, found.max_results) == (300.0, 3)


def test_the_same_candidates_are_read_once_whatever_the_item() -> None:
    """Of two requests that differ in the item alone, both ask about one set of candidates."""
    other = RecommendHardwareRequest(workload="lab", features={"batch_size": Value(number=5.0)})
    first = question(b"".join(PARTS))
    second = question(b"".join([other.SerializeToString(), *PARTS[1:]]))
    assert second.features == {"batch_size": 5.0}
    assert second.candidates is first.candidates


def test_other_limits_leave_the_candidates_known() -> None:
    """A request with other limits, too, asks about the set of candidates that is known."""
    limited = RecommendHardwareRequest(limits=[{"quantity": "power_w", "at_most": 200.0}])
    first = question(b"".join(PARTS))
    second = question(b"".join([*PARTS[:2], limited.SerializeToString()]))
    assert second.limits[0].at_most == 200.0
    assert second.candidates is first.candidates


def test_what_is_cut_off_is_refused() -> None:
    """Bytes that end within a field are no request, wherever that is."""
    fields = {0, len(RecommendHardwareRequest(workload="lab").SerializeToString()), len(PARTS[0])}
    for end in range(len(PARTS[0]) + 1):
        if end in fields:
            read(PARTS[0][:end])
        else:
            with pytest.raises(InvalidInput):
                read(PARTS[0][:end])
