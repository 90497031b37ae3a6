"""The whole graph of a fit: from the encoder's arrays to locations, scales, support and tables."""

from __future__ import annotations

import numpy as np
import onnx

from foretell_trainer.engine.fitting import Fitted
from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats
from foretell_trainer.engine.nodes.base import Bases
from foretell_trainer.engine.nodes.inputs import (
    NumberNodes,
    codes_to_onnx,
    facts_of_numbers,
    numbers_to_onnx,
)
from foretell_trainer.engine.nodes.interaction import Interactions
from foretell_trainer.engine.nodes.look_ups import LookUps, Places
from foretell_trainer.engine.nodes.seen import Counts, distance_to_onnx
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
        spreads = [m.scale.spread for m in fitted.metrics]
        self._counts = Counts(counts, spreads, len(sizes), self._look_ups, self._places)
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
        counts = self._counts.looked_up(graph, places)
        neighbourhoods = [seen.neighbourhood for seen in self._fitted.seen]
        distance = distance_to_onnx(neighbourhoods, graph, numbers.standard)
        own = [numbers.trees, base, *self._bases.effects(found), distance, *met.values()]
        features = graph.cast(graph.side_by_side(*own), np.float32)
        trees = self._forest([*met]).to_onnx(graph, graph.side_by_side(features, *counts))
        trees = self._counts.spread(graph, counts, trees)
        excess, drift = self._excess(graph, numbers)
        residual, logs = graph.split(graph.cast(trees, np.float64), [len(self._fitted.metrics)] * 2)
        location = self._location(graph, base, residual, numbers.logs)
        graph.output("location", graph.cast(location, np.float32), np.float32, metrics)
        scale = self._scale(graph, logs, numbers.beyond, drift)
        graph.output("scale", graph.cast(scale, np.float32), np.float32, metrics)
        near = distance
        if len(neighbourhoods) > 1:
            near = graph.columns(distance, np.zeros(1, np.int64))
        support = graph.cast(self._counts.support(graph, found, near, excess), np.float32)
        flat = graph.constant(np.array([-1], np.int64))
        graph.output("support", graph.add("Reshape", support, flat), np.float32, None)
        sets = np.array([self._fitted.seen_by[m] for m in range(metrics)], np.int64)
        table = self._counts.tables(graph, counts, sets, excess)
        graph.output("table", table, np.int64, metrics)
        behind = self._counts.behind(graph, counts, excess)
        graph.output("rows", behind, np.float32, len(self._fitted.counts.names))
        return graph.model(self._schema.workload)

    def _looked_up(self, graph: GraphBuilder, categories: str) -> tuple[list[str], list[str]]:
        if not self._schema.category_names:
            return [], []
        codes = codes_to_onnx(graph, self._mapping, categories)
        places = self._places.to_onnx(graph, codes)
        return places, self._look_ups.to_onnx(graph, places[self._table])

    def _forest(self, met: list[int]) -> Forest:
        """Return all trees of locations and then scales, on the features in their order."""
        metrics, categories = self._fitted.metrics, len(self._schema.category_names)
        count, sets = len(metrics), len(self._fitted.seen)
        width = len(self._mapping.mean)
        first_effect = width + count
        first_distance = first_effect + count * categories
        first_met = first_distance + sets
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
                forest.add(m.scale.trees, count + i, [*own, *counts, first_distance + seen])
        return forest

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

    def _location(self, graph: GraphBuilder, base: str, residual: str, logs: str) -> str:
        """Add the locations of all metrics, in the order of the schema; double [n, metrics].

        Derived metrics are sums of another's and logs of numbers: MUST be as `Derived.offset` is.
        """
        if self._plain:
            return graph.add("Add", base, residual)
        from_metrics = self._mixing()
        from_logs = np.zeros((len(self._mapping.mean), len(self._schema.metrics)))
        constants = np.zeros(len(self._schema.metrics))
        for derived in self._fitted.derived:
            constants[derived.metric] = derived.constant
            for position, power in derived.numbers:
                from_logs[position, derived.metric] += power
        parts, weights = [base, residual], [from_metrics, from_metrics]
        if from_logs.any():
            parts.append(logs)
            weights.append(from_logs)
        every = graph.constant(np.vstack(weights))
        return graph.add("Gemm", graph.side_by_side(*parts), every, graph.constant(constants))

    def _scale(self, graph: GraphBuilder, logs: str, beyond: str, drift: str | None) -> str:
        """Add the scales of all metrics, in the order of the schema; double [n, metrics]."""
        metrics, one = self._fitted.metrics, graph.constant(np.ones(1))
        least = graph.constant(np.array([np.log(SMALLEST)]))
        sizes = graph.add("Exp", graph.add("Max", logs, least))
        reach = graph.add("Mul", beyond, graph.add("Add", beyond, one))
        each = np.ones(len(self._mapping.mean))
        widening = graph.constant(np.column_stack([each * m.scale.widening for m in metrics]))
        scale = graph.add("Mul", sizes, graph.add("Gemm", reach, widening, one))
        scale = scale if drift is None else graph.add("Add", scale, drift)
        most = np.array([[m.scale.most for m in metrics]])
        if np.isfinite(most).any():
            scale = graph.add("Min", scale, graph.constant(most))
        if self._plain:
            return scale
        return graph.add("MatMul", scale, graph.constant(np.abs(self._mixing())))

    @property
    def _plain(self) -> bool:
        """Whether no metric is derived, nor in units of its own."""
        return not self._fitted.derived and all(m.unit == 1 for m in self._fitted.metrics)

    def _mixing(self) -> Floats:
        """Return how fitted metrics make up all metrics, [M, metrics]."""
        places = {m.metric: i for i, m in enumerate(self._fitted.metrics)}
        mixing = np.zeros((len(places), len(self._schema.metrics)))
        for m in self._fitted.metrics:
            mixing[places[m.metric], m.metric] = m.unit
        for derived in self._fitted.derived:
            mixing[places[derived.source], derived.metric] = derived.power
        return mixing
