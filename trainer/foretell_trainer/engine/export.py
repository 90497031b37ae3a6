"""Export: one ONNX graph that answers every metric of a row, and the proof that it is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from foretell.columns import Codes, Numbers
from foretell.errors import BundleRejected
from foretell_trainer.engine.fitting import Fitted, derived_tables
from foretell_trainer.engine.floors import combined_to_onnx
from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats, GraphInputs
from foretell_trainer.engine.interaction import interaction_to_onnx
from foretell_trainer.engine.linear import base_to_onnx
from foretell_trainer.engine.links import derived_to_onnx
from foretell_trainer.engine.scale import (
    DISTANCE_STEPS,
    FARTHEST,
    SMALLEST,
    scale_features,
)
from foretell_trainer.engine.seen import (
    columns_of,
    distance_to_onnx,
    rows_to_onnx,
    support,
    support_to_onnx,
    table_to_onnx,
)
from foretell_trainer.engine.trees import Forest

TOLERANCE = 1e-4
"""How far the graph may be from the native models, relative to the metric."""


@dataclass(frozen=True)
class Answers:
    """What the native models say, in the graph's shapes."""

    location: Floats
    scale: Floats
    support: Floats
    table: NDArray[np.int64]
    rows: Floats


def build_graph(fitted: Fitted) -> onnx.ModelProto:
    """Return the graph: inputs, bases, one forest for all locations and scales, support."""
    schema = fitted.training.schema
    graph = GraphBuilder()
    numbers = graph.input("numbers", np.float64, len(schema.number_names))
    categories = graph.input("categories", np.int64, len(schema.category_names))
    inputs = fitted.training.input_map.to_onnx(graph, numbers, categories)
    counts = [seen.counts for seen in fitted.seen]
    width = len(schema.category_names)
    rows = rows_to_onnx(counts, graph, inputs.code_matrix, width, inputs.excess)
    places = [seen.neighbourhood for seen in fitted.seen]
    distance = distance_to_onnx(places, graph, inputs.standard)
    base, floors, effects = _bases(graph, fitted, inputs)
    met = _interactions(graph, fitted, inputs)
    base = _with_interactions(graph, fitted, base, met)
    base = base if floors is None else _with_floors(graph, fitted, base, floors)
    forest = _forest(graph, fitted, inputs, base, effects, met, rows, distance)
    location, scale = _location_and_scale(graph, fitted, inputs, base, forest)
    graph.output("location", graph.cast(location, np.float32), np.float32, len(schema.metrics))
    graph.output("scale", graph.cast(scale, np.float32), np.float32, len(schema.metrics))
    behind = rows if len(counts) == 1 else graph.columns(rows, columns_of(counts, 0))
    near = graph.column(distance, 0)
    value = support_to_onnx(
        fitted.counts, graph, graph.cast(behind, np.float64), near, inputs.excess
    )
    graph.output("support", graph.cast(value, np.float32), np.float32, None)
    tables = graph.columns(table_to_onnx(counts, graph, rows), _seen_by(fitted))
    graph.output("table", tables, np.int64, len(schema.metrics))
    graph.output("rows", behind, np.float32, len(fitted.counts.names))
    return graph.model(schema.workload)


def _seen_by(fitted: Fitted) -> NDArray[np.int64]:
    """Return, per metric, which of what was seen it goes by, [M]."""
    return np.array([fitted.seen_by[m] for m in range(len(fitted.seen_by))], dtype=np.int64)


def native(fitted: Fitted, numbers: Numbers, categories: Codes) -> Answers:
    """Return what the models that the graph was made from say."""
    training = fitted.training
    inputs = training.input_map(numbers, categories)
    rows = [seen.counts.rows(inputs.codes) for seen in fitted.seen]
    distance = [seen.neighbourhood.distance(inputs.standard) for seen in fitted.seen]
    location = np.zeros((len(numbers), len(training.schema.metrics)))
    scale = np.zeros_like(location)
    for m in fitted.metrics:
        own = fitted.seen_by[m.metric]
        features = scale_features(m.location.features(inputs), rows[own], distance[own])
        location[:, m.metric] = m.location.predict(inputs) * m.unit
        scale[:, m.metric] = m.scale.predict(features, inputs.beyond) * m.unit
    for derived in fitted.derived:
        offset = derived.offset(training.input_map, numbers, categories)
        location[:, derived.metric] = derived.power * location[:, derived.source] + offset
        scale[:, derived.metric] = abs(derived.power) * scale[:, derived.source]
    value = support(fitted.counts, rows[0], distance[0], inputs.excess)
    tables = np.column_stack([fitted.counts.table(own) for own in rows])
    return Answers(location, scale, value, tables[:, _seen_by(fitted)], rows[0])


