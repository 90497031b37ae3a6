"""From the requests of DecisionService to questions. Nothing behind it sees protobuf.

Defaults are those of the questions: a field that is not set is left to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from foretell.decide import (
    Accounting,
    Axis,
    Candidate,
    CandidateSet,
    Configuration,
    Curve,
    Item,
    Limit,
    Matrix,
    Node,
    Objective,
    Place,
    Recommend,
    Share,
    Term,
    WhatIf,
)
from foretell.decide.roster import REMEMBERED_CANDIDATES, REMEMBERED_ROSTERS
from foretell.errors import InvalidInput, Violation
from foretell.parsing import Value
from foretell.v1 import common_pb2, decision_pb2
from foretell_server.ranking_request import RankingRequest

PLACEMENT_GOALS = {
    decision_pb2.PLACEMENT_GOAL_UNSPECIFIED: "makespan",
    decision_pb2.PLACEMENT_GOAL_MAKESPAN: "makespan",
    decision_pb2.PLACEMENT_GOAL_COST: "cost",
    decision_pb2.PLACEMENT_GOAL_DEADLINE_MISSES: "deadline_misses",
}

SHARING_GOALS = {
    decision_pb2.SHARING_GOAL_UNSPECIFIED: "makespan",
    decision_pb2.SHARING_GOAL_MAKESPAN: "makespan",
    decision_pb2.SHARING_GOAL_MEAN_COMPLETION: "mean_completion",
    decision_pb2.SHARING_GOAL_MEMORY: "memory",
}

_REMEMBERED_OBJECTIVES = 256

_BESIDE_CANDIDATES = tuple(
    name
    for name in decision_pb2.RecommendHardwareRequest.DESCRIPTOR.fields_by_name
    if name != "candidates"
)


def recommend(request: RankingRequest) -> Recommend:
    """Return what a request asks."""
    features = _features(request.item.features, "")
    more = request.rest.message.features
    if more:  # the fields of a message may come in any order
        features |= _features(more, "")
    return Recommend(features=features, **request.rest.once(_ranking))


def _ranking(request: decision_pb2.RecommendHardwareRequest) -> dict[str, Any]:
    """Return what is asked about an item, as fields of `Recommend`."""
    return {
        "objective": _objective(request.objective),
        "candidates": _candidates(request),
        "all_known": request.all_known,
        "candidate_feature": request.candidate_feature,
        "limits": tuple(map(_limit, request.limits)),
        "pareto": tuple(request.pareto_quantities),
        "support_floor": request.support_floor,
        "accounting": _accounting(request.accounting),
        **({"max_results": request.max_results} if request.max_results else {}),
        **_set(request, "interval_level"),
    }


def matrix(request: decision_pb2.PredictMatrixRequest) -> Matrix:
    """Return what a request asks."""
    axes = tuple(
        Axis(
            axis.feature,
            tuple(_value(v, f"axes[{i}].values[{j}]") for j, v in enumerate(axis.values)),
        )
        for i, axis in enumerate(request.axes)
    )
    return Matrix(axes, _features(request.features, ""))


def curve(request: decision_pb2.PredictCurveRequest) -> Curve:
    """Return what a request asks."""
    return Curve(
        features=_features(request.features, ""),
        feature=request.feature,
        values=tuple(request.values),
        start=request.start_value if request.HasField("start_value") else None,
        stop=request.stop_value if request.HasField("stop_value") else None,
        points=request.point_count,
        objective=_objective(request.objective) if request.HasField("objective") else None,
        limits=tuple(map(_limit, request.limits)),
        accounting=_accounting(request.accounting),
        **_set(request, "price_per_hour", "interval_level"),
    )


def what_if(request: decision_pb2.WhatIfRequest) -> WhatIf:
    """Return what a request asks."""
    return WhatIf(
        configurations=tuple(
            Configuration(
                side.name,
                _features(side.features, f"configurations[{i}]."),
                **_set(side, "price_per_hour"),
            )
            for i, side in enumerate(request.configurations)
        ),
        objective=_objective(request.objective),
        accounting=_accounting(request.accounting),
        **_set(request, "certainty", "interval_level"),
    )


def place(request: decision_pb2.PlaceBatchRequest) -> Place:
    """Return what a request asks."""
    seconds = {"seconds": request.search_seconds} if request.HasField("search_seconds") else {}
    return Place(
        items=_items(request.items),
        nodes=tuple(
            Node(
                node.name,
                node.kind,
                _features(node.features, f"nodes[{j}]."),
                slots=node.slot_count if node.HasField("slot_count") else None,
                free_in_s=node.free_in_s,
                **_set(node, "memory", "power", "price_per_hour"),
            )
            for j, node in enumerate(request.nodes)
        ),
        goal=_goal(request.goal, PLACEMENT_GOALS, decision_pb2.PlacementGoal),
        node_feature=request.node_feature,
        may_wait=not request.start_at_once,
        memory_metric=request.memory_metric,
        accounting=_accounting(request.accounting),
        **_set(request, "overflow_risk"),
        **seconds,
    )


def share(request: decision_pb2.ShareDeviceRequest) -> Share:
    """Return what a request asks."""
    batch: dict[str, Any] = (
        {"batch_feature": request.batch_feature} if request.batch_feature else {}
    )
    return Share(
        items=_items(request.items),
        goal=_goal(request.goal, SHARING_GOALS, decision_pb2.SharingGoal),
        limits=tuple(map(_limit, request.limits)),
        neighbour_feature=request.neighbour_feature,
        item_feature=request.item_feature,
        batch_sizes=tuple(request.batch_sizes),
        memory_metric=request.memory_metric,
        accounting=_accounting(request.accounting),
        **batch,
        **_set(request, "memory", "overflow_risk", "slowdown"),
    )


_OF_ITEMS = ("deadline_s", "work")


def _items(sent: Iterable[decision_pb2.BatchItem]) -> tuple[Item, ...]:
    return tuple(
        Item(item.name, _features(item.features, f"items[{i}]."), **_set(item, *_OF_ITEMS))
        for i, item in enumerate(sent)
    )


def _goal(value: int, goals: Mapping[Any, str], enum: Any) -> Any:  # noqa: ANN401 -- any goal
    if value not in goals:
        message = f"{value} is not a goal; allowed: {', '.join(enum.keys())}"
        raise InvalidInput([Violation("goal", str(value), message)])
    return goals[value]


def _set(message: Any, *names: str) -> dict[str, Any]:  # noqa: ANN401 -- any message
    """Return the fields that are set, by their names, which are those of the question."""
    return {name: getattr(message, name) for name in names if message.HasField(name)}


def _objective(sent: decision_pb2.Objective) -> Objective:
    return _known_objective(sent.SerializeToString())


@lru_cache(maxsize=_REMEMBERED_OBJECTIVES)
def _known_objective(raw: bytes) -> Objective:
    sent = decision_pb2.Objective.FromString(raw)
    terms = tuple(
        Term(term.quantity, unit=term.unit, **_set(term, "weight", "reference"))
        for term in sent.terms
    )
    return Objective(terms, sent.risk, **_set(sent, "quantile"))


def _limit(sent: decision_pb2.Limit) -> Limit:
    bound = sent.WhichOneof("bound")
    given = {bound: getattr(sent, bound)} if bound else {}
    return Limit(sent.quantity, unit=sent.unit, **given, **_set(sent, "share", "probability"))


def _accounting(sent: decision_pb2.Accounting) -> Accounting:
    return Accounting(sent.work_metric, sent.power)


def _candidates(request: decision_pb2.RecommendHardwareRequest) -> Sequence[Candidate]:
    sent = request.candidates
    if len(sent) > REMEMBERED_CANDIDATES:
        return tuple(_candidate(one, i) for i, one in enumerate(sent))
    only = decision_pb2.RecommendHardwareRequest()
    only.CopyFrom(request)
    for name in _BESIDE_CANDIDATES:
        only.ClearField(name)
    return _remembered(only.SerializeToString())


# Schedulers ask about the same nodes again and again: to read them takes six times as long as to
# know them by their bytes.
@lru_cache(maxsize=REMEMBERED_ROSTERS)
def _remembered(sent: bytes) -> CandidateSet:
    candidates = decision_pb2.RecommendHardwareRequest.FromString(sent).candidates
    return CandidateSet([_candidate(one, i) for i, one in enumerate(candidates)])


def _candidate(sent: decision_pb2.Candidate, number: int) -> Candidate:
    return Candidate(
        sent.name,
        _features(sent.features, f"candidates[{number}]."),
        sent.price_per_hour if sent.HasField("price_per_hour") else None,
        sent.available_count if sent.HasField("available_count") else None,
    )


def _features(values: Mapping[str, common_pb2.Value], prefix: str) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name in values:  # items() of a message's map is Python, and three times slower
        value = values[name]
        kind = value.WhichOneof("kind")
        if kind is None:
            raise _empty(f"{prefix}features[{name}]")
        found[name] = getattr(value, kind)
    return found


def _value(value: common_pb2.Value, field: str) -> Value:
    kind = value.WhichOneof("kind")
    if kind is None:
        raise _empty(field)
    plain: Value = getattr(value, kind)
    return plain


def _empty(field: str) -> InvalidInput:
    message = "holds no value that this server knows; leave out what is missing"
    return InvalidInput([Violation(field, "", message)])
