"""From the answers of a decider to the responses of DecisionService."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from struct import Struct
from typing import Any

import numpy as np

from foretell.columns import Coded, Column
from foretell.decide import (
    Assigned,
    Comparison,
    CurveAnswer,
    Difference,
    Estimate,
    Excluded,
    Infeasible,
    LimitCheck,
    MatrixSlice,
    Placement,
    Ranked,
    Recommendation,
    Sharing,
    Side,
    Strategy,
)
from foretell.decide import NodeLoad as Load
from foretell.v1 import common_pb2, decision_pb2, prediction_pb2
from foretell_server.converters.columns import put_numbers
from foretell_server.converters.decision_question import PLACEMENT_GOALS, SHARING_GOALS
from foretell_server.converters.marks import Marks
from foretell_server.converters.prediction import TIERS

VERDICTS = {
    "clear": decision_pb2.VERDICT_CLEAR,
    "close": decision_pb2.VERDICT_CLOSE,
    "insufficient_evidence": decision_pb2.VERDICT_INSUFFICIENT_EVIDENCE,
    "infeasible": decision_pb2.VERDICT_INFEASIBLE,
}
REASONS = {
    "limit": decision_pb2.EXCLUSION_REASON_LIMIT,
    "unavailable": decision_pb2.EXCLUSION_REASON_UNAVAILABLE,
    "unknown": decision_pb2.EXCLUSION_REASON_UNKNOWN,
    "evidence": decision_pb2.EXCLUSION_REASON_EVIDENCE,
}
_GOALS = {goal: value for value, goal in PLACEMENT_GOALS.items() if value}
_SHARING_GOALS = {goal: value for value, goal in SHARING_GOALS.items() if value}
_STRATEGIES = {
    "parallel": decision_pb2.STRATEGY_KIND_PARALLEL,
    "sequential": decision_pb2.STRATEGY_KIND_SEQUENTIAL,
    "batched": decision_pb2.STRATEGY_KIND_BATCHED,
}
_MAKESPAN_LEVEL = 0.8
_REMEMBERED_LAYOUTS = 256

Fields = dict[str, Any]
"""A message within a message, by its fields: half the time of a message, which would be copied."""


def recommendation(found: Recommendation) -> decision_pb2.RecommendHardwareResponse:
    """Return a ranking as a message."""
    answer = decision_pb2.RecommendHardwareResponse(
        workload=found.workload,
        bundle_version=found.bundle_version,
        objective=found.objective,
        objective_unit=found.objective_unit,
        verdict=VERDICTS[found.verdict],
        ranked_count=found.ranked_count,
        excluded=map(_excluded, found.excluded),
        regret=None
        if found.regret is None
        else {
            "probability_another_better": found.regret.probability_another_better,
            "expected": found.regret.expected,
            "relative": found.regret.relative,
        },
        infeasibility=None if found.infeasible is None else _infeasible(found.infeasible),
        pareto_front=found.front,
        candidate_count=found.candidate_count,
    )
    for one in found.ranked:
        _put_ranked(answer, one)
    return answer


def matrix_slice(
    part: MatrixSlice, cells: int, forecasts: prediction_pb2.PredictBatchResponse, *, raw: bool
) -> decision_pb2.PredictMatrixResponse:
    """Return a slice of a matrix, its forecasts already a message, with the keys of its cells."""
    return decision_pb2.PredictMatrixResponse(
        first_cell=part.first_cell,
        cell_count=cells,
        keys=[_key(name, column, raw=raw) for name, column in part.keys.items()],
        cells=forecasts,
    )


def curve(found: CurveAnswer) -> decision_pb2.PredictCurveResponse:
    """Return a curve as a message."""
    best = found.best
    return decision_pb2.PredictCurveResponse(
        workload=found.workload,
        bundle_version=found.bundle_version,
        feature=found.feature,
        unit=found.unit,
        log_scale=found.log,
        values=found.values.tolist(),
        metrics=[
            decision_pb2.CurveMetric(
                metric=m.metric,
                unit=m.unit,
                median=m.median.tolist(),
                lower=m.lower.tolist(),
                upper=m.upper.tolist(),
                knee=None if math.isnan(m.knee) else m.knee,
            )
            for m in found.metrics
        ],
        interval_level=found.interval_level,
        support=found.support.tolist(),
        objective=found.objective,
        objective_unit=found.objective_unit,
        objective_values=found.objectives.tolist(),
        limit_probabilities=found.holds.tolist(),
        within_limits=found.keeps,
        best=None
        if best is None
        else decision_pb2.BestPoint(index=best.index, value=best.value, objective=best.objective),
        why=found.why,
    )


def comparison(found: Comparison) -> decision_pb2.WhatIfResponse:
    """Return a comparison as a message."""
    return decision_pb2.WhatIfResponse(
        workload=found.workload,
        bundle_version=found.bundle_version,
        objective=found.objective,
        objective_unit=found.objective_unit,
        certainty=found.certainty,
        interval_level=found.interval_level,
        configurations=map(_side, found.sides),
        differences=[_difference(d, found.interval_level) for d in found.differences],
        best=found.best,
    )


def placement(found: Placement) -> decision_pb2.PlaceBatchResponse:
    """Return a placement as a message."""
    return decision_pb2.PlaceBatchResponse(
        workload=found.workload,
        bundle_version=found.bundle_version,
        goal=_GOALS[found.goal],
        goal_unit=found.goal_unit,
        goal_value=found.value,
        goal_bound=found.bound,
        gap=found.gap,
        exact=found.method == "exact",
        makespan_s=found.makespan_s,
        makespan_interval=_interval(
            found.makespan_lower_s, found.makespan_upper_s, _MAKESPAN_LEVEL
        ),
        cost=found.cost,
        expected_misses=found.expected_misses,
        memory_unit=found.memory_unit,
        power_unit=found.power_unit,
        assigned=map(_assigned, found.assigned),
        unplaced=[
            decision_pb2.UnplacedItem(item=one.item, index=one.index, why=one.why)
            for one in found.unplaced
        ],
        nodes=map(_load, found.nodes),
    )


def sharing(found: Sharing) -> decision_pb2.ShareDeviceResponse:
    """Return strategies as a message."""
    return decision_pb2.ShareDeviceResponse(
        workload=found.workload,
        bundle_version=found.bundle_version,
        goal=_SHARING_GOALS[found.goal],
        goal_unit=found.goal_unit,
        memory_unit=found.memory_unit,
        strategies=map(_strategy, found.strategies),
        left_out=found.left_out,
    )


def _strategy(one: Strategy) -> decision_pb2.Strategy:
    return decision_pb2.Strategy(
        kind=_STRATEGIES[one.name],
        feasible=one.feasible,
        goal_value=one.value,
        makespan_s=one.makespan_s,
        makespan_interval=_interval(one.makespan_lower_s, one.makespan_upper_s, _MAKESPAN_LEVEL),
        mean_completion_s=one.mean_completion_s,
        memory_needed=one.memory_needed,
        overflow_probability=one.overflow_probability,
        timeline=[
            decision_pb2.TimelineSegment(
                item=part.item,
                start_s=part.start_s,
                end_s=part.end_s,
                slowdown=part.slowdown,
                batch_size=part.batch_size,
            )
            for part in one.timeline
        ],
        why=one.why,
    )


def _put_ranked(answer: decision_pb2.RecommendHardwareResponse, one: Ranked) -> None:
    message = answer.ranked.add(
        name=one.name,
        index=one.index,
        rank=one.rank,
        objective=one.objective,
        probability_best=one.probability_best,
        support=one.support,
        tier=TIERS[one.tier],
        on_front=one.on_front,
        why=one.why,
    )
    # Estimates are most of an answer. To read them takes a third of what it takes to build them.
    message.MergeFromString(b"".join(map(_packed, one.estimates)))
    # What most candidates do not have takes its time all the same when it is named above.
    if one.cost is not None:
        message.cost = one.cost
    if one.energy_j is not None:
        message.energy_j = one.energy_j
    if one.limits:
        message.limits.extend(decision_pb2.LimitCheck(**_check(limit)) for limit in one.limits)
    if one.unknown_features:
        message.unknown_features.extend(one.unknown_features)


def _packed(one: Estimate) -> bytes:
    """Return an estimate as a `RankedCandidate` that has nothing else, serialized."""
    metric, unit, median, lower, upper, level, confidence = one
    pack, (first, second, third, fourth, _) = _estimate_layout(metric, unit, level)
    return pack(first, median, second, lower, third, upper, fourth, confidence)


@lru_cache(maxsize=_REMEMBERED_LAYOUTS)
def _estimate_layout(
    metric: str, unit: str, level: float
) -> tuple[Callable[..., bytes], list[bytes]]:
    """Return what packs the estimates of a metric, and the pieces around their numbers."""
    marks = Marks()
    median, lower, upper, confidence = (marks.new() for _ in range(4))
    marked = Estimate(metric, unit, median, lower, upper, level, confidence)
    message = decision_pb2.RankedCandidate(metrics=_estimates([marked]))
    pieces = marks.cut(message.SerializeToString())
    return Struct("<" + "".join(f"{len(piece)}sd" for piece in pieces[:-1])).pack, pieces


def _excluded(one: Excluded) -> Fields:
    return {
        "name": one.name,
        "index": one.index,
        "reason": REASONS[one.reason],
        "why": one.why,
        "limits": map(_check, one.limits),
        "support": one.support,
        "tier": TIERS[one.tier],
    }


def _estimates(found: Iterable[Estimate]) -> list[Fields]:
    return [
        {
            "metric": one.metric,
            "unit": one.unit,
            "median": one.median,
            "interval": _interval(one.lower, one.upper, one.interval_level),
            "confidence": one.confidence,
        }
        for one in found
    ]


def _check(one: LimitCheck) -> Fields:
    return {
        "limit": one.limit,
        "index": one.index,
        "holds": one.holds,
        "probability": one.probability,
        "bound": one.bound,
        "needed": one.needed,
        "unit": one.unit,
    }


def _infeasible(found: Infeasible) -> decision_pb2.Infeasibility:
    return decision_pb2.Infeasibility(
        binding_limit=found.binding if found.binding >= 0 else None,
        kept_by=found.kept_by,
        nearest=found.nearest,
        nearest_index=found.nearest_index if found.nearest_index >= 0 else None,
        miss=found.miss if found.miss is not None and math.isfinite(found.miss) else None,
        why=found.why,
    )


def _side(side: Side) -> decision_pb2.ComparedConfiguration:
    return decision_pb2.ComparedConfiguration(
        name=side.name,
        objective=side.objective,
        metrics=_estimates(side.estimates),
        cost=side.cost,
        energy_j=side.energy_j,
        probability_best=side.probability_best,
        support=side.support,
        tier=TIERS[side.tier],
        unknown_features=side.unknown_features,
    )


def _difference(one: Difference, level: float) -> decision_pb2.Difference:
    ends = (one.ratio_lower, one.ratio_upper)
    return decision_pb2.Difference(
        name=one.name,
        probability_better=one.probability_better,
        ratio=one.ratio,
        ratio_interval=None
        if ends[0] is None or ends[1] is None
        else _interval(ends[0], ends[1], level),
        certain=one.certain,
        why=one.why,
    )


def _assigned(one: Assigned) -> decision_pb2.AssignedItem:
    return decision_pb2.AssignedItem(
        item=one.item,
        index=one.index,
        node=one.node,
        node_index=one.node_index,
        start_s=one.start_s,
        end_s=one.end_s,
        median_s=one.median_s,
        duration_interval=_interval(one.lower_s, one.upper_s, _MAKESPAN_LEVEL),
        probability_late=one.probability_late,
        support=one.support,
        tier=TIERS[one.tier],
    )


def _load(load: Load) -> decision_pb2.NodeLoad:
    return decision_pb2.NodeLoad(
        node=load.node,
        index=load.index,
        item_count=load.item_count,
        done_s=load.done_s,
        memory_needed=load.memory_needed,
        memory_worst_cases=load.memory_worst_cases,
        memory_capacity=load.memory_capacity,
        overflow_probability=load.overflow_probability,
        power_needed=load.power_needed,
        power_capacity=load.power_capacity,
        overload_probability=load.overload_probability,
    )


def _interval(lower: float, upper: float, level: float) -> Fields:
    return {"lower": lower, "upper": upper, "level": level}


def _key(name: str, column: Column, *, raw: bool) -> common_pb2.Column:
    message = common_pb2.Column(name=name)
    if isinstance(column, Coded):
        message.texts.dictionary.extend(text or "" for text in column.values)
        if raw:
            message.texts.raw_indices = column.indices.astype("<u4").tobytes()
        else:
            message.texts.indices.extend(column.indices.tolist())
    else:
        _put_values(message, column, raw=raw)
    return message


def _put_values(message: common_pb2.Column, column: Column, *, raw: bool) -> None:
    values = np.asarray(column)
    if values.dtype == np.bool_:
        message.flags.values.extend(values.tolist())
    elif values.dtype.kind == "f":
        put_numbers(message.numbers, values, raw=raw)
    else:  # numbers that are sent as texts, such as "43.9 MB"
        texts, indices = np.unique(values.astype(str), return_inverse=True)
        message.texts.dictionary.extend(texts.tolist())
        message.texts.indices.extend(indices.tolist())