def quantile_values(fitted: Fitted) -> Floats:
    """Return the calibrated tables of all metrics, [T, M, Q]."""
    by_metric = {m.metric: m.tables for m in fitted.metrics}
    for derived in fitted.derived:
        by_metric[derived.metric] = derived_tables(by_metric[derived.source], derived.power)
    return np.stack([by_metric[m] for m in range(len(by_metric))], axis=1)


def prove(expected: Answers, found: Answers, units: Floats, version: str = "candidate") -> float:
    """Return the largest error of the graph, relative to each metric.

    Raises BundleRejected when it is above the tolerance on any row.
    """
    worst = 0.0
    for name in ("location", "scale"):
        mine = getattr(expected, name)
        # The outputs are float32: far from 0, their rounding is no error of the graph.
        rounding = np.abs(mine) * np.finfo(np.float32).eps
        difference = np.abs(mine - getattr(found, name))
        error = np.maximum(difference - rounding, 0.0) / units
        worst = max(worst, float(error.max(initial=0.0)))
        if not np.isfinite(error).all() or worst > TOLERANCE:
            row = int(np.nanargmax(error.max(axis=1)))
            why = f"the graph's {name} differs by {worst:.2g} from the fitted model in row {row}"
            raise BundleRejected(version, why)
    if (expected.table != found.table).any() or (expected.rows != found.rows).any():
        raise BundleRejected(version, "the graph counts training rows differently")
    return worst


def _bases(
    graph: GraphBuilder, fitted: Fitted, inputs: GraphInputs
) -> tuple[str, str | None, str | None]:
    """Add all bases: double [n, M], floors [n, K] of the metrics that have one, and effects."""
    count = len(fitted.metrics)
    floors = [m.location.floor for m in fitted.metrics if m.location.floor is not None]
    bases = [m.location.base for m in fitted.metrics]
    both, effects = base_to_onnx(graph, inputs, [*bases, *floors])
    if not floors:
        return both, None, effects
    categories = len(inputs.codes)
    first = graph.columns(both, np.arange(count))
    second = graph.columns(both, np.arange(count, count + len(floors)))
    own = None if effects is None else graph.columns(effects, np.arange(count * categories))
    return first, second, own


def _with_floors(graph: GraphBuilder, fitted: Fitted, base: str, floors: str) -> str:
    """Add the floors of the metrics that have one; double [n, M]."""
    parts = [m.location.parts for m in fitted.metrics]
    having = [i for i, one in enumerate(parts) if one is not None]
    signs = np.array([float(one.sign) for one in parts if one is not None])
    whole = len(having) == len(parts)
    work = base if whole else graph.columns(base, np.array(having))
    found = combined_to_onnx(graph, work, floors, signs)
    if whole:
        return found
    order = np.arange(len(parts))
    order[having] = len(parts) + np.arange(len(having))
    return graph.columns(graph.side_by_side(base, found), order)


def _interactions(graph: GraphBuilder, fitted: Fitted, inputs: GraphInputs) -> dict[int, str]:
    """Add the interactions of the metrics that have one; a double [n, 1] by the metric's place."""
    found = [(i, m.location.interaction) for i, m in enumerate(fitted.metrics)]
    known = {i: interaction for i, interaction in found if interaction is not None}
    if not known:
        return {}
    return dict(zip(known, interaction_to_onnx(graph, inputs, [*known.values()]), strict=True))


def _with_interactions(
    graph: GraphBuilder, fitted: Fitted, base: str, met: Mapping[int, str]
) -> str:
    """Add the interactions to the bases of their metrics; double [n, M]."""
    if not met:
        return base
    zero = graph.constant(np.zeros((1, 1)))
    nothing = graph.add("Mul", graph.columns(base, np.array([0])), zero)
    columns = [met.get(i, nothing) for i in range(len(fitted.metrics))]
    return graph.add("Add", base, graph.side_by_side(*columns))


