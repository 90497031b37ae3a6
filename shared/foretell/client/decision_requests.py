"""From questions to the requests of DecisionService.

`recommend`, `curve` and the rest take what is short to write: an objective is the name of a
quantity, a mapping of quantities to weights, or an `Objective`; a limit is a number that the
quantity must not exceed, or a `Limit`; candidates and configurations are names, mappings, or
the values that `foretell.decide` has for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from foretell.client.requests import fill_features, refuse
from foretell.decide.questions import (
    Candidate,
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
from foretell.errors import InvalidInput, Violation
from foretell.v1 import common_pb2, decision_pb2

ObjectiveLike = str | Mapping[str, float] | Objective
"""A quantity, quantities with their weights, or an objective."""

LimitsLike = Mapping[str, float] | Iterable[Limit]
"""By quantity, the most that is allowed with a probability of 0.95; or limits."""

CandidatesLike = Iterable[str | Candidate] | Mapping[str, Mapping[str, Any]]
"""Names, candidates, or by name the features and facts that go with it."""

ConfigurationsLike = Iterable[Configuration] | Mapping[str, Mapping[str, Any]]
"""Configurations, or features by name."""

_GOALS = {
    "makespan": decision_pb2.PLACEMENT_GOAL_MAKESPAN,
    "cost": decision_pb2.PLACEMENT_GOAL_COST,
    "deadline_misses": decision_pb2.PLACEMENT_GOAL_DEADLINE_MISSES,
}


_SHARING_GOALS = {
    "makespan": decision_pb2.SHARING_GOAL_MAKESPAN,
    "mean_completion": decision_pb2.SHARING_GOAL_MEAN_COMPLETION,
    "memory": decision_pb2.SHARING_GOAL_MEMORY,
}


def objective_of(given: ObjectiveLike, risk: float, quantile: float | None) -> Objective:
    """Return an objective; InvalidInput when risk is given twice."""
    if isinstance(given, Objective):
        if risk or quantile is not None:
            raise InvalidInput([Violation("risk", str(risk), "is in the objective already")])
        return given
    terms = {given: 1.0} if isinstance(given, str) else given
    return Objective(tuple(Term(name, weight) for name, weight in terms.items()), risk, quantile)


def limits_of(given: LimitsLike) -> tuple[Limit, ...]:
    """Return limits."""
    if isinstance(given, Mapping):
        return tuple(Limit(name, at_most=value) for name, value in given.items())
    return tuple(given)


def candidates_of(given: CandidatesLike) -> tuple[Candidate, ...]:
    """Return candidates."""
    if isinstance(given, Mapping):
        return tuple(Candidate(name, features) for name, features in given.items())
    return tuple(Candidate(one) if isinstance(one, str) else one for one in given)


def configurations_of(given: ConfigurationsLike) -> tuple[Configuration, ...]:
    """Return configurations."""
    if isinstance(given, Mapping):
        return tuple(Configuration(name, features) for name, features in given.items())
    return tuple(given)


def recommend_request(
    workload: str, question: Recommend, bundle_version: str
) -> decision_pb2.RecommendHardwareRequest:
    """Return the request; InvalidInput names each value that cannot be sent."""
    request = decision_pb2.RecommendHardwareRequest(
        workload=workload,
        candidate_feature=question.candidate_feature,
        all_known=question.all_known,
        objective=_objective(question.objective),
        limits=map(_limit, question.limits),
        pareto_quantities=question.pareto,
        max_results=_natural("max_results", question.max_results),
        interval_level=question.interval_level,
        support_floor=question.support_floor,
        accounting=_accounting(question),
        bundle_version=bundle_version,
    )
    found = fill_features(request.features, question.features, "features")
    for i, candidate in enumerate(question.candidates):
        available = candidate.available
        sent = request.candidates.add(
            name=candidate.name,
            price_per_hour=candidate.price_per_hour,
            available_count=None
            if available is None
            else _natural(f"candidates[{i}].available", available, least=0),
        )
        found += fill_features(sent.features, candidate.features, f"candidates[{i}].features")
    refuse(found)
    return request


def matrix_request(
    workload: str, question: Matrix, bundle_version: str
) -> decision_pb2.PredictMatrixRequest:
    """Return the request, for raw columns; InvalidInput names each value that cannot be sent."""
    request = decision_pb2.PredictMatrixRequest(
        workload=workload, encoding=common_pb2.ENCODING_RAW, bundle_version=bundle_version
    )
    found = fill_features(request.features, question.features, "features")
    for i, axis in enumerate(question.axes):
        sent = request.axes.add(feature=axis.feature)
        found += _fill_values(sent.values, axis.values, f"axes[{i}].values")
    refuse(found)
    return request


def curve_request(
    workload: str, question: Curve, bundle_version: str
) -> decision_pb2.PredictCurveRequest:
    """Return the request; InvalidInput names each value that cannot be sent."""
    request = decision_pb2.PredictCurveRequest(
        workload=workload,
        feature=question.feature,
        values=question.values,
        start_value=question.start,
        stop_value=question.stop,
        point_count=_natural("points", question.points, least=0),
        objective=None if question.objective is None else _objective(question.objective),
        limits=map(_limit, question.limits),
        price_per_hour=question.price_per_hour,
        interval_level=question.interval_level,
        accounting=_accounting(question),
        bundle_version=bundle_version,
    )
    refuse(fill_features(request.features, question.features, "features"))
    return request


def what_if_request(
    workload: str, question: WhatIf, bundle_version: str
) -> decision_pb2.WhatIfRequest:
    """Return the request; InvalidInput names each value that cannot be sent."""
    request = decision_pb2.WhatIfRequest(
        workload=workload,
        objective=_objective(question.objective),
        certainty=question.certainty,
        interval_level=question.interval_level,
        accounting=_accounting(question),
        bundle_version=bundle_version,
    )
    found: list[Violation] = []
    for i, side in enumerate(question.configurations):
        sent = request.configurations.add(name=side.name, price_per_hour=side.price_per_hour)
        found += fill_features(sent.features, side.features, f"configurations[{i}].features")
    refuse(found)
    return request


def share_request(
    workload: str, question: Share, bundle_version: str
) -> decision_pb2.ShareDeviceRequest:
    """Return the request; InvalidInput names each value that cannot be sent."""
    _check_goal(question.goal, _SHARING_GOALS)
    request = decision_pb2.ShareDeviceRequest(
        workload=workload,
        goal=_SHARING_GOALS[question.goal],
        memory=question.memory,
        overflow_risk=question.overflow_risk,
        limits=map(_limit, question.limits),
        neighbour_feature=question.neighbour_feature,
        item_feature=question.item_feature,
        slowdown=question.slowdown,
        batch_feature=question.batch_feature,
        batch_sizes=question.batch_sizes,
        memory_metric=question.memory_metric,
        accounting=_accounting(question),
        bundle_version=bundle_version,
    )
    found: list[Violation] = []
    for i, item in enumerate(question.items):
        found += _add_item(request, item, f"items[{i}]")
    refuse(found)
    return request


def _check_goal(goal: str, known: Mapping[str, object]) -> None:
    if goal not in known:
        message = f"{goal!r} is not one of {', '.join(known)}"
        raise InvalidInput([Violation("goal", goal, message)])


def place_request(
    workload: str, question: Place, bundle_version: str
) -> decision_pb2.PlaceBatchRequest:
    """Return the request; InvalidInput names each value that cannot be sent."""
    _check_goal(question.goal, _GOALS)
    request = decision_pb2.PlaceBatchRequest(
        workload=workload,
        goal=_GOALS[question.goal],
        node_feature=question.node_feature,
        overflow_risk=question.overflow_risk,
        start_at_once=not question.may_wait,
        memory_metric=question.memory_metric,
        accounting=_accounting(question),
        search_seconds=question.seconds,
        bundle_version=bundle_version,
    )
    found: list[Violation] = []
    for i, item in enumerate(question.items):
        found += _add_item(request, item, f"items[{i}]")
    for j, node in enumerate(question.nodes):
        found += _add_node(request, node, f"nodes[{j}]")
    refuse(found)
    return request


def _add_item(
    request: decision_pb2.PlaceBatchRequest | decision_pb2.ShareDeviceRequest,
    item: Item,
    field: str,
) -> list[Violation]:
    sent = request.items.add(name=item.name, deadline_s=item.deadline_s, work=item.work)
    return fill_features(sent.features, item.features, f"{field}.features")


def _add_node(request: decision_pb2.PlaceBatchRequest, node: Node, field: str) -> list[Violation]:
    sent = request.nodes.add(
        name=node.name,
        kind=node.kind,
        memory=node.memory,
        power=node.power,
        slot_count=None if node.slots is None else _natural(f"{field}.slots", node.slots, least=0),
        free_in_s=node.free_in_s,
        price_per_hour=node.price_per_hour,
    )
    return fill_features(sent.features, node.features, f"{field}.features")


def _objective(given: Objective) -> decision_pb2.Objective:
    terms = [
        decision_pb2.ObjectiveTerm(
            quantity=term.quantity, weight=term.weight, reference=term.reference, unit=term.unit
        )
        for term in given.terms
    ]
    return decision_pb2.Objective(terms=terms, risk=given.risk, quantile=given.quantile)


def _limit(given: Limit) -> decision_pb2.Limit:
    bounds = {"at_most": given.at_most, "at_least": given.at_least}
    found: dict[str, Any] = {name: value for name, value in bounds.items() if value is not None}
    if given.at_most_fact:
        found["at_most_fact"] = given.at_most_fact
    if len(found) != 1:
        what = "at_most, at_least and at_most_fact"
        message = f"{len(found)} of {what} are set; exactly one is needed"
        raise InvalidInput([Violation(f"limits[{given.quantity}]", "", message)])
    return decision_pb2.Limit(
        quantity=given.quantity,
        share=given.share,
        probability=given.probability,
        unit=given.unit,
        **found,
    )


def _accounting(question: Recommend | Curve | WhatIf | Place | Share) -> decision_pb2.Accounting:
    given = question.accounting
    return decision_pb2.Accounting(work_metric=given.work_metric, power=given.power)


def _fill_values(target: Any, values: Sequence[Any], field: str) -> list[Violation]:  # noqa: ANN401
    """Write the values of an axis; returns what could not be written."""
    found: list[Violation] = []
    for j, value in enumerate(values):
        one = decision_pb2.Candidate()  # has a map that `fill_features` can fill
        bad = fill_features(one.features, {"": value}, field)
        found += [Violation(f"{field}[{j}]", v.value, v.message) for v in bad]
        target.add().CopyFrom(one.features[""])
    return found


def _natural(field: str, value: int, *, least: int = 1) -> int:
    """Return a count that the wire can carry."""
    if not least <= value < 2**32:
        raise InvalidInput([Violation(field, str(value), f"{value} is not at least {least}")])
    return value
