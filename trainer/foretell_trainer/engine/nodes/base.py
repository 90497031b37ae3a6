"""Bases as nodes: one look-up and one product for all metrics, and for both parts of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats, InputMap, Integers
from foretell_trainer.engine.linear import GROWTH, Growth, LinearModel
from foretell_trainer.engine.location import Location
from foretell_trainer.engine.nodes.inputs import NumberNodes
from foretell_trainer.engine.nodes.look_ups import LookUps

_MOST = 600.0
"""Logs are held to ± this before a sum of exponentials, which would overflow at 709."""


@dataclass(frozen=True)
class _Slope:
    """What the ids of one category are times one of the numbers, in one of the models."""

    model: int
    category: int
    kind: str
    number: int
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
            slope for i, model in enumerate(self._models) for slope in self._slopes_of(i, model)
        ]
        self._looked_up = self._register(look_ups) if self._categories else {}

    @property
    def _categories(self) -> int:
        return len(self._models[0].layout.sizes)

    def _register(self, look_ups: LookUps) -> dict[str, int]:
        places = range(self._categories)
        own = {c: self._effects(c) for c in places}
        slots = {"effects": look_ups.add(self._metrics * self._categories, own)}
        sums = {c: self._sums(c) for c in places}
        if any(table.any() for table in sums.values()):
            slots["sums"] = look_ups.add(len(self._models), sums)
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

    def _sums(self, category: int) -> Floats:
        """Return what a category adds to each model besides effects of bases, [V + 1, models]."""
        table = np.zeros((self._models[0].layout.sizes[category] + 1, len(self._models)))
        for place, model in enumerate(self._models):
            if place >= self._metrics:
                table[:, place] += model.effects[category]
            for (own, number, power), slope in zip(model.layout.slopes, model.slopes, strict=True):
                if own == category and power == GROWTH:
                    growth, (mean, deviation, _) = self._raw(model, category, number)
                    table[:, place] -= slope / growth.spread * (mean / deviation + growth.centre)
        return table

    def _raw(
        self, model: LinearModel, category: int, number: int
    ) -> tuple[Growth, tuple[float, float, float]]:
        """Return a growth, and the raw number's mean, deviation and tangent beyond the data."""
        mapping, growth = self._mapping, model.layout.growth(category, number)
        tangent = mapping.tangent[growth.column] if np.isinf(mapping.highest[number]) else 0.0
        mean, deviation = (v[growth.column] for v in (mapping.raw_mean, mapping.raw_deviation))
        return growth, (float(mean), float(deviation), float(tangent))

    def _slopes_of(self, place: int, model: LinearModel) -> Iterator[_Slope]:
        for (category, number, power), table in zip(model.layout.slopes, model.slopes, strict=True):
            if not table.any():
                continue
            if power == GROWTH:
                growth, (_, deviation, tangent) = self._raw(model, category, number)
                own = table / growth.spread
                yield _Slope(place, category, "raw", number, own / deviation)
                yield _Slope(place, category, "over", number, own * tangent)
            else:
                kind = "standard" if power == 1 else "bent"
                yield _Slope(place, category, kind, number, table)

    def _slope_tables(self) -> dict[int, Floats]:
        tables: dict[int, Floats] = {}
        for place, slope in enumerate(self._slopes):
            shape = (len(slope.table), len(self._slopes))
            tables.setdefault(slope.category, np.zeros(shape))[:, place] = slope.table
        return tables

    @property
    def goes_by_missing(self) -> bool:
        """Whether a missing number is a mark of its own to a base."""
        return bool(len(self._models[0].layout.missing))

    def effects(self, found: Sequence[str]) -> list[str]:
        """Return the effects of each category, those of a metric side by side; [n, M · C]."""
        return [found[self._looked_up["effects"]]] if self._looked_up else []

    def to_onnx(
        self,
        graph: GraphBuilder,
        numbers: NumberNodes,
        found: Sequence[str],
        added: Sequence[tuple[Sequence[int], str]],
    ) -> str:
        """Add the locations before their trees, from what was looked up; double [n, M].

        `added` are places of k metrics, and what is added to their bases, [n, k].
        """
        named, intercepts = self._of_numbers(graph, numbers)
        parts, weights = [part for part, _ in named.values()], [w for _, w in named.values()]
        if self._slopes:
            parts = [graph.side_by_side(*parts)]
            along = graph.columns(parts[0], self._along([*named]))
            parts.append(graph.add("Mul", along, found[self._looked_up["slopes"]]))
            weights.append(self._into([slope.model for slope in self._slopes]))
        if "effects" in self._looked_up:
            parts.append(found[self._looked_up["effects"]])
            weights.append(self._into(np.repeat(np.arange(self._metrics), self._categories)))
        if "sums" in self._looked_up:
            parts.append(found[self._looked_up["sums"]])
            weights.append(self._into(np.arange(len(self._models))))
        for places, value in added:
            parts.append(value)
            weights.append(self._into(places))
        # A rate has a ceiling: the sum of two times, in logs with the sign turned.
        signs = self._signs
        every = graph.constant(np.vstack(weights) * signs)
        bases = graph.add(
            "Gemm", graph.side_by_side(*parts), every, graph.constant(intercepts * signs)
        )
        return bases if len(self._models) == self._metrics else self._combined(graph, bases)

    def _of_numbers(
        self, graph: GraphBuilder, numbers: NumberNodes
    ) -> tuple[dict[str, tuple[str, Floats]], Floats]:
        """Return by kind what the numbers are multiplied with and its weights; the intercepts.

        All kinds but the last, indicators of what is missing, have a column for each number.
        """
        mapping, missing = self._mapping, self._models[0].layout.missing
        width, logs = len(mapping.mean), mapping.log_columns
        direct, clipped, absent = np.split(
            np.column_stack([model.weights for model in self._models]), [width, width + len(logs)]
        )
        scaled = clipped / mapping.raw_deviation[:, None]
        intercepts = np.array([model.intercept for model in self._models])
        parts = {"standard": (numbers.standard, direct)}
        if any(slope.kind == "bent" for slope in self._slopes):
            ahead = graph.add("Add", numbers.standard, numbers.out)
            squares = graph.add("Mul", numbers.inside, ahead)
            parts["bent"] = squares, np.zeros_like(direct)
        if len(logs):
            parts["raw"] = numbers.raw, self._in_columns(scaled)
            intercepts = intercepts - mapping.raw_mean @ scaled
        if np.isinf(mapping.highest[logs]).any():
            ends = np.where(np.isinf(mapping.highest[logs]), mapping.tangent, 0.0)
            over = graph.add("Max", numbers.out, graph.constant(np.zeros(1)))
            parts["over"] = over, self._in_columns(ends[:, None] * clipped)
        if len(missing) and numbers.missing is not None:
            indicators = graph.cast(graph.columns(numbers.missing, missing), np.float64)
            parts["missing"] = indicators, absent
        return parts, intercepts

    def _in_columns(self, weights: Floats) -> Floats:
        """Return the weights [L, …] of log-scaled numbers in the places of all, [F, …]."""
        every = np.zeros((len(self._mapping.mean), weights.shape[1]))
        every[self._mapping.log_columns] = weights
        return every

    def _along(self, kinds: Sequence[str]) -> Integers:
        """Return where the numbers stand, among these kinds, that slopes are multiplied with."""
        width = len(self._mapping.mean)
        return np.array([kinds.index(s.kind) * width + s.number for s in self._slopes])

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
