"""From named values to the arrays that a bundle's graph takes: one encoder for all.

Training, serving and evaluation go through this module, so they cannot disagree. The layout
is `Schema.number_names` and `Schema.category_names`:

- `numbers`, float64 [n, F_num]; NaN is missing. For a fact, NaN means "look it up in the
  catalog", which the graph does.
- `categories`, int64 [n, F_cat], an index into the vocabulary; -1 is missing or unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from foretell.catalog import CatalogTable
from foretell.columns import (
    MISSING,
    Coded,
    Codes,
    Column,
    Numbers,
    codes_of,
    rows_of,
)
from foretell.errors import InvalidInput, Violation, listing
from foretell.parsing import Value, category_text, expectation, shown
from foretell.reading import (
    UNKNOWN,
    Trouble,
    category_reader,
    code_of,
    derivation,
    number_reader,
    read_categories,
    read_numbers,
)
from foretell.schema import Derive, Feature, Schema
from foretell.table_columns import Naming, Rejection, columns_by_name, rejections

Vocabulary = Mapping[str, tuple[str, ...]]
"""The known values of each category: what index i stands for."""

MAX_VIOLATIONS = 100
"""How many violations one error lists; a batch of a million wrong rows needs no more."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows as the graph takes them, and which of their values nobody has seen before."""

    numbers: Numbers
    """float64 [n, F_num], NaN for missing."""
    categories: Codes
    """int64 [n, F_cat], -1 for missing or unknown, below -2 for unknown values that were met."""
    unknown: tuple[tuple[str, ...], ...]
    """Per row, the categories whose value is not in the vocabulary."""

    def __len__(self) -> int:
        return len(self.numbers)


class EncodedRow(NamedTuple):
    """One row as the graph takes it, in plain numbers; see `Encoded`."""

    numbers: list[float]
    categories: list[int]
    unknown: tuple[str, ...]


MOST_MET = 50_000
"""Of one category, between two fits; further values are unknown like any other."""


class _Derived(NamedTuple):
    name: str
    target: int
    source: int
    source_name: str
    read: Callable[[str | None], str | None]
    by_code: list[int]
    """The code of what each known value of the source derives to; -1 none, -2 unknown."""


