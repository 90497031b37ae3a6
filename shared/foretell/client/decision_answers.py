"""From the responses of DecisionService to the answers of `foretell.decide`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from foretell.client import answers
from foretell.client.batch import Floats, Predictions
from foretell.decide.curve import BestPoint, CurveAnswer, CurveMetric
from foretell.decide.matrix import MatrixMetric, MatrixTable
from foretell.decide.placing.results import Assigned, NodeLoad, Placement, Unplaced
from foretell.decide.questions import Matrix, PlacementGoal, SharingGoal
from foretell.decide.results import (
    Estimate,
    Excluded,
    ExclusionReason,
    Infeasible,
    LimitCheck,
    Ranked,
    Recommendation,
    Regret,
    Verdict,
)
from foretell.decide.sharing.results import Segment, Sharing, Strategy, StrategyName
from foretell.decide.what_if import Comparison, Difference, Side
from foretell.v1 import decision_pb2

_TIERS = {1: "repeat", 2: "warm", 3: "few-shot", 4: "cold"}
# In the order of the enums, whose zero is not stated.
_VERDICTS: Sequence[Verdict] = get_args(Verdict)
_REASONS: Sequence[ExclusionReason] = get_args(ExclusionReason)
_GOALS: Sequence[PlacementGoal] = get_args(PlacementGoal)
_SHARING_GOALS: Sequence[SharingGoal] = get_args(SharingGoal)
_STRATEGIES: Sequence[StrategyName] = get_args(StrategyName)


@dataclass(frozen=True, slots=True, eq=False)
class MatrixAnswer:
    """All cells of a matrix: one row for each, the last axis fastest."""

    axes: Mapping[str, tuple[Any, ...]]
    """By feature, the values that it takes."""
    cells: Predictions

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(values) for values in self.axes.values())

    def grid(
        self, metric: str, what: Literal["median", "lower", "upper", "confidence"] = "median"
    ) -> Floats:
        """Return one number of a metric as an array with one dimension for each axis."""
        values: Floats = getattr(self.cells.metrics[metric], what)
        return values.reshape(self.shape)

    def support(self) -> Floats:
        """Return how well the training data covers each cell, in the same shape."""
        return self.cells.support.reshape(self.shape)

    def table(self) -> MatrixTable:
        """Return the matrix as the decider of one bundle would, without what else was asked."""
        metrics = self.cells.metrics.values()
        return MatrixTable(
            workload=self.cells.workload,
            bundle_version=self.cells.bundle_versions[0],
            axes=self.axes,
            interval_level=next((m.interval_level for m in metrics), 0.0),
            metrics=tuple(
                MatrixMetric(
                    m.metric,
                    m.unit,
                    *(a.reshape(self.shape) for a in (m.median, m.lower, m.upper, m.confidence)),
                )
                for m in metrics
            ),
            support=self.support(),
            tiers=self.cells.tiers.reshape(self.shape),
        )

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return a flat table: the axes' values, then what `Predictions.columns` has."""
        grids = np.meshgrid(
            *(np.array(values, dtype=object) for values in self.axes.values()), indexing="ij"
        )
        keys = {name: grid.ravel() for name, grid in zip(self.axes, grids, strict=True)}
        return {**keys, **self.cells.columns()}


def matrix_answer(
    question: Matrix, responses: Iterable[decision_pb2.PredictMatrixResponse]
) -> MatrixAnswer:
    """Return a matrix from its slices, in order."""
    cells = answers.predictions([response.cells for response in responses])
    return MatrixAnswer({axis.feature: tuple(axis.values) for axis in question.axes}, cells)


def recommendation(message: decision_pb2.RecommendHardwareResponse) -> Recommendation:
    """Return a ranking."""
    regret = message.regret
    return Recommendation(
        workload=message.workload,
        bundle_version=message.bundle_version,
        objective=message.objective,
        objective_unit=message.objective_unit,
        verdict=_VERDICTS[message.verdict - 1],
        ranked=tuple(map(_ranked, message.ranked)),
        ranked_count=message.ranked_count,
        excluded=tuple(map(_excluded, message.excluded)),
        regret=Regret(
            regret.probability_another_better, regret.expected, _optional(regret, "relative")
        )
        if message.HasField("regret")
        else None,
        infeasible=_infeasible(message.infeasibility)
        if message.HasField("infeasibility")
        else None,
        front=tuple(message.pareto_front),
        candidate_count=message.candidate_count,
    )


