"""What can be wrong with a batch that is to be placed, and which metrics it needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from foretell.decide.candidates import check_price
from foretell.decide.placing.problem import Metrics
from foretell.decide.quantities import Power, Quantities, Refused, Violations, WorkTime
from foretell.decide.questions import Item, Node, Place
from foretell.decide.units import dimension
from foretell.errors import Violation, listing

LONGEST_S = 60.0
GOALS = ("makespan", "cost", "deadline_misses")


def check_place(question: Place, quantities: Quantities, note: Violations) -> Metrics | None:
    """Return the metrics that a placement reads; None once all that is wrong is noted."""
    check_items(question.items, note)
    if not question.nodes:
        note.add("nodes", "", "at least one is needed")
    _check_names("nodes", question.nodes, note)
    for j, node in enumerate(question.nodes):
        _check_node(node, f"nodes[{j}]", note)
    if question.goal not in GOALS:
        note.add("goal", question.goal, f"{question.goal!r} is not one of {listing(GOALS)}")
    risk, seconds = question.overflow_risk, question.seconds
    note.unless(0 < risk < 1, "overflow_risk", risk, "between 0 and 1, both excluded")
    note.unless(0 <= seconds <= LONGEST_S, "seconds", seconds, f"from 0 to {LONGEST_S:g}")
    if question.goal == "deadline_misses" and all(i.deadline_s is None for i in question.items):
        note.add("items", "", "no item has a deadline that could be missed")
    return _metrics(question, quantities, note)


def check_items(items: Sequence[Item], note: Violations) -> None:
    """Note what is wrong with items."""
    if not items:
        note.add("items", "", "at least one is needed")
    _check_names("items", items, note)
    for i, item in enumerate(items):
        _check_item(item, f"items[{i}]", note)


def _check_names(what: str, found: Sequence[Item | Node], note: Violations) -> None:
    seen: dict[str, int] = {}
    for i, one in enumerate(found):
        if not one.name:
            note.add(f"{what}[{i}].name", "", "a name is needed")
        elif one.name in seen:
            message = f"{one.name!r} is the name of {what}[{seen[one.name]}] too"
            note.add(f"{what}[{i}].name", one.name, message)
        seen.setdefault(one.name, i)


def _check_item(item: Item, field: str, note: Violations) -> None:
    good = math.isfinite(item.work) and item.work > 0
    note.unless(good, f"{field}.work", item.work, "above 0")
    if item.deadline_s is not None and not (math.isfinite(item.deadline_s) and item.deadline_s > 0):
        note.add(f"{field}.deadline_s", item.deadline_s, f"{item.deadline_s:g} is not above 0")


def _check_node(node: Node, field: str, note: Violations) -> None:
    for name, value in (("memory", node.memory), ("power", node.power)):
        if value is not None and not (math.isfinite(value) and value > 0):
            note.add(f"{field}.{name}", value, f"{value:g} is not above 0")
    if node.slots is not None and node.slots < 1:
        note.add(f"{field}.slots", node.slots, f"{node.slots} is not at least 1")
    good = math.isfinite(node.free_in_s) and node.free_in_s >= 0
    note.unless(good, f"{field}.free_in_s", node.free_in_s, "at least 0")
    check_price(node.price_per_hour, f"{field}.", note)


def _metrics(question: Place, quantities: Quantities, note: Violations) -> Metrics | None:
    before = len(note.found)
    work: WorkTime | None = None
    power: Power | None = None
    memory: str | None = None
    try:
        work = quantities.work("accounting.work_metric")
    except Refused as refused:
        note.found.append(refused.violation)
    if any(node.power is not None for node in question.nodes):
        try:
            power = quantities.power("accounting.power")
        except Refused as refused:
            note.found.append(refused.violation)
        if power is not None and not power.is_metric:
            message = f"{power.name!r} is a fact of the node; its items' power has to be a metric"
            note.add("accounting.power", power.name, message)
    if any(node.memory is not None for node in question.nodes):
        memory = memory_metric(question.memory_metric, quantities, note)
    if len(note.found) > before or work is None:
        return None
    return Metrics(work, memory, power)


def memory_metric(named: str, quantities: Quantities, note: Violations) -> str | None:
    """Return the metric of memory; None once it is noted that there is none, or several."""
    metrics = quantities.schema.metrics
    known = [m.name for m in metrics if dimension(m.unit) == "memory"]
    if named and named not in known:
        message = f"{named!r} is no metric of memory; known: {listing(known)}"
        note.add("memory_metric", named, message)
        return None
    if named or len(known) == 1:
        return named or known[0]
    message = f"{len(known)} metrics are memory; name one of {listing(known)}"
    note.found.append(Violation("memory_metric", "", message))
    return None