class Encoder:
    """Encodes rows of one schema with one vocabulary; compiled once, used by many threads."""

    def __init__(
        self, schema: Schema, vocabulary: Vocabulary, catalogs: Sequence[CatalogTable] = ()
    ) -> None:
        """Compile an encoder; catalogs with aliases let values be found by other names."""
        self.schema = schema
        self.vocabulary = vocabulary
        self._codes_of: dict[str, dict[str | None, int]] = {
            name: {text: code for code, text in enumerate(vocabulary.get(name, ()))}
            for name in schema.category_names
        }
        self._index: dict[str, Mapping[str | None, int]] = dict(self._codes_of)
        self._met: dict[str, dict[str, int]] = {}
        for key, table in _tables_with_aliases(schema, catalogs):
            self._index[key] = _NameIndex(self._index[key], table)
        self._number_slot = {name: i for i, name in enumerate(schema.number_names)}
        self._category_slot = {name: i for i, name in enumerate(schema.category_names)}
        self._sent = {f.name: f for f in schema.inputs if f.derive is None}
        self._required = tuple(f.name for f in schema.features if f.required)
        self._slots = {name: self._slot(feature) for name, feature in self._sent.items()}
        self._derived = tuple(
            self._compile(f, f.derive) for f in schema.features if f.derive is not None
        )
        self._no_numbers = [math.nan] * len(schema.number_names)
        self._no_categories = [MISSING] * len(schema.category_names)

    @property
    def met(self) -> Mapping[str, Mapping[str, int]]:
        """The codes, below `UNKNOWN`, of values that were met since: by category and value."""
        return self._met

    def meet(self, name: str, text: str) -> None:
        """Give a value that the vocabulary does not have a code of its own from now on.

        The graph knows no such code, `Predictor.run` takes it for unknown. But rows with this
        value can be told apart by it. It stays among the row's `unknown`. Does nothing for values
        that have a code, and beyond `MOST_MET` of them. One thread at a time meets.
        """
        codes = self._codes_of[name]
        met = self._met.setdefault(name, {})
        if text not in codes and len(met) < MOST_MET:
            # Never another code for a value, nor its code for another: rows may be on their way.
            codes[text] = met[text] = UNKNOWN - 1 - len(met)

    def encode(self, features: Mapping[str, Value]) -> Encoded:
        """Return one row; see `encode_row`."""
        numbers, categories, unknown = self.encode_row(features)
        return Encoded(
            np.array([numbers], dtype=np.float64),
            np.array([categories], dtype=np.int64),
            (unknown,),
        )

    def encode_row(self, features: Mapping[str, Value]) -> EncodedRow:
        """Return one row as plain numbers. None and absent names are missing.

        Raises InvalidInput with every violation: a required feature that is missing, a name
        that the schema does not have, a wrong type, NaN, infinity, a number out of range.
        """
        numbers = self._no_numbers.copy()
        categories = self._no_categories.copy()
        unknown: list[str] = []
        slots = self._slots
        try:
            for name, value in features.items():
                if value is None:
                    continue
                is_number, slot, read = slots[name]
                if is_number:
                    numbers[slot] = read(value)
                else:
                    code = int(read(value))
                    if code < MISSING:
                        unknown.append(name)
                    categories[slot] = MISSING if code == UNKNOWN else code
            for name in self._required:
                if features.get(name) in (None, ""):
                    raise ValueError(name)
        except (KeyError, TypeError, ValueError):
            raise InvalidInput(self.violations(features)) from None
        for derived in self._derived:
            code = self._derive(derived, categories[derived.source], features)
            if code < MISSING:
                unknown.append(derived.name)
            categories[derived.target] = MISSING if code == UNKNOWN else code
        unknown.sort(key=self._category_slot.__getitem__)
        return EncodedRow(numbers, categories, tuple(unknown))

    def number_slot(self, name: str) -> tuple[int, Callable[[Value], float]] | None:
        """Return where a number or flag stands in a row, and what reads its values.

        None for the name of anything else. The reader raises TypeError and ValueError.
        """
        found = self._slots.get(name)
        return found[1:] if found is not None and found[0] else None

    def encode_variants(
        self, common: Mapping[str, Value], variants: Sequence[Mapping[str, Value]]
    ) -> Encoded:
        """Return one row for each variant: what is common, replaced by what is the variant's own.

        The same as encoding every row by itself, but what is common is read once. Raises
        InvalidInput as `encode` does, for the first row that cannot be used.
        """
        own = {name for variant in variants for name in variant}
        derived = [d for d in self._derived if d.source_name in own]
        base = self.encode_row({**common, **variants[0]})
        count = len(variants)
        numbers = np.repeat(np.array([base.numbers], dtype=np.float64), count, axis=0)
        categories = np.repeat(np.array([base.categories], dtype=np.int64), count, axis=0)
        again = {*own, *(d.name for d in derived)}
        everywhere = [name for name in base.unknown if name not in again]
        unknown: dict[int, list[str]] = {i: everywhere.copy() for i in range(count) if everywhere}
        try:
            for name in own:
                shared = common.get(name)
                column = [variant.get(name, shared) for variant in variants]
                self._vary(name, column, numbers, categories, unknown)
            for d in derived:
                for i, variant in enumerate(variants):
                    code = self._derive(d, int(categories[i, d.source]), {**common, **variant})
                    categories[i, d.target] = MISSING if code == UNKNOWN else code
                    if code < MISSING:
                        unknown.setdefault(i, []).append(d.name)
        except (KeyError, TypeError, ValueError):
            wrong = (self.violations({**common, **variant}) for variant in variants)
            raise InvalidInput(next(found for found in wrong if found)) from None
        for names in unknown.values():
            names.sort(key=self._category_slot.__getitem__)
        return Encoded(numbers, categories, _unknown_rows(unknown, count))

    def _vary(
        self,
        name: str,
        column: Sequence[Value],
        numbers: Numbers,
        categories: Codes,
        unknown: dict[int, list[str]],
    ) -> None:
        """Write one feature of all variants; ValueError and the like for what cannot be read."""
        is_number, slot, read = self._slots[name]
        if name in self._required and (None in column or "" in column):
            raise ValueError(name)
        if is_number:
            numbers[:, slot] = [math.nan if value is None else read(value) for value in column]
            return
        codes = [MISSING if value is None else int(read(value)) for value in column]
        if min(codes) < MISSING:
            for i, code in enumerate(codes):
                if code < MISSING:
                    unknown.setdefault(i, []).append(name)
                    codes[i] = MISSING if code == UNKNOWN else code
        categories[:, slot] = codes

    def violations(self, features: Mapping[str, Value]) -> tuple[Violation, ...]:
        """Return everything that is wrong with a row; fields are like `features[payload]`."""
        found = [
            Violation(f"features[{name}]", "", f"{name!r} is required and missing")
            for name in self._required
            if features.get(name) in (None, "")
        ]
        for name, value in features.items():
            if value is not None and (why := self._complaint(name, value)):
                found.append(Violation(f"features[{name}]", shown(value), why))
        return tuple(found)

    def encode_columns(self, columns: Mapping[str, Column], rows: int) -> Encoded:
        """Return `rows` rows from columns by the schema's names, strictly.

        None, a masked number, and the index -1 of `Coded` texts are missing; NaN is refused.
        Raises InvalidInput for the same reasons as `encode`, and for a column of another
        length; fields are like `columns[payload][17]`.
        """
        violations = [
            Violation(f"columns[{name}]", "", self._complaint(name, 0) or "")
            for name in columns
            if name not in self._sent
        ]
        violations += [
            Violation(f"columns[{name}]", str(len(c)), f"has {len(c)} values for {rows} rows")
            for name, c in columns.items()
            if len(c) != rows
        ]
        violations += [
            Violation(f"columns[{name}]", "", f"{name!r} is required and missing")
            for name in self._required
            if name not in columns
        ]
        if not violations:
            encoded, troubles = self._encode_rows(columns, rows, strict=True)
            if not troubles:
                return encoded
            violations = [
                Violation(f"columns[{t.name}][{t.row}]", t.value, t.message)
                for t in troubles[:MAX_VIOLATIONS]
            ]
        raise InvalidInput(violations)

    def encode_table(
        self, columns: Mapping[str, Column], *, named: Naming = "column"
    ) -> tuple[Encoded, list[Rejection]]:
        """Return all rows of a table, leniently, and which of them cannot be used.

        For files and for training. Columns that the schema does not know are ignored, text in
        a number's column is read as the number that it stands for, "", "NA", "null" and such
        are missing. A rejected row keeps its place, with the bad value as missing. Raises
        InvalidInput when the columns differ in length.
        """
        try:
            rows = rows_of(columns)
        except ValueError as error:
            raise InvalidInput([Violation("columns", "", str(error))]) from None
        mine = columns_by_name(self.schema, columns) if named == "column" else columns
        mine = {name: mine[name] for name in self._sent if name in mine}
        encoded, troubles = self._encode_rows(mine, rows, strict=False)
        return encoded, rejections(troubles)

    def _slot(self, feature: Feature) -> tuple[bool, int, Callable[[Value], float]]:
        if feature.is_numeric:
            return True, self._number_slot[feature.name], number_reader(feature)
        read = category_reader(self._index[feature.name])
        return False, self._category_slot[feature.name], read

    def _compile(self, feature: Feature, derive: Derive) -> _Derived:
        read = derivation(derive)
        index = self._index[feature.name]
        by_code = [code_of(read(text), index) for text in self.vocabulary.get(derive.source, ())]
        target, source = self._category_slot[feature.name], self._category_slot[derive.source]
        return _Derived(feature.name, target, source, derive.source, read, by_code)

    def _derive(self, derived: _Derived, source: int, features: Mapping[str, Value]) -> int:
        if source >= 0:
            return derived.by_code[source]
        value = features.get(derived.source_name)
        if value is None:
            return MISSING
        return code_of(derived.read(category_text(value)), self._index[derived.name])

    def _complaint(self, name: str, value: Value) -> str | None:
        """Return what is wrong with one value, None if nothing is."""
        slot = self._slots.get(name)
        if slot is None:
            if name in self._category_slot:
                derive = self.schema.feature(name).derive
                source = derive.source if derive else ""
                return f"{name!r} is derived from {source!r} and cannot be sent"
            known = listing(list(self._sent))
            return f"workload {self.schema.workload!r} has no feature {name!r}; known: {known}"
        try:
            slot[2](value)
        except TypeError:
            return f"{shown(value)} is not {expectation(self._sent[name])}"
        except ValueError as error:
            return str(error)
        return None

    def _encode_rows(
        self, columns: Mapping[str, Column], rows: int, *, strict: bool
    ) -> tuple[Encoded, list[Trouble]]:
        numbers = np.full((rows, len(self._no_numbers)), np.nan)
        categories = np.full((rows, len(self._no_categories)), MISSING, dtype=np.int64)
        limit = MAX_VIOLATIONS if strict else None
        troubles = _missing_columns(self._required, columns, rows)
        texts: dict[str, Coded] = {}
        unknown: dict[int, list[str]] = {}
        for name, column in columns.items():
            feature = self._sent[name]
            if feature.is_numeric:
                values, found = read_numbers(feature, column, strict=strict, limit=limit)
                numbers[:, self._number_slot[name]] = values
            else:
                texts[name], found = read_categories(feature, column, limit=limit)
                slot = self._category_slot[name]
                categories[:, slot] = self._codes(name, texts[name], unknown)
            troubles += found
        for derived in self._derived:
            if derived.source_name in texts:
                source = texts[derived.source_name]
                coded = Coded(tuple(map(derived.read, source.values)), source.indices)
                categories[:, derived.target] = self._codes(derived.name, coded, unknown)
        return Encoded(numbers, categories, _unknown_rows(unknown, rows)), troubles

    def _codes(self, name: str, coded: Coded, unknown: dict[int, list[str]]) -> Codes:
        """Return the codes of a column, noting the rows whose value nobody has seen before."""
        codes = codes_of(coded.values, self._index[name])
        new = [
            text is not None and code < 0
            for text, code in zip(coded.values, codes.tolist(), strict=True)
        ]
        if any(new):
            for row in np.flatnonzero(coded.lookup(np.array(new), False)).tolist():
                unknown.setdefault(row, []).append(name)
        return coded.lookup(codes, MISSING)


