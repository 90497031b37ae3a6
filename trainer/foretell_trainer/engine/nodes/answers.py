"""The whole graph of a fit: from the encoder's arrays to locations, scales, support and tables.

A node costs a forecast about a microsecond, whatever it does. So all that is looked up by
category is looked up at once, all that is linear in numbers and their squares is one product, and
so is all that is linear in what the trees see and say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx

from foretell_trainer.engine.fitting import Fitted, left_out
from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats, Integers
from foretell_trainer.engine.nodes.base import Bases
from foretell_trainer.engine.nodes.blocks import Blocks
from foretell_trainer.engine.nodes.costs import CostNodes
from foretell_trainer.engine.nodes.forms import Forms
from foretell_trainer.engine.nodes.inputs import (
    NumberNodes,
    codes_to_onnx,
    facts_of_numbers,
    numbers_to_onnx,
)
from foretell_trainer.engine.nodes.interaction import Interactions
from foretell_trainer.engine.nodes.look_ups import LookUps, Places
from foretell_trainer.engine.nodes.seen import Counts, Distances
from foretell_trainer.engine.scale import SMALLEST
from foretell_trainer.engine.trees import Forest


class _Linear(NamedTuple):
    """Some answers that are linear in the blocks."""

    weights: Floats
    """[blocks' width, k]"""
    constants: Floats
    """[k]"""


class AnswerNodes:
    """What answers a row for every metric; M of them are fitted, the others derived."""

    def __init__(self, fitted: Fitted) -> None:
        self._fitted = fitted
        self._mapping = fitted.training.input_map
        self._schema = fitted.training.schema
        sizes = fitted.training.sizes
        self._look_ups, self._places = LookUps(sizes), Places(len(sizes))
        self._forms = Forms(len(self._mapping.mean))
        locations = [m.location for m in fitted.metrics]
        self._bases = Bases(self._mapping, locations, self._look_ups)
        self._marks = self._bases.goes_by_missing or bool(self._mapping.had_missing.any())
        unknown = np.full(len(self._mapping.mean), np.nan) if self._marks else self._mapping.typical
        self._facts = facts_of_numbers(self._mapping, self._look_ups, unknown)
        counts = [seen.counts for seen in fitted.seen]
        spreads = [m.scale.spread for m in fitted.metrics]
        self._counts = Counts(counts, spreads, len(sizes), self._look_ups, self._places)
        self._distances = Distances([seen.neighbourhood for seen in fitted.seen], self._forms)
        met = {i: one.interaction for i, one in enumerate(locations) if one.interaction is not None}
        self._interactions: Interactions | None = None
        if met:
            rows = fitted.training.inputs
            self._interactions = Interactions(
                met, self._places, self._forms, lambda one: one.largest(rows)
            )
        self._met = [] if self._interactions is None else self._interactions.metrics
        self._table = self._look_ups.place(self._places)
        self._costs = {
            i: CostNodes(one.costs, self._look_ups, floor=one.parts is None)
            for i, one in enumerate(locations)
            if one.costs is not None
        }
        self._left_out = left_out(fitted)
        self._blocks = Blocks()

    def graph(self) -> onnx.ModelProto:
        """Return the graph. One is made of it once."""
        graph = GraphBuilder()
        given = graph.input("numbers", np.float64, len(self._schema.number_names))
        categories = graph.input("categories", np.int64, len(self._schema.category_names))
        places, found = self._looked_up(graph, categories)
        facts = None if self._facts is None else found[self._facts]
        numbers = numbers_to_onnx(graph, self._mapping, given, facts, marks=self._marks)
        blocks = self._described(graph, numbers, places, found)
        trees = self._forest().to_onnx(graph, blocks)
        self._blocks.add("trees", 2 * len(self._fitted.metrics))
        self._answer(graph, graph.side_by_side(blocks, trees))
        return graph.model(self._schema.workload)

    def _looked_up(self, graph: GraphBuilder, categories: str) -> tuple[list[str], list[str]]:
        if not self._schema.category_names:
            return [], []
        codes = codes_to_onnx(graph, self._mapping, categories)
        places = self._places.to_onnx(graph, codes)
        return places, self._look_ups.to_onnx(graph, places[self._table])

    def _described(
        self,
        graph: GraphBuilder,
        numbers: NumberNodes,
        places: Sequence[str],
        found: Sequence[str],
    ) -> str:
        """Add the blocks that trees and answers are made of; float [n, blocks' width]."""
        width, metrics = len(self._mapping.mean), len(self._fitted.metrics)
        forms = self._forms.to_onnx(graph, numbers.standard)
        met: list[tuple[Sequence[int], str]] = []
        if self._interactions is not None:
            value = self._interactions.to_onnx(graph, numbers.standard, places, forms)
            met.append((self._met, value))
        costs = [
            ([i], own.to_onnx(graph, numbers.standard, found)) for i, own in self._costs.items()
        ]
        base = self._bases.to_onnx(graph, numbers, found, [*met, *costs])
        distance = self._distances.to_onnx(graph, forms)
        one = graph.constant(np.ones(1))
        parts = [
            ("numbers", numbers.trees, width),
            ("base", base, metrics),
            ("distance", distance, self._distances.count),
            ("far", graph.add("Max", self._distances.first(graph, distance), one), 1),
            ("beyond", numbers.beyond, width),
            (
                "reach",
                graph.add("Mul", numbers.beyond, graph.add("Add", numbers.beyond, one)),
                width,
            ),
        ]
        parts += [("met", value, len(own)) for own, value in met]
        for effects in self._bases.effects(found):
            parts.append(("effects", effects, metrics * len(self._schema.category_names)))
        if self._counts.shares is not None:
            parts.append(("share", found[self._counts.shares], 1))
        if self._fitted.derived:
            parts.append(("logs", numbers.logs, width))
        if self._left_out.any():
            parts.append(("left out", graph.cast(numbers.left_out, np.float64), width))
        for name, _, columns in parts:
            self._blocks.add(name, columns)
        blocks = graph.cast(graph.side_by_side(*(value for _, value, _ in parts)), np.float32)
        counts = self._counts.looked_up(graph, places)
        self._blocks.add("counts", self._counts.width)
        return graph.side_by_side(blocks, *counts)

    def _forest(self) -> Forest:
        """Return all trees of locations and then scales, on the blocks."""
        metrics, categories = self._fitted.metrics, len(self._schema.category_names)
        count, start = len(metrics), self._blocks.start
        base_values = np.zeros(2 * count)
        base_values[count:] = [m.scale.offset for m in metrics]
        forest = Forest(base_values)
        numbers = range(start("numbers"), start("numbers") + len(self._mapping.mean))
        for i, m in enumerate(metrics):
            own = [*numbers, start("base") + i]
            own += [start("met") + self._met.index(i)] if i in self._met else []
            if categories:
                first = start("effects") + i * categories
                own += range(first, first + categories)
            seen = self._fitted.seen_by[m.metric]
            own += [
                start("counts") + self._counts.known(seen, g.category) for g in m.location.gates
            ]
            if m.location.trees is not None:
                forest.add(m.location.trees, i, own)
            if m.scale.trees is not None:
                counts = (start("counts") + self._counts.logs(seen)).tolist()
                forest.add(m.scale.trees, count + i, [*own, *counts, start("distance") + seen])
        return forest

    def _answer(self, graph: GraphBuilder, blocks: str) -> None:
        """Add the outputs, from all blocks, the trees' answers among them."""
        metrics = len(self._schema.metrics)
        drift = self._drift()
        linear = [self._location(), self._log_scale(), self._widening(), self._support()]
        linear += [self._case(), self._rows()] if self._counts.width else []
        linear += [] if drift is None else [drift]
        weights = graph.constant(np.hstack([part.weights for part in linear]).astype(np.float32))
        constants = np.concatenate([part.constants for part in linear]).astype(np.float32)
        every = graph.add("Gemm", blocks, weights, graph.constant(constants))
        parts = graph.split(every, [len(part.constants) for part in linear])
        location, logs, wider, support, *others = parts
        graph.output("location", location, np.float32, metrics)
        scale = self._scale(graph, logs, wider, None if drift is None else others.pop())
        graph.output("scale", scale, np.float32, metrics)
        flat = graph.constant(np.array([-1], np.int64))
        support = graph.add("Reshape", graph.add("Exp", support), flat)
        graph.output("support", support, np.float32, None)
        if others:
            table, rows = self._counts.tables(graph, others[0]), others[1]
        else:
            table = graph.cast(
                graph.add("Mul", wider, graph.constant(np.zeros(1, np.float32))), np.int64
            )
            rows = graph.columns(wider, np.zeros(0, np.int64))
        graph.output("table", table, np.int64, metrics)
        graph.output("rows", rows, np.float32, len(self._fitted.counts.names))

    def _location(self) -> _Linear:
        """Return the locations of all metrics, in the order of the schema.

        Derived metrics are sums of another's and logs of numbers: MUST be as `Derived.offset` is.
        """
        mixing, metrics = self._mixing(), len(self._schema.metrics)
        parts = {"base": mixing, "trees": mixing}
        constants = np.zeros(metrics)
        if self._fitted.derived:
            parts["logs"] = np.zeros((len(self._mapping.mean), metrics))
        for derived in self._fitted.derived:
            constants[derived.metric] = derived.constant
            for position, power in derived.numbers:
                parts["logs"][position, derived.metric] += power
        return _Linear(self._blocks.weights(parts, metrics), constants)

    def _log_scale(self) -> _Linear:
        """Return the logs of the scales of all metrics, before what widens them."""
        chosen = np.sign(np.abs(self._mixing()))
        parts = {"trees": np.vstack([np.zeros_like(chosen), chosen])}
        if self._counts.width:
            parts["counts"] = self._counts.spreads() @ chosen
        if self._left_out.any():
            parts["left out"] = self._left_out @ chosen
        return _Linear(self._blocks.weights(parts, chosen.shape[1]), np.log(self._factors))

    def _widening(self) -> _Linear:
        """Return the factors by which the scales grow beyond the data."""
        each, metrics = np.ones(len(self._mapping.mean)), len(self._schema.metrics)
        own = np.column_stack([each * m.scale.widening for m in self._fitted.metrics])
        parts = {"reach": own[:, self._sources]}
        return _Linear(self._blocks.weights(parts, metrics), np.ones(metrics))

    def _drift(self) -> _Linear | None:
        """Return what the scales gain besides; None for nothing."""
        width, metrics = len(self._mapping.mean), len(self._schema.metrics)
        found = [m.scale.drift for m in self._fitted.metrics]
        drifts = np.column_stack([np.zeros(width) if one is None else one for one in found])
        if not drifts.any():
            return None
        parts = {"beyond": drifts[:, self._sources] * self._factors}
        return _Linear(self._blocks.weights(parts, metrics), np.zeros(metrics))

    def _support(self) -> _Linear:
        """Return the log of the support."""
        parts = {"far": -np.ones((1, 1)), "beyond": -np.ones((len(self._mapping.mean), 1))}
        if self._counts.shares is not None:
            parts["share"] = np.ones((1, 1))
        if self._left_out.any():
            parts["left out"] = -self._left_out.max(axis=1, keepdims=True)
        # A distance of 1 is within the data.
        return _Linear(self._blocks.weights(parts, 1), np.ones(1))

    def _case(self) -> _Linear:
        """Return, for each metric, the case of what was seen of a row."""
        sets = np.array([self._fitted.seen_by[m] for m in range(len(self._schema.metrics))])
        parts = {"counts": self._counts.digits(sets)}
        return _Linear(self._blocks.weights(parts, len(sets)), np.zeros(len(sets)))

    def _rows(self) -> _Linear:
        """Return the training rows behind an answer, by group."""
        behind = self._counts.behind()
        groups = behind.shape[1]
        return _Linear(self._blocks.weights({"counts": behind}, groups), np.zeros(groups))

    def _scale(self, graph: GraphBuilder, logs: str, wider: str, drift: str | None) -> str:
        """Add the scales of all metrics, in the order of the schema; float [n, metrics]."""
        least = graph.constant(np.log(SMALLEST * self._factors).astype(np.float32))
        scale = graph.add("Mul", graph.add("Exp", graph.add("Max", logs, least)), wider)
        scale = scale if drift is None else graph.add("Add", scale, drift)
        most = np.array([m.scale.most for m in self._fitted.metrics])[self._sources]
        if np.isfinite(most).any():
            scale = graph.add(
                "Min", scale, graph.constant((most * self._factors).astype(np.float32))
            )
        return scale

    @property
    def _sources(self) -> Integers:
        """Which of the fitted metrics each metric is made of, [metrics]."""
        return np.asarray(np.abs(self._mixing()).argmax(axis=0))

    @property
    def _factors(self) -> Floats:
        """What the scale of each metric is a multiple of its source's by, [metrics]."""
        return np.asarray(np.abs(self._mixing()).max(axis=0))

    def _mixing(self) -> Floats:
        """Return how fitted metrics make up all metrics, [M, metrics]."""
        places = {m.metric: i for i, m in enumerate(self._fitted.metrics)}
        mixing = np.zeros((len(places), len(self._schema.metrics)))
        for m in self._fitted.metrics:
            mixing[places[m.metric], m.metric] = m.unit
        for derived in self._fitted.derived:
            mixing[places[derived.source], derived.metric] = derived.power
        return mixing