def _forest(
    graph: GraphBuilder,
    fitted: Fitted,
    inputs: GraphInputs,
    base: str,
    effects: str | None,
    met: Mapping[int, str],
    rows: str,
    distance: str,
) -> str:
    """Add one forest for all locations and scales; float [n, 2 · metrics]."""
    count = len(fitted.metrics)
    width = fitted.training.inputs.standard.shape[1]
    categories = len(inputs.codes)
    counts = [seen.counts for seen in fitted.seen]
    doubles = graph.cast(rows, np.float64)
    counted = graph.add("Log", graph.add("Add", doubles, graph.constant(np.ones(1))))
    near = _distance_steps(graph, distance)
    by_id = [] if effects is None else [effects]
    features = graph.side_by_side(inputs.trees, base, *by_id, counted, near, *met.values())
    forest = Forest(2 * count)
    last = width + count * (1 + categories) + len(counts) * (len(fitted.counts.names) + 1)
    places = {i: last + place for place, i in enumerate(met)}
    for i, m in enumerate(fitted.metrics):
        own = list(range(width))
        own.append(width + i)
        own += [places[i]] if i in places else []
        start = width + count + i * categories
        own += range(start, start + categories)
        if m.location.trees is not None:
            forest.add(m.location.trees, i, own)
        if m.scale.trees is not None:
            mine = fitted.seen_by[m.metric]
            first = width + count + count * categories
            own += (first + columns_of(counts, mine)).tolist()
            own.append(first + len(counts) * len(fitted.counts.names) + mine)
            forest.add(m.scale.trees, count + i, own)
    return graph.cast(forest.to_onnx(graph, graph.cast(features, np.float32)), np.float64)


def _distance_steps(graph: GraphBuilder, distance: str) -> str:
    # MUST round as scale_features does.
    steps = graph.constant(np.array([DISTANCE_STEPS]))
    near = graph.add("Min", distance, graph.constant(np.array([FARTHEST])))
    shifted = graph.add("Add", graph.add("Mul", near, steps), graph.constant(np.array([0.5])))
    return graph.add("Div", graph.add("Floor", shifted), steps)


def _location_and_scale(
    graph: GraphBuilder, fitted: Fitted, inputs: GraphInputs, base: str, forest: str
) -> tuple[str, str]:
    count = len(fitted.metrics)
    units = graph.constant(np.array([m.unit for m in fitted.metrics]))
    residual = graph.columns(forest, np.arange(count))
    location = graph.add("Mul", graph.add("Add", base, residual), units)
    offsets = graph.constant(np.array([m.scale.offset for m in fitted.metrics]))
    logs = graph.add("Add", graph.columns(forest, np.arange(count, 2 * count)), offsets)
    sizes = graph.add("Max", graph.add("Exp", logs), graph.constant(np.array([SMALLEST])))
    widening = graph.constant(np.array([[m.scale.widening for m in fitted.metrics]]))
    square = graph.add("Mul", inputs.excess, inputs.excess)
    reach = graph.as_column(graph.add("Add", inputs.excess, square))
    beyond = graph.add("Mul", reach, widening)
    wider = graph.add("Add", beyond, graph.constant(np.ones(1)))
    width = len(fitted.training.input_map.mean)
    drifts = [np.zeros(width) if m.scale.drift is None else m.scale.drift for m in fitted.metrics]
    drift = graph.add("MatMul", inputs.beyond, graph.constant(np.column_stack(drifts)))
    scale = graph.add("Mul", graph.add("Add", graph.add("Mul", sizes, wider), drift), units)
    return _all_metrics(graph, fitted, inputs, location, scale)


def _all_metrics(
    graph: GraphBuilder, fitted: Fitted, inputs: GraphInputs, location: str, scale: str
) -> tuple[str, str]:
    """Put derived metrics beside the fitted ones, in the order of the schema."""
    if not fitted.derived:
        return location, scale
    places = {m.metric: i for i, m in enumerate(fitted.metrics)}
    locations, scales = [location], [scale]
    for derived in fitted.derived:
        source = np.array([places[derived.source]])
        places[derived.metric] = len(places)
        mapping = fitted.training.input_map
        own = derived_to_onnx(graph, derived, mapping, inputs, graph.columns(location, source))
        locations.append(own)
        power = graph.constant(np.array([abs(derived.power)]))
        scales.append(graph.add("Mul", graph.columns(scale, source), power))
    order = np.array([places[m] for m in range(len(places))])
    return (
        graph.columns(graph.side_by_side(*locations), order),
        graph.columns(graph.side_by_side(*scales), order),
    )


def units_of(fitted: Fitted) -> Floats:
    """Return, per metric, what an error of the location is measured in, [M]."""
    units = np.ones(len(fitted.training.schema.metrics))
    for m in fitted.metrics:
        units[m.metric] = m.unit
    return units
