"""Folds of a split: the rows that are learnt from and those to predict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell.catalog import CatalogTable
from foretell.errors import InvalidInput, Violation
from foretell.schema import Schema
from foretell.splits import Split
from foretell_trainer.engine.folds import grouped_folds, random_folds
from foretell_trainer.engine.inputs import Integers
from foretell_trainer.snapshot import Columns


@dataclass(frozen=True)
class Rows:
    """One fold: the positions of the rows that are learnt from and of those to predict."""

    train: Integers
    test: Integers


def folds_of(
    split: Split, schema: Schema, columns: Columns, catalogs: Sequence[CatalogTable]
) -> Iterator[Rows]:
    """Yield the folds of a split; fewer than asked for where there are fewer groups than that.

    Raises InvalidInput where there is only one group, or too few rows.
    """
    n = len(columns)
    if n < 2 * split.folds:
        why = f"{n} rows are too few for {split.folds} folds"
        raise InvalidInput([Violation("folds", str(split.folds), why)])
    if split.kind == "time":
        return _forward(columns.time, split.folds)
    rng = np.random.default_rng(split.seed)
    if split.kind == "kfold":
        return _each(random_folds(n, split.folds, rng))
    keys = _keys([labels_of(name, schema, columns, catalogs) for name in split.columns])
    if split.kind == "stratified":
        return _each(_spread(keys, split.folds, rng))
    count = min(split.folds, len(np.unique(keys)))
    if count < 2:
        named = " and ".join(split.columns)
        raise _refused(str(split), f"all rows have the same {named}: nothing can be left out")
    return _each(grouped_folds(keys, count, rng))


def labels_of(
    name: str, schema: Schema, columns: Columns, catalogs: Sequence[CatalogTable]
) -> NDArray[np.object_]:
    """Return a category of every row as text, [n]; a fact is looked up unless it was sent."""
    sent = columns.features.get(name)
    texts = list(sent) if sent is not None else [None] * len(columns)
    tables = {table.name: table for table in catalogs}
    for catalog in schema.catalogs:
        if catalog.name in tables and name in (fact.name for fact in catalog.facts):
            table = tables[catalog.name]
            facts = np.array([*table.texts(name), None], dtype=object)
            known = facts[table.rows_for(list(columns.features[catalog.key]))]
            texts = [f if t is None else t for t, f in zip(texts, known, strict=True)]
    return np.array([str(text) for text in texts], dtype=object)


def _forward(time: NDArray[np.datetime64], count: int) -> Iterator[Rows]:
    """Yield expanding windows: part 0 is only learnt from, each later one is predicted once."""
    # Rows of one moment stay in the order in which they came.
    parts = np.array_split(np.argsort(time, kind="stable"), count + 1)
    for place in range(1, count + 1):
        yield Rows(np.sort(np.concatenate(parts[:place])), np.sort(parts[place]))


def _each(fold: Integers) -> Iterator[Rows]:
    for number in range(int(fold.max()) + 1):
        yield Rows(np.flatnonzero(fold != number), np.flatnonzero(fold == number))


def _spread(keys: Integers, count: int, rng: np.random.Generator) -> Integers:
    """Return folds that deal the rows of each key out in turn, [n]."""
    order = rng.permutation(len(keys))
    order = order[np.argsort(keys[order], kind="stable")]
    fold = np.empty(len(keys), dtype=np.int64)
    fold[order] = np.arange(len(keys)) % count
    return fold


def _keys(labels: Sequence[NDArray[np.object_]]) -> Integers:
    codes = [np.unique(column.astype(str), return_inverse=True)[1] for column in labels]
    found = np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1]
    return np.asarray(found.reshape(-1), dtype=np.int64)


def _refused(value: str, why: str) -> InvalidInput:
    return InvalidInput([Violation("split", value, why)])
