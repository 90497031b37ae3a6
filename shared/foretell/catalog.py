"""Catalogs at run time: what is known about each hardware, model, function or node."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foretell.columns import Codes, Column, Numbers, category_column, codes_of
from foretell.errors import InvalidInput, Violation, listing
from foretell.naming import by_plain_name, plain_name
from foretell.parsing import Value, shown
from foretell.reading import read_categories, read_numbers
from foretell.schema import Catalog, Feature

ALIASES = "aliases"
"""The column of a catalog's file that holds other names."""


@dataclass(frozen=True)
class CatalogTable:
    """The facts of one catalog: for every key, one value (or None: unknown) per fact.

    `facts` maps a fact's name to as many values as there are `keys`: floats for numbers,
    booleans for flags, texts for categories. With `aliases` (other name: key; they may be none)
    a key is also found by other spellings of its names.
    """

    name: str
    keys: tuple[str, ...]
    facts: Mapping[str, tuple[Value, ...]]
    aliases: Mapping[str, str] | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def index(self) -> Mapping[str | None, int]:
        """The row of each key."""
        return {key: row for row, key in enumerate(self.keys)}

    @cached_property
    def _by_plain_name(self) -> Mapping[str, str]:
        named = [(key, key) for key in self.keys]
        return by_plain_name([*named, *(self.aliases or {}).items()])

    def key_of(self, name: str) -> str | None:
        """Return the key that a name stands for: itself, by an alias, or by another spelling."""
        if name in self.index:
            return name
        if self.aliases is None:
            return None
        return self.aliases.get(name) or self._by_plain_name.get(plain_name(name))

    def numbers(self, fact: str) -> Numbers:
        """Return a number or flag fact as float64 [keys], NaN where it is unknown."""
        values = self.facts[fact]
        return np.array([math.nan if v is None else v for v in values], dtype=np.float64)

    def texts(self, fact: str) -> list[str | None]:
        """Return a category fact as texts [keys], None where it is unknown."""
        return [None if v is None else str(v) for v in self.facts[fact]]

    def rows_for(self, keys: Sequence[str | None]) -> Codes:
        """Return the row of each key as int64, -1 for keys that the catalog does not have."""
        return codes_of([None if key is None else self.key_of(key) for key in keys], self.index)

    def describe(self, key: str) -> dict[str, Value]:
        """Return the known facts about one key; empty when there are none."""
        row = self.index.get(self.key_of(key))
        if row is None:
            return {}
        return {name: values[row] for name, values in self.facts.items() if values[row] is not None}


def empty_catalog(catalog: Catalog) -> CatalogTable:
    """Return a catalog that knows nothing yet."""
    return CatalogTable(catalog.name, (), {fact.name: () for fact in catalog.facts})


def load_catalog(catalog: Catalog, columns: Mapping[str, Column]) -> CatalogTable:
    """Return the catalog that a table of columns holds.

    The key stands in the column `catalog.source_column`, each fact in its own column or, failing
    that, in one of the fact's name; a fact without a column is unknown for all keys. Raises
    InvalidInput for a missing or repeated key and for values that a fact cannot have; fields
    are like `hardware.memory_gb[3]`, rows counted from 0. A column `aliases`, if it is no fact's,
    holds other names of each key, apart by semicolons.
    """
    if catalog.source_column not in columns:
        known = listing(list(columns))
        message = f"the catalog has no column {catalog.source_column!r}; its columns: {known}"
        raise InvalidInput([Violation(catalog.name, catalog.source_column, message)])
    violations: list[Violation] = []
    keys = _keys(catalog, columns[catalog.source_column], violations)
    facts: dict[str, tuple[Value, ...]] = {}
    for fact in catalog.facts:
        column = columns.get(fact.source_column, columns.get(fact.name))
        if column is None:
            facts[fact.name] = (None,) * len(keys)
        elif len(column) != len(keys):
            message = f"has {len(column)} values for {len(keys)} keys"
            violations.append(Violation(f"{catalog.name}.{fact.name}", "", message))
        else:
            facts[fact.name] = _fact(catalog, fact, column, violations)
    aliases = _aliases(catalog, keys, columns, violations)
    if violations:
        raise InvalidInput(violations)
    return CatalogTable(catalog.name, tuple(keys), facts, aliases)


def _keys(catalog: Catalog, column: Column, violations: list[Violation]) -> list[str]:
    texts, unreadable = category_column(column)
    seen: set[str] = set()
    for row, text in enumerate(texts):
        field = f"{catalog.name}.{catalog.source_column}[{row}]"
        if text is None:
            why = "is not a text" if unreadable[row] else "the key is missing"
            violations.append(Violation(field, shown(column[row]), why))
        elif text in seen:
            violations.append(Violation(field, text, f"the key {text!r} is there twice"))
        else:
            seen.add(text)
    return [text or "" for text in texts]


def _aliases(
    catalog: Catalog,
    keys: Sequence[str],
    columns: Mapping[str, Column],
    violations: list[Violation],
) -> dict[str, str] | None:
    taken = {catalog.source_column, *(f.source_column for f in catalog.facts)}
    if ALIASES not in columns or ALIASES in taken:
        return None
    texts, _ = category_column(columns[ALIASES])
    found: dict[str, str] = {}
    for row, (key, text) in enumerate(zip(keys, texts, strict=True)):
        for alias in filter(None, map(str.strip, (text or "").split(";"))):
            other = found.setdefault(alias, key)
            if other != key:
                why = f"{alias!r} is another name of both {other!r} and {key!r}"
                violations.append(Violation(f"{catalog.name}.{ALIASES}[{row}]", alias, why))
    return found


def _fact(
    catalog: Catalog, fact: Feature, column: Column, violations: list[Violation]
) -> tuple[Value, ...]:
    values: Sequence[Value]
    if fact.is_numeric:
        numbers, troubles = read_numbers(fact, column)
        values = [None if math.isnan(v) else v for v in numbers.tolist()]
        if fact.kind == "flag":
            values = [None if v is None else bool(v) for v in values]
    else:
        coded, troubles = read_categories(fact, column)
        values = list(coded)
    violations += [
        Violation(f"{catalog.name}.{t.name}[{t.row}]", t.value, t.message) for t in troubles
    ]
    return tuple(values)