class _NameIndex(Mapping[str | None, int]):
    """The codes of known values, found by any name that a catalog has for them."""

    def __init__(self, codes: Mapping[str | None, int], table: CatalogTable) -> None:
        self._codes = codes
        self._table = table
        self._by_key: dict[str | None, int] = {}
        for text, code in codes.items():
            self._by_key.setdefault(table.key_of(text or ""), code)
        # The catalog's own spelling, where it is a value itself, stands for all others.
        self._by_key |= {key: codes[key] for key in table.keys if key in codes}
        self._by_key.pop(None, None)

    def __getitem__(self, name: str | None) -> int:
        code = self._codes.get(name)
        return self._by_key[self._table.key_of(name or "")] if code is None else code

    def __iter__(self) -> Iterator[str | None]:
        return iter(self._codes)

    def __len__(self) -> int:
        return len(self._codes)


def _tables_with_aliases(
    schema: Schema, catalogs: Sequence[CatalogTable]
) -> list[tuple[str, CatalogTable]]:
    keys = {catalog.name: catalog.key for catalog in schema.catalogs}
    return [(keys[t.name], t) for t in catalogs if t.aliases is not None and t.name in keys]


def _missing_columns(
    required: Sequence[str], columns: Mapping[str, Column], rows: int
) -> list[Trouble]:
    return [
        Trouble(name, row, "", f"{name!r} is required and missing")
        for name in required
        if name not in columns
        for row in range(rows)
    ]


def _unknown_rows(unknown: Mapping[int, list[str]], rows: int) -> tuple[tuple[str, ...], ...]:
    if not unknown:
        return ((),) * rows
    return tuple(tuple(unknown.get(row, ())) for row in range(rows))
