"""Bases as nodes: one look-up and one product for all metrics, and for both parts of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats, InputMap, Integers
from foretell_trainer.engine.linear import LinearModel
from foretell_trainer.engine.location import Location
from foretell_trainer.engine.nodes.inputs import NumberNodes
from foretell_trainer.engine.nodes.look_ups import LookUps

_MOST = 600.0
"""Logs are held to ± this before a sum of exponentials, which would overflow at 709."""


@dataclass(frozen=True)
class _Slope:
    """What the ids of one category add to the trend along one number, in one of the models."""

    model: int
    category: int
    number: int
    power: int
    table: Floats


class Bases:
    """The bases of all metrics, M models, and then the floors of those that have one."""

    def __init__(self, mapping: InputMap, locations: Sequence[Location], look_ups: LookUps) -> None:
        self._mapping = mapping
        self._parts = [location.parts for location in locations]
        floors = [location.floor for location in locations if location.floor is not None]
        self._models = [*(location.base for location in locations), *floors]
        self._metrics = len(locations)
        self._slopes = [
            slope for i, model in enumerate(self._models) for slope in _slopes(i, model)
        ]
        self._looked_up = self._register(look_ups) if self._categories else {}

    @property
    def _categories(self) -> int:
        return len(self._models[0].layout.sizes)

    def _register(self, look_ups: LookUps) -> dict[str, int]:
        places = range(self._categories)
        own = {c: self._effects(c) for c in places}
        slots = {"effects": look_ups.add(self._metrics * self._categories, own)}
        floors = self._models[self._metrics :]
        if floors:
            tables = {c: np.column_stack([floor.effects[c] for floor in floors]) for c in places}
            slots["floors"] = look_ups.add(len(floors), tables)
        if self._slopes:
            slots["slopes"] = look_ups.add(len(self._slopes), self._slope_tables())
        return slots

    def _effects(self, category: int) -> Floats:
        models = self._models[: self._metrics]
        table = np.zeros(
            (self._models[0].layout.sizes[category] + 1, len(models), self._categories)
        )
        table[:, :, category] = np.column_stack([model.effects[category] for model in models])
        return table.reshape(len(table), -1)

    def _slope_tables(self) -> dict[int, Floats]:
        tables: dict[int, Floats] = {}
        for place, slope in enumerate(self._slopes):
            shape = (len(slope.table), len(self._slopes))
            tables.setdefault(slope.category, np.zeros(shape))[:, place] = slope.table
        return tables

    def effects(self, found: Sequence[str]) -> list[str]:
        """Return the effects of each category, those of a metric side by side; [n, M · C]."""
        return [found[self._looked_up["effects"]]] if self._looked_up else []

    def to_onnx(
        self,
        graph: GraphBuilder,
        numbers: NumberNodes,
        found: Sequence[str],
        interactions: Mapping[int, str],
    ) -> str:
        """Add the locations before their trees, from what was looked up; double [n, M].

        `interactions` are [n, 1] by the place of their metric.
        """
        parts, weights, intercepts = self._of_numbers(graph, numbers)
        if self._slopes:
            bent = any(slope.power > 1 for slope in self._slopes)
            along = graph.columns(graph.side_by_side(*parts[: 1 + bent]), self._along())
            parts.append(graph.add("Mul", along, found[self._looked_up["slopes"]]))
            weights.append(self._into([slope.model for slope in self._slopes]))
        if "effects" in self._looked_up:
            parts.append(found[self._looked_up["effects"]])
            weights.append(self._into(np.repeat(np.arange(self._metrics), self._categories)))
        if "floors" in self._looked_up:
            parts.append(found[self._looked_up["floors"]])
            weights.append(self._into(np.arange(self._metrics, len(self._models))))
        for place, value in interactions.items():
            parts.append(value)
            weights.append(self._into([place]))
        # A rate has a ceiling: the sum of two times, in logs with the sign turned.
        signs = self._signs
        every = graph.constant(np.vstack(weights) * signs)
        bases = graph.add(
            "Gemm", graph.side_by_side(*parts), every, graph.constant(intercepts * signs)
        )
        return bases if len(self._models) == self._metrics else self._combined(graph, bases)

    def _of_numbers(
        self, graph: GraphBuilder, numbers: NumberNodes
    ) -> tuple[list[str], list[Floats], Floats]:
        """Return what the numbers are multiplied with, its weights and the intercepts.

        First come the standardised numbers and the squares that the slopes need.
        """
        mapping, missing = self._mapping, self._models[0].layout.missing
        width, logs = len(mapping.mean), mapping.log_columns
        direct, clipped, absent = np.split(
            np.column_stack([model.weights for model in self._models]), [width, width + len(logs)]
        )
        scaled = clipped / mapping.raw_deviation[:, None]
        intercepts = np.array([model.intercept for model in self._models])
        parts, weights = [numbers.standard], [direct]
        if any(slope.power > 1 for slope in self._slopes):
            ahead = graph.add("Add", numbers.standard, numbers.out)
            parts.append(graph.add("Mul", numbers.inside, ahead))
            weights.append(np.zeros_like(direct))
        if len(logs):
            parts.append(numbers.raw)
            weights.append(self._in_columns(scaled))
            intercepts = intercepts - mapping.raw_mean @ scaled
        if np.isinf(mapping.highest[logs]).any():
            ends = np.where(np.isinf(mapping.highest[logs]), mapping.tangent, 0.0)
            parts.append(graph.add("Max", numbers.out, graph.constant(np.zeros(1))))
            weights.append(self._in_columns(ends[:, None] * clipped))
        if len(missing):
            parts.append(graph.cast(graph.columns(numbers.missing, missing), np.float64))
            weights.append(absent)
        return parts, weights, intercepts

    def _in_columns(self, weights: Floats) -> Floats:
        """Return the weights [L, …] of log-scaled numbers in the places of all, [F, …]."""
        every = np.zeros((len(self._mapping.mean), weights.shape[1]))
        every[self._mapping.log_columns] = weights
        return every

    def _along(self) -> Integers:
        """Return where the numbers stand that the slopes are multiplied with."""
        width = len(self._mapping.mean)
        return np.array([s.number + (width if s.power > 1 else 0) for s in self._slopes])

    def _into(self, models: Sequence[int] | Integers) -> Floats:
        """Return weights that add columns to models as they are."""
        return np.eye(len(self._models))[np.asarray(models, np.int64)]

    @property
    def _signs(self) -> Floats:
        having = [parts.sign for parts in self._parts if parts is not None]
        return np.array([*self._own_signs, *having], dtype=np.float64)

    @property
    def _own_signs(self) -> Floats:
        signs = [1 if parts is None else parts.sign for parts in self._parts]
        return np.array(signs, dtype=np.float64)

    def _combined(self, graph: GraphBuilder, bases: str) -> str:
        """Add `Parts.combine` of the bases and floors; double [n, M]."""
        ends = graph.constant(np.array(-_MOST)), graph.constant(np.array(_MOST))
        powers = graph.add("Exp", graph.add("Clip", bases, *ends))
        having = [i for i, parts in enumerate(self._parts) if parts is not None]
        pairs = np.vstack([np.eye(self._metrics), np.eye(self._metrics)[having]])
        sums = graph.add("Log", graph.add("MatMul", powers, graph.constant(pairs)))
        if (self._own_signs == 1).all():
            return sums
        return graph.add("Mul", sums, graph.constant(self._own_signs))


def _slopes(place: int, model: LinearModel) -> list[_Slope]:
    return [
        _Slope(place, category, number, power, table)
        for (category, number, power), table in zip(model.layout.slopes, model.slopes, strict=True)
        if table.any()
    ]