def curve(message: decision_pb2.PredictCurveResponse) -> CurveAnswer:
    """Return a curve."""
    best = message.best
    return CurveAnswer(
        workload=message.workload,
        bundle_version=message.bundle_version,
        feature=message.feature,
        unit=message.unit,
        log=message.log_scale,
        interval_level=message.interval_level,
        values=np.array(message.values),
        metrics=tuple(
            CurveMetric(
                m.metric,
                m.unit,
                np.array(m.median),
                np.array(m.lower),
                np.array(m.upper),
                m.knee if m.HasField("knee") else math.nan,
            )
            for m in message.metrics
        ),
        support=np.array(message.support),
        objective=message.objective,
        objective_unit=message.objective_unit,
        objectives=np.array(message.objective_values),
        holds=np.array(message.limit_probabilities),
        keeps=tuple(message.within_limits),
        best=BestPoint(best.index, best.value, best.objective)
        if message.HasField("best")
        else None,
        why=message.why,
    )


def comparison(message: decision_pb2.WhatIfResponse) -> Comparison:
    """Return a comparison."""
    return Comparison(
        workload=message.workload,
        bundle_version=message.bundle_version,
        objective=message.objective,
        objective_unit=message.objective_unit,
        certainty=message.certainty,
        interval_level=message.interval_level,
        sides=tuple(map(_side, message.configurations)),
        differences=tuple(map(_difference, message.differences)),
        best=message.best,
    )


def placement(message: decision_pb2.PlaceBatchResponse) -> Placement:
    """Return a placement."""
    return Placement(
        workload=message.workload,
        bundle_version=message.bundle_version,
        goal=_GOALS[message.goal - 1],
        goal_unit=message.goal_unit,
        value=message.goal_value,
        bound=_optional(message, "goal_bound"),
        gap=_optional(message, "gap"),
        method="exact" if message.exact else "heuristic",
        makespan_s=message.makespan_s,
        makespan_lower_s=message.makespan_interval.lower,
        makespan_upper_s=message.makespan_interval.upper,
        cost=_optional(message, "cost"),
        expected_misses=message.expected_misses,
        memory_unit=message.memory_unit,
        power_unit=message.power_unit,
        assigned=tuple(map(_assigned, message.assigned)),
        unplaced=tuple(Unplaced(one.item, one.index, one.why) for one in message.unplaced),
        nodes=tuple(map(_load, message.nodes)),
    )


def sharing(message: decision_pb2.ShareDeviceResponse) -> Sharing:
    """Return strategies."""
    return Sharing(
        workload=message.workload,
        bundle_version=message.bundle_version,
        goal=_SHARING_GOALS[message.goal - 1],
        goal_unit=message.goal_unit,
        memory_unit=message.memory_unit,
        strategies=tuple(map(_strategy, message.strategies)),
        left_out=tuple(message.left_out),
    )


def _strategy(m: decision_pb2.Strategy) -> Strategy:
    return Strategy(
        name=_STRATEGIES[m.kind - 1],
        feasible=m.feasible,
        value=m.goal_value,
        makespan_s=m.makespan_s,
        makespan_lower_s=m.makespan_interval.lower,
        makespan_upper_s=m.makespan_interval.upper,
        mean_completion_s=m.mean_completion_s,
        memory_needed=_optional(m, "memory_needed"),
        overflow_probability=_optional(m, "overflow_probability"),
        timeline=tuple(
            Segment(s.item, s.start_s, s.end_s, s.slowdown, _optional(s, "batch_size"))
            for s in m.timeline
        ),
        why=m.why,
    )


