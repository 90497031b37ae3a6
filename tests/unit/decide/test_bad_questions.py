"""Bad questions: refused as a whole, with a violation for each thing that is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from foretell.decide import (
    Accounting,
    Axis,
    Bounds,
    Candidate,
    Configuration,
    Curve,
    Decider,
    Item,
    Limit,
    Matrix,
    Node,
    Objective,
    Place,
    Recommend,
    Term,
    WhatIf,
)
from foretell.errors import InvalidInput

FAST = Candidate("fast")
LATENCY = Objective((Term("latency_ms"),))
BATCH = {"batch_size": 4.0}


def recommend(**changes: Any) -> Callable[[Decider], object]:  # noqa: ANN401
    """Return a recommendation that is good but for the changes."""
    fields: dict[str, Any] = {
        "features": BATCH,
        "objective": LATENCY,
        "candidates": (FAST, Candidate("old")),
        **changes,
    }
    return lambda decider: decider.recommend(Recommend(**fields))


def curve(**changes: Any) -> Callable[[Decider], object]:  # noqa: ANN401
    """Return a curve that is good but for the changes."""
    fields: dict[str, Any] = {"features": {"hardware": "fast"}, "feature": "batch_size"}
    fields |= {"values": (1.0, 2.0), **changes}
    return lambda decider: decider.curve(Curve(**fields))


def matrix(*axes: Axis, **features: Any) -> Callable[[Decider], object]:  # noqa: ANN401
    """Return a matrix."""
    return lambda decider: decider.matrix(Matrix(axes, features))


def what_if(*sides: Configuration, **changes: Any) -> Callable[[Decider], object]:  # noqa: ANN401
    """Return a comparison by latency, unless the changes say otherwise."""
    return lambda decider: decider.what_if(WhatIf(sides, **{"objective": LATENCY, **changes}))


def place(**changes: Any) -> Callable[[Decider], object]:  # noqa: ANN401
    """Return a placement that is good but for the changes."""
    fields: dict[str, Any] = {"items": (ITEM,), "nodes": (NODE,), **changes}
    return lambda decider: decider.place(Place(**fields))


def limits(*found: Limit) -> Callable[[Decider], object]:
    """Return a recommendation under limits."""
    return recommend(limits=found)


def objective(*terms: Term, **risk: float) -> Callable[[Decider], object]:
    """Return a recommendation by an objective."""
    return recommend(objective=Objective(terms, **risk))


A = Configuration("a", {"hardware": "fast", "batch_size": 4.0})
B = Configuration("b", {"hardware": "old", "batch_size": 4.0})
ITEM, NODE = Item("i", BATCH), Node("n", "fast", memory=9000.0)
SIZES = Axis("batch_size", (1.0, 2.0))
KINDS = Axis("hardware", ("fast", "old"))

BAD = {
    "no objective": (objective(), "objective.terms"),
    "unknown objective": (objective(Term("speed")), "objective.terms[0].quantity"),
    "term twice": (
        objective(Term("latency_ms"), Term("latency_ms")),
        "objective.terms[1].quantity",
    ),
    "weight 0": (objective(Term("latency_ms", 0.0)), "objective.terms[0].weight"),
    "weight nan": (objective(Term("latency_ms", math.nan)), "objective.terms[0].weight"),
    "reference 0": (objective(Term("latency_ms", 1.0, 0.0)), "objective.terms[0].reference"),
    "reference's unit": (
        objective(Term("latency_ms", 1.0, 1.0, "s")),
        "objective.terms[0].unit",
    ),
    "risk of 1": (objective(Term("latency_ms"), risk=1.0), "objective.risk"),
    "quantile 1": (objective(Term("latency_ms"), quantile=1.0), "objective.quantile"),
    "risk and quantile": (
        objective(Term("latency_ms"), risk=0.5, quantile=0.9),
        "objective.quantile",
    ),
    "cost without price": (objective(Term("cost")), "candidates[0].price_per_hour"),
    "energy of nothing": (
        recommend(objective=Objective((Term("energy"),)), accounting=Accounting(power="vendor")),
        "accounting.power",
    ),
    "work of no time": (
        recommend(
            objective=Objective((Term("energy"),)), accounting=Accounting(work_metric="memory_mb")
        ),
        "accounting.work_metric",
    ),
    "unknown metric": (limits(Limit("speed", at_most=1.0)), "limits[0].quantity"),
    "no bound": (limits(Limit("latency_ms")), "limits[0]"),
    "two bounds": (limits(Limit("latency_ms", at_most=1.0, at_least=0.5)), "limits[0]"),
    "bound nan": (limits(Limit("latency_ms", at_most=math.nan)), "limits[0].at_most"),
    "below 0": (limits(Limit("latency_ms", at_most=-5.0)), "limits[0].at_most"),
    "unit of another kind": (
        limits(Limit("latency_ms", at_most=50.0, unit="MB")),
        "limits[0].unit",
    ),
    "unit of the same kind": (
        limits(Limit("latency_ms", at_most=0.05, unit="s")),
        "limits[0].unit",
    ),
    "probability 1": (
        limits(Limit("latency_ms", at_most=9.0, probability=1.0)),
        "limits[0].probability",
    ),
    "no such fact": (
        limits(Limit("memory_mb", at_most_fact="ram")),
        "limits[0].at_most_fact",
    ),
    "fact of another kind": (
        limits(Limit("memory_mb", at_most_fact="tdp_w")),
        "limits[0].at_most_fact",
    ),
    "more than all": (
        limits(Limit("memory_mb", at_most_fact="memory_gb", share=1.5)),
        "limits[0].share",
    ),
    "contradiction": (
        limits(Limit("power_w", at_least=300.0), Limit("power_w", at_most=200.0)),
        "limits[1]",
    ),
    "the same limit twice": (
        limits(Limit("power_w", at_most=300.0), Limit("power_w", at_most=200.0)),
        "limits[1]",
    ),
    "no candidates": (recommend(candidates=()), "candidates"),
    "the same candidate twice": (recommend(candidates=(FAST, FAST)), "candidates[1]"),
    "a candidate without a name": (recommend(candidates=(Candidate(""),)), "candidates[0].name"),
    "a candidate without facts": (
        recommend(candidates=(FAST, Candidate("new"))),
        "candidates[1].name",
    ),
    "a candidate's wrong fact": (
        recommend(candidates=(Candidate("new", {"memory_gb": "much"}),)),
        "candidates[0].features[memory_gb]",
    ),
    "a candidate's wrong feature": (
        recommend(candidates=(FAST, Candidate("old", {"batch_size": 0.0}))),
        "candidates[1].features[batch_size]",
    ),
    "a negative price": (
        recommend(candidates=(Candidate("fast", price_per_hour=-1.0),)),
        "candidates[0].price_per_hour",
    ),
    "fewer than none": (
        recommend(candidates=(Candidate("fast", available=-1),)),
        "candidates[0].available",
    ),
    "the item's wrong feature": (
        recommend(features={"batch_size": math.inf}),
        "features[batch_size]",
    ),
    "a missing feature": (recommend(features={}), "features[batch_size]"),
    "an unknown feature": (recommend(features={**BATCH, "size": 1.0}), "features[size]"),
    "a hardware in the item": (
        recommend(features={**BATCH, "hardware": "fast"}),
        "features[hardware]",
    ),
    "candidates of a number": (recommend(candidate_feature="batch_size"), "candidate_feature"),
    "a front of one": (recommend(pareto=("cost",)), "pareto"),
    "a front of nothing": (recommend(pareto=("latency_ms", "speed")), "pareto[1]"),
    "no results": (recommend(max_results=0), "max_results"),
    "level 1": (recommend(interval_level=1.0), "interval_level"),
    "floor 2": (recommend(support_floor=2.0), "support_floor"),
    "a curve of a category": (curve(feature="job"), "feature"),
    "a curve that is held": (
        curve(features={"hardware": "fast", "batch_size": 1.0}),
        "features[batch_size]",
    ),
    "a falling curve": (curve(values=(2.0, 1.0)), "values"),
    "a curve without points": (curve(values=()), "values"),
    "a curve's bad point": (curve(values=(0.5, 2.0)), "values[0].features[batch_size]"),
    "a range turned around": (curve(values=(), start=8.0, stop=1.0), "start"),
    "a range of one": (curve(values=(), start=1.0, stop=8.0, points=1), "points"),
    "range and values": (curve(start=1.0), "values"),
    "a curve's cost": (curve(objective=Objective((Term("cost"),))), "price_per_hour"),
    "no axes": (matrix(), "axes"),
    "an axis twice": (matrix(SIZES, SIZES, hardware="fast"), "axes[1].feature"),
    "an axis that is held": (matrix(KINDS, hardware="old", batch_size=1.0), "axes[0].feature"),
    "an empty axis": (matrix(KINDS, Axis("batch_size", ())), "axes[1].values"),
    "a value twice": (matrix(SIZES, Axis("hardware", ("old", "old"))), "axes[1].values[1]"),
    "a bad value": (matrix(KINDS, Axis("batch_size", (1.0, -1.0))), "axes[1].values[1]"),
    "an unknown axis": (matrix(KINDS, SIZES, Axis("shape", (1.0,))), "axes[2].values[0]"),
    "too many cells": (
        matrix(KINDS, Axis("batch_size", tuple(float(i) for i in range(1, 101)))),
        "axes",
    ),
    "one side": (what_if(A), "configurations"),
    "a name twice": (what_if(A, Configuration("a", B.features)), "configurations[1].name"),
    "the same twice": (what_if(A, Configuration("b", A.features)), "configurations[1].features"),
    "a side's bad feature": (
        what_if(A, Configuration("b", {"hardware": "old", "batch_size": "x"})),
        "configurations[1].features[batch_size]",
    ),
    "certainty 0.4": (what_if(A, B, certainty=0.4), "certainty"),
    "a side without price": (
        what_if(A, B, objective=Objective((Term("cost"),))),
        "configurations[0].price_per_hour",
    ),
    "no items": (place(items=()), "items"),
    "no nodes": (place(nodes=()), "nodes"),
    "an item twice": (place(items=(ITEM, ITEM)), "items[1].name"),
    "an item's bad feature": (
        place(items=(ITEM, Item("j", {"batch_size": -1.0}))),
        "items[1].features[batch_size]",
    ),
    "an item without a feature": (place(items=(Item("j", {}),)), "items[0].features[batch_size]"),
    "a node's bad fact": (
        place(nodes=(NODE, Node("m", "new", {"memory_gb": "much"}))),
        "nodes[1].features[memory_gb]",
    ),
    "an unknown node": (place(nodes=(NODE, Node("m"))), "nodes[1].name"),
    "no work": (place(items=(Item("i", BATCH, work=0.0),)), "items[0].work"),
    "a deadline that was": (place(items=(Item("i", BATCH, -1.0),)), "items[0].deadline_s"),
    "no memory": (place(nodes=(Node("n", "fast", memory=0.0),)), "nodes[0].memory"),
    "no slots": (place(nodes=(Node("n", "fast", slots=0),)), "nodes[0].slots"),
    "free in the past": (place(nodes=(Node("n", "fast", free_in_s=-1.0),)), "nodes[0].free_in_s"),
    "a node without price": (place(goal="cost"), "nodes[0].price_per_hour"),
    "a goal that is none": (place(goal="fun"), "goal"),
    "no deadline to miss": (place(goal="deadline_misses"), "items"),
    "risk 0": (place(overflow_risk=0.0), "overflow_risk"),
    "an hour of search": (place(seconds=3600.0), "seconds"),
    "a memory that is none": (place(memory_metric="power_w"), "memory_metric"),
    "too many pairs": (
        place(items=tuple(Item(f"i{i}", BATCH) for i in range(101))),
        "items",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_question_is_refused_with_the_field_that_is_wrong(
    decider: Decider, name: str
) -> None:
    """Nothing is guessed or ignored: the field, and what is allowed, are named."""
    ask, field = BAD[name]
    with pytest.raises(InvalidInput) as refused:
        ask(Decider(decider.predictor, Bounds(cells=100, pairs=100)))
    assert field in [violation.field for violation in refused.value.violations]
    assert all(violation.message for violation in refused.value.violations)


def test_everything_that_is_wrong_is_said_at_once(decider: Decider) -> None:
    """One refusal lists the violations of objective, limits and candidates together."""
    ask = recommend(
        objective=Objective((Term("speed"),), risk=2.0),
        limits=(Limit("latency_ms"),),
        candidates=(FAST, FAST),
    )
    with pytest.raises(InvalidInput) as refused:
        ask(decider)
    fields = {violation.field for violation in refused.value.violations}
    assert fields >= {
        "objective.terms[0].quantity",
        "objective.risk",
        "limits[0]",
        "candidates[1]",
    }
