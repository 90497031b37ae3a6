"""Sharing a device: what is wrong with the question, then every strategy that can be judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from foretell.decide.limits import Bound, resolve_limits
from foretell.decide.outcomes import Strata
from foretell.decide.placing.check import check_items, memory_metric
from foretell.decide.quantities import Quantities, Refused, Violations, WorkTime
from foretell.decide.questions import Share
from foretell.decide.rows import encode_rows
from foretell.decide.sharing.forecasts import Known, lay_out
from foretell.decide.sharing.results import Sharing, Strategy
from foretell.decide.sharing.strategies import batched, parallel, sequential
from foretell.decide.units import dimension
from foretell.errors import InvalidInput, listing
from foretell.predictor import Predictor
from foretell.schema import Schema
from foretell.variants import Variants

NEIGHBOUR = "neighbour"
ALONE = "alone"
"""The neighbour of an item that nothing runs beside, where training knows it by this name; else
the feature is left out."""
SLOWDOWN = "slowdown"
"""The metric that says how many times as long an item takes beside its neighbour as alone, where
the schema has one; else the work metric itself is forecast for both."""
DEFAULT_SIZES = tuple(2.0**power for power in range(9))
GOALS = ("makespan", "mean_completion", "memory")
SHARED_ERROR = 0.5
MOST_ITEMS = 32


@dataclass(frozen=True)
class _Asked:
    """A question that is good, and what it needs of the schema; "" for what there is not."""

    question: Share
    bounds: tuple[Bound, ...]
    work: WorkTime
    memory: str | None
    neighbour: str
    item_feature: str
    batch: str


def share(question: Share, predictor: Predictor, strata: Strata) -> Sharing:
    """Return the strategies; InvalidInput has everything that is wrong with the question."""
    asked = _checked(question, predictor.schema)
    knows_alone = ALONE in predictor.encoder.vocabulary.get(asked.neighbour, ())
    nobody = {asked.neighbour: ALONE} if knows_alone else {}
    layout = lay_out(asked.question, asked.neighbour, asked.item_feature, asked.batch, nobody)
    encoded = encode_rows(Variants(predictor.encoder, layout.own), {}, layout.fields)
    forecasts = predictor.forecast(encoded).forecasts
    known = Known(
        items=question.items,
        layout=layout,
        forecasts=forecasts,
        # Times are weighed by their means, which the far tails must not carry.
        outcomes=strata.outcomes(forecasts, SHARED_ERROR),
        tails=strata.outcomes(forecasts, SHARED_ERROR, question.overflow_risk / 4),
        work=asked.work,
        memory_metric=asked.memory,
        slowdown=question.slowdown,
        slowdown_metric=_slowdown_metric(predictor.schema),
    )
    found = [sequential(known, asked.question, asked.bounds)]
    left_out = []
    if asked.neighbour or question.slowdown is not None:
        found.append(parallel(known, asked.question, asked.bounds))
    else:
        left_out.append("parallel: nothing says how items slow each other down; give `slowdown`")
    if asked.batch:
        found.append(batched(known, asked.question, asked.bounds))
    else:
        left_out.append(f"batched: the workload has no number {question.batch_feature!r}")
    schema = predictor.schema
    return Sharing(
        workload=schema.workload,
        bundle_version=predictor.version,
        goal=question.goal,
        goal_unit=_memory_unit(schema, asked.memory) if question.goal == "memory" else "s",
        memory_unit=_memory_unit(schema, asked.memory),
        strategies=tuple(sorted(found, key=_order)),
        left_out=tuple(left_out),
    )


def _order(strategy: Strategy) -> tuple[bool, float]:
    return not strategy.feasible, strategy.value


def _slowdown_metric(schema: Schema) -> str | None:
    is_there = SLOWDOWN in schema.metric_names and schema.metric(SLOWDOWN).unit in ("", "1")
    return SLOWDOWN if is_there else None


def _memory_unit(schema: Schema, metric: str | None) -> str:
    return schema.metric(metric).unit if metric else ""


def _checked(question: Share, schema: Schema) -> _Asked:
    note = Violations()
    check_items(question.items, note)
    if not 2 <= len(question.items) <= MOST_ITEMS:
        note.add("items", len(question.items), f"from 2 to {MOST_ITEMS} can share a device")
    if question.goal not in GOALS:
        note.add("goal", question.goal, f"{question.goal!r} is not one of {listing(GOALS)}")
    risk, slowdown = question.overflow_risk, question.slowdown
    note.unless(0 < risk < 1, "overflow_risk", risk, "between 0 and 1, both excluded")
    if slowdown is not None:
        note.unless(math.isfinite(slowdown) and slowdown >= 1, "slowdown", slowdown, "at least 1")
    if question.memory is not None:
        good = math.isfinite(question.memory) and question.memory > 0
        note.unless(good, "memory", question.memory, "above 0")
    quantities = Quantities(schema, question.accounting)
    bounds = resolve_limits(question.limits, quantities, note)
    for i, bound in enumerate(bounds):
        is_time = bound.quantity.kind == "metric" and dimension(bound.quantity.unit) == "time"
        if not (is_time and bound.is_upper):
            name = bound.quantity.name
            message = f"{name!r} is no metric of time with an upper limit, which strategies keep"
            note.add(f"limits[{i}]", name, message)
    work = None
    try:
        work = quantities.work("accounting.work_metric")
    except Refused as refused:
        note.found.append(refused.violation)
    memory = _memory(question, quantities, schema, note)
    neighbour, item_feature = _neighbours(question, schema, note)
    batch = _batch(question, schema, note)
    if note.found or work is None:
        raise InvalidInput(note.found)
    asked = replace(question, batch_sizes=question.batch_sizes or _usual_sizes(schema, batch))
    return _Asked(asked, bounds, work, memory, neighbour, item_feature, batch)


def _usual_sizes(schema: Schema, batch: str) -> tuple[float, ...]:
    if not batch:
        return ()
    feature = schema.feature(batch)
    low, high = feature.lower_limit, feature.upper_limit
    return tuple(size for size in DEFAULT_SIZES if low <= size <= high)


def _memory(
    question: Share, quantities: Quantities, schema: Schema, note: Violations
) -> str | None:
    metrics = [m.name for m in schema.metrics if dimension(m.unit) == "memory"]
    wanted = question.memory is not None or question.goal == "memory" or question.memory_metric
    if wanted or len(metrics) == 1:
        return memory_metric(question.memory_metric, quantities, note)
    return None


def _neighbours(question: Share, schema: Schema, note: Violations) -> tuple[str, str]:
    """Return the feature that names neighbours and the one that items are named by."""
    sent = [f.name for f in schema.features if f.kind == "category" and f.derive is None]
    named = question.neighbour_feature
    if named and named not in sent:
        message = f"{named!r} is no category that is sent: {listing(sent)}"
        note.add("neighbour_feature", named, message)
        return "", ""
    neighbour = named or (NEIGHBOUR if NEIGHBOUR in sent else "")
    if not neighbour:
        return "", ""
    ids = [group[0] for group in schema.groups if len(group) == 1 and group[0] != neighbour]
    item_feature = question.item_feature or (ids[0] if ids else "")
    if item_feature not in sent:
        message = f"{item_feature!r} is no category that is sent: {listing(sent)}"
        note.add("item_feature", item_feature, message)
        return "", ""
    _check_neighbours(question, neighbour, item_feature, note)
    return neighbour, item_feature


def _check_neighbours(question: Share, neighbour: str, item_feature: str, note: Violations) -> None:
    for i, item in enumerate(question.items):
        if neighbour in item.features:
            field = f"items[{i}].features[{neighbour}]"
            note.add(field, "", "is what the strategies vary")
        if not item.features.get(item_feature):
            field = f"items[{i}].features[{item_feature}]"
            note.add(field, "", "is needed: it names the item to its neighbours")


def _batch(question: Share, schema: Schema, note: Violations) -> str:
    """Return the feature that is batched, "" when the workload has none of that name."""
    numbers: Sequence[str] = [f.name for f in schema.features if f.kind == "number"]
    if question.batch_sizes and question.batch_feature not in numbers:
        known = listing(numbers)
        message = f"{question.batch_feature!r} is no number; one of {known}"
        note.add("batch_feature", question.batch_feature, message)
    sizes = question.batch_sizes
    for i, size in enumerate(sizes):
        good = math.isfinite(size) and size > 0 and size not in sizes[:i]
        note.unless(good, f"batch_sizes[{i}]", size, "a size above 0 that is there once")
    return question.batch_feature if question.batch_feature in numbers else ""
