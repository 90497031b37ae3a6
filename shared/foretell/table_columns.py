"""What the columns of a data file are to a schema: its names, its metrics, the known values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from foretell.catalog import CatalogTable
from foretell.columns import Column, Numbers, category_column, distinct, rows_of
from foretell.errors import Violation
from foretell.reading import Trouble, derivation, read_numbers, troubles_at
from foretell.schema import Feature, Metric, Schema

Naming = Literal["column", "name"]
"""Whether a table's columns are called as in data files, or by the schema's own names."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row of a table that cannot be used, and why; rows are counted from 0."""

    row: int
    violations: tuple[Violation, ...]


def columns_by_name(schema: Schema, columns: Mapping[str, Column]) -> dict[str, Column]:
    """Return a data file's columns under the schema's names of features, facts and metrics.

    A feature or metric stands in its own `column`, or failing that in a column of its name.
    A fact is taken from a column of its name only: its `column` is that of the catalog's
    file, and may mean something else here. A column is never taken for two purposes.
    """
    direct = {f.name: f.source_column for f in schema.features if f.derive is None}
    direct |= {m.name: m.source_column for m in schema.metrics}
    spoken_for = set(direct.values())
    found = {name: columns[column] for name, column in direct.items() if column in columns}
    for name in (*direct, *(fact.name for fact in schema.facts)):
        if name not in found and name in columns and name not in spoken_for:
            found[name] = columns[name]
    return found


def build_vocabulary(
    schema: Schema,
    columns: Mapping[str, Column],
    catalogs: Sequence[CatalogTable] = (),
    *,
    named: Naming = "column",
) -> dict[str, tuple[str, ...]]:
    """Return the known values, sorted, of each of `schema.category_names`.

    They come from the table and from the catalogs: a hardware of which only the facts are
    known is known, so that the graph can look the facts up. What the table has under another
    name of the catalog's keeps that name.
    """
    mine = columns_by_name(schema, columns) if named == "column" else columns
    tables = {table.name: table for table in catalogs}
    found: dict[str, set[str]] = {name: set() for name in schema.category_names}
    for name in schema.category_names:
        if name in mine:
            found[name].update(distinct(category_column(mine[name])[0]))
    for catalog in schema.catalogs:
        if catalog.name in tables:
            table = tables[catalog.name]
            present = {table.key_of(value) for value in found[catalog.key]}
            found[catalog.key].update(key for key in table.keys if key not in present)
            for fact in catalog.facts:
                if not fact.is_numeric:
                    found[fact.name].update(distinct(table.texts(fact.name)))
    for feature in schema.features:
        if feature.derive is not None:
            read = derivation(feature.derive)
            found[feature.name] = set(distinct(map(read, found[feature.derive.source])))
    return {name: tuple(sorted(values)) for name, values in found.items()}


def metric_values(
    schema: Schema, columns: Mapping[str, Column], *, named: Naming = "column"
) -> tuple[Numbers, list[Rejection]]:
    """Return the metrics of a table, float64 [n, M] with NaN for missing, and the bad rows.

    A value that is not a finite number, is out of range, or is not above 0 on a log scale is
    a rejection and is given as missing.
    """
    rows = rows_of(columns)
    mine = columns_by_name(schema, columns) if named == "column" else columns
    values = np.full((rows, len(schema.metrics)), np.nan)
    troubles: list[Trouble] = []
    for i, metric in enumerate(schema.metrics):
        if metric.name in mine:
            values[:, i], found = read_numbers(_as_feature(metric), mine[metric.name])
            if metric.scale == "log":
                zero = values[:, i] == 0
                found += troubles_at(zero, metric.name, mine[metric.name], "must be above 0")
                values[zero, i] = np.nan
            troubles += found
    return values, rejections(troubles)


def _as_feature(metric: Metric) -> Feature:
    """Return the feature that reads the metric's column under the metric's own limits."""
    return Feature(
        name=metric.name,
        kind="number",
        scale=metric.scale,
        minimum=metric.minimum,
        maximum=metric.maximum,
    )


def rejections(troubles: Sequence[Trouble]) -> list[Rejection]:
    """Return what is wrong with a table row by row, in the order of the rows."""
    by_row: dict[int, list[Violation]] = {}
    for name, row, value, message in troubles:
        by_row.setdefault(row, []).append(Violation(name, value, message))
    return [Rejection(row, tuple(by_row[row])) for row in sorted(by_row)]