def _ranked(m: decision_pb2.RankedCandidate) -> Ranked:
    return Ranked(
        rank=m.rank,
        name=m.name,
        index=m.index,
        objective=m.objective,
        estimates=_estimates(m.metrics),
        cost=_optional(m, "cost"),
        energy_j=_optional(m, "energy_j"),
        limits=tuple(map(_check, m.limits)),
        probability_best=m.probability_best,
        support=m.support,
        tier=_TIERS.get(m.tier, "unknown"),
        unknown_features=tuple(m.unknown_features),
        on_front=m.on_front,
        why=m.why,
    )


def _excluded(m: decision_pb2.ExcludedCandidate) -> Excluded:
    return Excluded(
        name=m.name,
        index=m.index,
        reason=_REASONS[m.reason - 1],
        why=m.why,
        limits=tuple(map(_check, m.limits)),
        support=m.support,
        tier=_TIERS.get(m.tier, "unknown"),
    )


def _estimates(messages: Iterable[decision_pb2.MetricEstimate]) -> tuple[Estimate, ...]:
    return tuple(
        Estimate(
            m.metric,
            m.unit,
            m.median,
            m.interval.lower,
            m.interval.upper,
            m.interval.level,
            m.confidence,
        )
        for m in messages
    )


def _check(m: decision_pb2.LimitCheck) -> LimitCheck:
    return LimitCheck(
        limit=m.limit,
        index=m.index,
        holds=m.holds,
        probability=_optional(m, "probability"),
        bound=_optional(m, "bound"),
        needed=_optional(m, "needed"),
        unit=m.unit,
    )


def _infeasible(m: decision_pb2.Infeasibility) -> Infeasible:
    return Infeasible(
        binding=m.binding_limit if m.HasField("binding_limit") else -1,
        kept_by=tuple(m.kept_by),
        nearest=m.nearest,
        nearest_index=m.nearest_index if m.HasField("nearest_index") else -1,
        miss=_optional(m, "miss"),
        why=m.why,
    )


def _side(m: decision_pb2.ComparedConfiguration) -> Side:
    return Side(
        name=m.name,
        objective=m.objective,
        estimates=_estimates(m.metrics),
        cost=_optional(m, "cost"),
        energy_j=_optional(m, "energy_j"),
        probability_best=m.probability_best,
        support=m.support,
        tier=_TIERS.get(m.tier, "unknown"),
        unknown_features=tuple(m.unknown_features),
    )


def _difference(m: decision_pb2.Difference) -> Difference:
    known = m.HasField("ratio_interval")
    return Difference(
        name=m.name,
        probability_better=m.probability_better,
        ratio=_optional(m, "ratio"),
        ratio_lower=m.ratio_interval.lower if known else None,
        ratio_upper=m.ratio_interval.upper if known else None,
        certain=m.certain,
        why=m.why,
    )


def _assigned(m: decision_pb2.AssignedItem) -> Assigned:
    return Assigned(
        item=m.item,
        index=m.index,
        node=m.node,
        node_index=m.node_index,
        start_s=m.start_s,
        end_s=m.end_s,
        median_s=m.median_s,
        lower_s=m.duration_interval.lower,
        upper_s=m.duration_interval.upper,
        probability_late=_optional(m, "probability_late"),
        support=m.support,
        tier=_TIERS.get(m.tier, "unknown"),
    )


def _load(m: decision_pb2.NodeLoad) -> NodeLoad:
    return NodeLoad(
        node=m.node,
        index=m.index,
        item_count=m.item_count,
        done_s=m.done_s,
        memory_needed=m.memory_needed,
        memory_worst_cases=m.memory_worst_cases,
        memory_capacity=_optional(m, "memory_capacity"),
        overflow_probability=m.overflow_probability,
        power_needed=m.power_needed,
        power_capacity=_optional(m, "power_capacity"),
        overload_probability=m.overload_probability,
    )


def _optional(message: Any, name: str) -> float | None:  # noqa: ANN401 -- any message
    """Return a field that may not be set."""
    return getattr(message, name) if message.HasField(name) else None
