"""Matrices: every combination of some features' values, a slice at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.columns import Coded, Column
from foretell.decide.quantities import Violations
from foretell.decide.questions import DEFAULT_LEVEL, Axis, Matrix
from foretell.encoding import Encoder
from foretell.errors import InvalidInput
from foretell.forecast import Floats
from foretell.parsing import Value, category_text, shown
from foretell.predictor import Prediction, Predictor
from foretell.schema import Schema

CELLS_AT_ONCE = 4096
"""So many cells make one slice: enough to be fast, few enough to be soon there."""


@dataclass(frozen=True)
class MatrixSlice:
    """Consecutive cells of a matrix, forecast."""

    first_cell: int
    keys: dict[str, Column]
    """By axis, the value of each cell."""
    prediction: Prediction


@dataclass(frozen=True)
class MatrixMetric:
    """One metric of all cells; every array has one dimension for each axis."""

    metric: str
    unit: str
    median: Floats
    lower: Floats
    upper: Floats
    confidence: Floats
    """P(|actual - median| ≤ 20 % of the median)."""


@dataclass(frozen=True)
class MatrixTable:
    """A whole matrix."""

    workload: str
    bundle_version: str
    axes: Mapping[str, tuple[Value, ...]]
    interval_level: float
    metrics: tuple[MatrixMetric, ...]
    support: Floats
    """Of every cell, one dimension for each axis."""
    tiers: NDArray[np.str_]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(len(values) for values in self.axes.values())

    def columns(self) -> dict[str, list[Any]]:
        """Return a flat table, one row for each cell, the last axis fastest."""
        places = np.unravel_index(np.arange(math.prod(self.shape)), self.shape)
        table: dict[str, list[Any]] = {
            name: [values[i] for i in place.tolist()]
            for (name, values), place in zip(self.axes.items(), places, strict=True)
        }
        for m in self.metrics:
            table[m.metric] = m.median.ravel().tolist()
            table[f"{m.metric}_lower"] = m.lower.ravel().tolist()
            table[f"{m.metric}_upper"] = m.upper.ravel().tolist()
            table[f"{m.metric}_confidence"] = m.confidence.ravel().tolist()
        return {
            **table,
            "support": self.support.ravel().tolist(),
            "tier": self.tiers.ravel().tolist(),
        }


class MatrixPlan:
    """A matrix whose axes are checked; slices may be answered in any order and thread.

    Cells are numbered from 0; the last axis varies fastest.
    """

    def __init__(self, predictor: Predictor, question: Matrix, most_cells: int) -> None:
        check_matrix(predictor.encoder, question, most_cells)
        self._predictor = predictor
        self._question = question
        self._values = [_axis_column(predictor.schema, axis) for axis in question.axes]
        self.shape = tuple(len(axis.values) for axis in question.axes)
        self.cells = math.prod(self.shape)

    @property
    def slices(self) -> list[slice]:
        """The slices that together are the matrix, in order."""
        starts = range(0, self.cells, CELLS_AT_ONCE)
        return [slice(i, min(i + CELLS_AT_ONCE, self.cells)) for i in starts]

    def answer(self, cells: slice) -> MatrixSlice:
        """Return some consecutive cells, forecast."""
        places = np.unravel_index(np.arange(cells.start, cells.stop), self.shape)
        rows = cells.stop - cells.start
        keys: dict[str, Column] = {}
        for axis, column, place in zip(self._question.axes, self._values, places, strict=True):
            if isinstance(column, Coded):
                keys[axis.feature] = Coded(column.values, place)
            else:
                keys[axis.feature] = np.asarray(column)[place]
        columns = dict(keys)
        for name, value in self._question.features.items():
            if value is not None:
                columns[name] = [value] * rows
        encoded = self._predictor.encoder.encode_columns(columns, rows)
        return MatrixSlice(cells.start, keys, self._predictor.forecast(encoded))

    def table(self, metrics: Sequence[str] = (), level: float = DEFAULT_LEVEL) -> MatrixTable:
        """Return the whole matrix, of all metrics or of some; NotFound for one it does not have."""
        schema = self._predictor.schema
        chosen = [schema.metric(name) for name in metrics] or schema.metrics
        parts = [self.answer(cells).prediction for cells in self.slices]
        found: dict[str, list[Floats]] = {}
        for forecasts in (part.forecasts for part in parts):
            lower, upper = forecasts.interval(level)
            read = (forecasts.median(), lower, upper, forecasts.confidence())
            for metric in chosen:
                m = forecasts.metric_index(metric.name)
                found.setdefault(metric.name, []).append(np.stack([a[:, m] for a in read]))
        whole = {name: np.concatenate(rows, axis=1) for name, rows in found.items()}
        return MatrixTable(
            workload=schema.workload,
            bundle_version=self._predictor.version,
            axes={axis.feature: axis.values for axis in self._question.axes},
            interval_level=level,
            metrics=tuple(
                MatrixMetric(m.name, m.unit, *(row.reshape(self.shape) for row in whole[m.name]))
                for m in chosen
            ),
            support=np.concatenate([part.support for part in parts]).reshape(self.shape),
            tiers=np.array([tier for part in parts for tier in part.tier]).reshape(self.shape),
        )


def check_matrix(encoder: Encoder, question: Matrix, most_cells: int) -> None:
    """Raise InvalidInput with all that is wrong with a matrix: axes, values, size."""
    note = Violations()
    if not question.axes:
        note.add("axes", "", "at least one is needed")
    cells = math.prod(len(axis.values) for axis in question.axes)
    if cells > most_cells:
        note.add("axes", cells, f"{cells} cells are more than the {most_cells} that are allowed")
        raise InvalidInput(note.found)
    for i, axis in enumerate(question.axes):
        _check_axis(axis, f"axes[{i}]", question, [a.feature for a in question.axes[:i]], note)
    if not note.found:
        _check_values(encoder, question, note)
    if note.found:
        raise InvalidInput(note.found)


def _check_axis(
    axis: Axis, field: str, question: Matrix, before: list[str], note: Violations
) -> None:
    if axis.feature in before:
        note.add(f"{field}.feature", axis.feature, f"{axis.feature!r} is an axis already")
    if axis.feature in question.features:
        message = f"{axis.feature!r} is held in `features`; it cannot vary too"
        note.add(f"{field}.feature", axis.feature, message)
    if not axis.values:
        note.add(f"{field}.values", "", "at least one is needed")
    seen: set[tuple[type, object]] = set()
    for j, value in enumerate(axis.values):
        if (type(value), value) in seen:
            note.add(f"{field}.values[{j}]", shown(value), f"{shown(value)} is there twice")
        if value is None:
            note.add(f"{field}.values[{j}]", "", "a value is needed")
        seen.add((type(value), value))


def _check_values(encoder: Encoder, question: Matrix, note: Violations) -> None:
    """Note what the encoder refuses, each under the name by which the caller sent it."""
    first = {**question.features, **{axis.feature: axis.values[0] for axis in question.axes}}
    names = {axis.feature: f"axes[{i}]" for i, axis in enumerate(question.axes)}
    for violation in encoder.violations(first):
        name = violation.field.removeprefix("features[").removesuffix("]")
        if name not in names:
            note.add(violation.field, violation.value, violation.message)
    for i, axis in enumerate(question.axes):
        for j, value in enumerate(axis.values):
            for violation in encoder.violations({**first, axis.feature: value}):
                if violation.field == f"features[{axis.feature}]":
                    note.add(f"axes[{i}].values[{j}]", violation.value, violation.message)


def _axis_column(schema: Schema, axis: Axis) -> Column:
    if schema.feature(axis.feature).kind == "category":
        texts = tuple(category_text(value) for value in axis.values)
        return Coded(texts, np.arange(len(texts)))
    if any(isinstance(value, str) for value in axis.values):
        return np.array(axis.values, dtype=object)
    flags = all(isinstance(value, bool) for value in axis.values)
    return np.array(axis.values, dtype=np.bool_ if flags else np.float64)
