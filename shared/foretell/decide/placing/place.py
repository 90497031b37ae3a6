"""Placing a batch: the heuristic first, the exact program where it is small, then the answer."""

from __future__ import annotations

import math
import time

import numpy as np

from foretell.decide.placing.exact import can_solve, solve
from foretell.decide.placing.loads import Loads
from foretell.decide.placing.problem import Problem
from foretell.decide.placing.results import (
    Assigned,
    NodeLoad,
    Placement,
    PlacementMethod,
    Unplaced,
)
from foretell.decide.placing.schedule import Run
from foretell.decide.placing.search import Assignment, Costs, greedy, improve
from foretell.forecast import Floats
from foretell.predictor import Prediction

_CLOSE = 1e-6
_UNITS = {"makespan": "s", "cost": "price", "deadline_misses": "1"}
_SHARE_FOR_SEARCH = 0.5


def place(problem: Problem, seconds: float) -> tuple[Assignment, float | None]:
    """Return an assignment and a bound of its goal from below, None without one.

    Half of the time goes to the local search, half to the proof; what one leaves the other has.
    """
    expected = problem.mean_seconds()
    assignment = Assignment(problem, Costs(expected, problem.mean_cost(expected)), Loads(problem))
    solvable = seconds > 0 and can_solve(assignment)
    began = time.monotonic()  # importing the solver is no search
    greedy(assignment)
    improve(assignment, began + _SHARE_FOR_SEARCH * seconds)
    bound = simple_bound(assignment)
    if solvable:
        items = range(len(problem.items))
        solved = solve(assignment, items, began + seconds)
        bound = max(bound, solved.bound)
        if solved.on is not None:
            _take_if_better(assignment, solved.on)
    return assignment, bound if math.isfinite(bound) and not assignment.unplaced else None


def simple_bound(assignment: Assignment) -> float:
    """Return what no placement of all items is below, whatever fits beside what."""
    problem, costs = assignment.problem, assignment.costs
    if problem.goal == "makespan":
        free = np.array([node.free_in_s for node in problem.nodes])
        alone = (costs.seconds + free).min(axis=1).max()
        slots = [node.slots for node in problem.nodes]
        if any(count is None for count in slots):
            return float(alone)
        return float(max(alone, costs.seconds.min(axis=1).sum() / sum(s or 0 for s in slots)))
    nodes = range(len(problem.nodes))
    return float(
        sum(min(assignment.score_of(j, [i]) for j in nodes) for i in range(len(problem.items)))
    )


def _take_if_better(assignment: Assignment, on: tuple[tuple[int, ...], ...]) -> None:
    before = [list(items) for items in assignment.on], list(assignment.unplaced), assignment.goal
    assignment.replace(on, ())
    if before[1] or assignment.goal < before[2]:
        return
    assignment.replace(before[0], before[1])


def describe(
    assignment: Assignment, bound: float | None, prediction: Prediction, version: str, workload: str
) -> Placement:
    """Return the answer that an assignment is."""
    problem, value = assignment.problem, assignment.goal
    tables = [
        assignment.scheduler.timetable(node, items) for node, items in enumerate(assignment.on)
    ]
    ends = [assignment.scheduler.ends(node, runs) for node, runs in enumerate(tables)]
    assigned = [
        _assigned(assignment, node, run, ends[node][run.item], prediction)
        for node, runs in enumerate(tables)
        for run in runs
    ]
    makespan = np.max(
        [np.zeros(problem.outcomes), *(e for on in ends for e in on.values())], axis=0
    )
    gap = None if bound is None else max(0.0, (value - bound) / value) if value > 0 else 0.0
    method: PlacementMethod = "exact" if gap is not None and gap <= _CLOSE else "heuristic"
    lower, upper = np.quantile(makespan, (0.1, 0.9))
    return Placement(
        workload=workload,
        bundle_version=version,
        goal=problem.goal,
        goal_unit=_UNITS[problem.goal],
        value=value,
        bound=bound,
        gap=gap,
        method=method,
        makespan_s=float(makespan.mean()),
        makespan_lower_s=float(lower),
        makespan_upper_s=float(upper),
        cost=_cost(assignment),
        expected_misses=float(sum(a.probability_late or 0.0 for a in assigned)),
        memory_unit=_unit(problem, problem.metrics.memory),
        power_unit=_unit(problem, problem.metrics.power.name if problem.metrics.power else None),
        assigned=tuple(sorted(assigned, key=lambda a: a.index)),
        unplaced=tuple(_unplaced(assignment, item) for item in sorted(assignment.unplaced)),
        nodes=tuple(_load(assignment, node, runs) for node, runs in enumerate(tables)),
    )


def _assigned(
    assignment: Assignment, number: int, run: Run, ends: Floats, prediction: Prediction
) -> Assigned:
    problem = assignment.problem
    item, node = problem.items[run.item], problem.nodes[number]
    lower, median, upper = np.quantile(problem.seconds(run.item, number), (0.1, 0.5, 0.9))
    row, deadline = problem.row(run.item, number), item.deadline_s
    return Assigned(
        item=item.name,
        index=run.item,
        node=node.name,
        node_index=number,
        start_s=run.start_s,
        end_s=run.end_s,
        median_s=float(median),
        lower_s=float(lower),
        upper_s=float(upper),
        probability_late=None if deadline is None else float((ends > deadline).mean()),
        support=float(prediction.support[row]),
        tier=prediction.tier[row],
    )


def _cost(assignment: Assignment) -> float | None:
    prices = assignment.costs.prices
    total = sum(prices[i, node] for node, items in enumerate(assignment.on) for i in items)
    return None if math.isnan(total) else float(total)


def _unplaced(assignment: Assignment, item: int) -> Unplaced:
    problem, loads = assignment.problem, assignment.loads
    risk = 100 * problem.overflow_risk
    alone = [node for node in range(len(problem.nodes)) if loads.fits(node, [item])]
    if not alone:
        why = f"takes more than any node has, with a risk above {risk:g} %"
    else:
        names = ", ".join(problem.nodes[node].name for node in alone[:5])
        why = f"fits only beside fewer others, on {names}"
    return Unplaced(problem.items[item].name, item, why)


def _load(assignment: Assignment, node: int, runs: list[Run]) -> NodeLoad:
    problem, loads, given = assignment.problem, assignment.loads, assignment.problem.nodes[node]
    level = 1 - problem.overflow_risk
    needed = {
        run.together: float(np.quantile(loads.memory(node, run.together), level)) for run in runs
    }
    drawn = [float(np.quantile(loads.watts(node, there), level)) for there in needed]
    overflows = [loads.overflow(node, there) for there in needed]
    fullest = max(needed, key=needed.__getitem__, default=frozenset[int]())
    return NodeLoad(
        node=given.name,
        index=node,
        item_count=len(runs),
        done_s=max((run.end_s for run in runs), default=0.0),
        memory_needed=needed.get(fullest, 0.0),
        memory_worst_cases=loads.worst_cases(node, fullest),
        memory_capacity=given.memory,
        overflow_probability=max((found.memory for found in overflows), default=0.0),
        power_needed=max(drawn, default=0.0),
        power_capacity=given.power,
        overload_probability=max((found.power for found in overflows), default=0.0),
    )


def _unit(problem: Problem, metric: str | None) -> str:
    schema = problem.strata.schema
    return schema.metric(metric).unit if metric in schema.metric_names and metric else ""
