"""The whole graph of a fit: from the encoder's arrays to locations, scales, support and tables."""

from __future__ import annotations

import numpy as np
import onnx

from foretell_trainer.engine.fitting import Fitted
from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.nodes.base import Bases
from foretell_trainer.engine.nodes.inputs import (
    NumberNodes,
    codes_to_onnx,
    facts_of_numbers,
    numbers_to_onnx,
)
from foretell_trainer.engine.nodes.interaction import Interactions
from foretell_trainer.engine.nodes.look_ups import LookUps, Places
from foretell_trainer.engine.nodes.seen import Counts, distance_to_onnx, steps_to_onnx
from foretell_trainer.engine.scale import SMALLEST
from foretell_trainer.engine.trees import Forest


class AnswerNodes:
    """What answers a row for every metric; M of them are fitted, the others derived."""

    def __init__(self, fitted: Fitted) -> None:
        self._fitted = fitted
        self._mapping = fitted.training.input_map
        self._schema = fitted.training.schema
        sizes = fitted.training.sizes
        self._look_ups, self._places = LookUps(sizes), Places(len(sizes))
        self._facts = facts_of_numbers(self._mapping, self._look_ups)
        locations = [m.location for m in fitted.metrics]
        self._bases = Bases(self._mapping, locations, self._look_ups)
        counts = [seen.counts for seen in fitted.seen]
        self._counts = Counts(counts, len(sizes), self._look_ups, self._places)
        met = {i: one.interaction for i, one in enumerate(locations) if one.interaction is not None}
        self._interactions = Interactions(met, self._places) if met else None
        self._table = self._look_ups.place(self._places)

    def graph(self) -> onnx.ModelProto:
        """Return the graph. One is made of it once."""
        graph, metrics = GraphBuilder(), len(self._schema.metrics)
        given = graph.input("numbers", np.float64, len(self._schema.number_names))
        categories = graph.input("categories", np.int64, len(self._schema.category_names))
        places, found = self._looked_up(graph, categories)
        facts = None if self._facts is None else found[self._facts]
        numbers = numbers_to_onnx(graph, self._mapping, given, facts)
        met = (
            {} if self._interactions is None else self._interactions.to_onnx(graph, numbers, places)
        )
        base = self._bases.to_onnx(graph, numbers, found, met)
        rows = self._counts.rows(graph, places)
        neighbourhoods = [seen.neighbourhood for seen in self._fitted.seen]
        distance = distance_to_onnx(neighbourhoods, graph, numbers.standard)
        own = [numbers.trees, base, *self._bases.effects(found), steps_to_onnx(graph, distance)]
        features = graph.cast(graph.side_by_side(*own, *met.values()), np.float32)
        forest = self._forest([*met]).to_onnx(
            graph, graph.side_by_side(features, *([] if rows is None else [rows]))
        )
        location, scale, excess = self._location_and_scale(graph, numbers, base, forest)
        location, scale = self._every_metric(graph, numbers, location, scale)
        graph.output("location", graph.cast(location, np.float32), np.float32, metrics)
        graph.output("scale", graph.cast(scale, np.float32), np.float32, metrics)
        near = (
            distance if len(neighbourhoods) == 1 else graph.columns(distance, np.zeros(1, np.int64))
        )
        support = graph.cast(self._counts.support(graph, found, near, excess), np.float32)
        one = graph.constant(np.array([-1], np.int64))
        graph.output("support", graph.add("Reshape", support, one), np.float32, None)
        tables = self._counts.tables(graph, rows, found)
        graph.output("table", self._by_metric(graph, tables, excess), np.int64, metrics)
        behind = self._counts.behind(graph, rows, excess)
        graph.output("rows", behind, np.float32, len(self._fitted.counts.names))
        return graph.model(self._schema.workload)

    def _looked_up(self, graph: GraphBuilder, categories: str) -> tuple[list[str], list[str]]:
        if not self._schema.category_names:
            return [], []
        codes = codes_to_onnx(graph, self._mapping, categories)
        places = self._places.to_onnx(graph, codes)
        return places, self._look_ups.to_onnx(graph, places[self._table])

    def _by_metric(self, graph: GraphBuilder, tables: str | None, like: str) -> str:
        """Add the table of each metric from those by what was seen; int64 [n, metrics]."""
        own = self._fitted.seen_by
        which = np.array([own[m] for m in range(len(own))], np.int64)
        if tables is None:
            first = graph.add("Mul", like, graph.constant(np.zeros((1, len(own)))))
            return graph.cast(first, np.int64)
        same = len(self._fitted.seen) == len(own) and (which == np.arange(len(own))).all()
        return tables if same else graph.columns(tables, which)

    def _forest(self, met: list[int]) -> Forest:
        """Return all trees of locations and then scales, on the features in their order."""
        metrics, categories = self._fitted.metrics, len(self._schema.category_names)
        count, sets = len(metrics), len(self._fitted.seen)
        width = len(self._mapping.mean)
        first_effect = width + count
        first_step = first_effect + count * categories
        first_met = first_step + sets
        first_count = first_met + len(met)
        base_values = np.zeros(2 * count)
        base_values[count:] = [m.scale.offset for m in metrics]
        forest = Forest(base_values)
        for i, m in enumerate(metrics):
            own = [*range(width), width + i]
            own += [first_met + met.index(i)] if i in met else []
            own += range(first_effect + i * categories, first_effect + (i + 1) * categories)
            if m.location.trees is not None:
                forest.add(m.location.trees, i, own)
            if m.scale.trees is not None:
                seen = self._fitted.seen_by[m.metric]
                counts = (first_count + self._counts.logs(seen)).tolist()
                forest.add(m.scale.trees, count + i, [*own, *counts, first_step + seen])
        return forest

    def _location_and_scale(
        self, graph: GraphBuilder, numbers: NumberNodes, base: str, forest: str
    ) -> tuple[str, str, str]:
        """Add location and scale of the fitted metrics, [n, M], and the excess, [n, 1]."""
        metrics = self._fitted.metrics
        count = len(metrics)
        residual, logs = graph.split(graph.cast(forest, np.float64), [count, count])
        location = graph.add("Add", base, residual)
        least = graph.constant(np.array([np.log(SMALLEST)]))
        sizes = graph.add("Exp", graph.add("Max", logs, least))
        excess, drift = self._excess(graph, numbers)
        one = graph.constant(np.ones(1))
        reach = graph.add("Mul", excess, graph.add("Add", excess, one))
        widening = graph.constant(np.array([[m.scale.widening for m in metrics]]))
        scale = graph.add("Mul", sizes, graph.add("Gemm", reach, widening, one))
        scale = scale if drift is None else graph.add("Add", scale, drift)
        units = np.array([m.unit for m in metrics])
        if (units == 1).all():
            return location, scale, excess
        by_unit = graph.constant(units)
        return graph.add("Mul", location, by_unit), graph.add("Mul", scale, by_unit), excess

    def _excess(self, graph: GraphBuilder, numbers: NumberNodes) -> tuple[str, str | None]:
        """Add the excess, [n, 1], and what the scales gain by it, [n, M]; None for nothing."""
        width, metrics = len(self._mapping.mean), self._fitted.metrics
        drifts = [np.zeros(width) if m.scale.drift is None else m.scale.drift for m in metrics]
        if not np.any(drifts):
            return graph.sum_over(numbers.beyond, 1, keep=True), None
        weights = graph.constant(np.column_stack([np.ones(width), *drifts]))
        both = graph.add("MatMul", numbers.beyond, weights)
        excess, drift = graph.split(both, [1, len(metrics)])
        return excess, drift

    def _every_metric(
        self, graph: GraphBuilder, numbers: NumberNodes, location: str, scale: str
    ) -> tuple[str, str]:
        """Put derived metrics beside the fitted ones, in the order of the schema; [n, metrics].

        MUST compute what `Derived.offset` does.
        """
        if not self._fitted.derived:
            return location, scale
        places = {m.metric: i for i, m in enumerate(self._fitted.metrics)}
        width, every = len(self._mapping.mean), len(self._schema.metrics)
        sources, logs = np.zeros((len(places), every)), np.zeros((width, every))
        constants = np.zeros(every)
        for metric, place in places.items():
            sources[place, metric] = 1.0
        for derived in self._fitted.derived:
            sources[places[derived.source], derived.metric] = derived.power
            constants[derived.metric] = derived.constant
            for position, power in derived.numbers:
                logs[position, derived.metric] += power
        weights = graph.constant(np.vstack([sources, logs]))
        both = graph.side_by_side(location, numbers.logs)
        location = graph.add("Gemm", both, weights, graph.constant(constants))
        return location, graph.add("MatMul", scale, graph.constant(np.abs(sources)))
