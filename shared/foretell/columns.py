"""Whole columns at once: from whatever a file or a request holds to float64 and int64 arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.parsing import MISSING_TEXTS, Value, category_text

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

MISSING = -1
"""The code of a category that is missing or unknown."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of texts as its distinct values and, for every row, which of them it holds.

    The index -1 is a missing value.
    """

    values: tuple[str | None, ...]
    indices: NDArray[np.integer[Any]]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, row: int) -> str | None:
        index = int(self.indices[row])
        return self.values[index] if 0 <= index < len(self.values) else None

    def __iter__(self) -> Iterator[str | None]:
        values = (*self.values, None)
        return (values[index] for index in self.indices.tolist())

    def lookup(self, by_value: NDArray[Any], missing: float) -> NDArray[Any]:
        """Return, for every row, what `by_value` [values] holds for the row's value."""
        found: NDArray[Any] = np.append(by_value, by_value.dtype.type(missing))[self.indices]
        return found


Column = Sequence[Value] | NDArray[Any] | Coded
"""What a column may be; a numpy column of numbers marks missing values with NaN or a mask."""


def rows_of(columns: Mapping[str, Column]) -> int:
    """Return how many rows a table has; ValueError when its columns disagree."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError("columns differ in length: " + ", ".join(map(_length, lengths.items())))
    return next(iter(lengths.values()), 0)


def number_column(
    column: Column, parse: Callable[[str], float] | None, *, words: frozenset[str] = MISSING_TEXTS
) -> tuple[Numbers, Flags]:
    """Return a column as float64 with NaN for missing, and which rows could not be read.

    Numeric numpy columns are converted as a whole. Text is read with `parse`, each distinct
    text once, and texts among `words` are missing; with `parse` None, text cannot be read.
    Infinite values could not be read either.
    """
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        numbers = _filled(column)
        return numbers, np.isinf(numbers)
    values = _values(column)
    kinds = set(map(type, values))
    if kinds <= {float, int, bool, type(None)}:
        numbers = np.array([math.nan if v is None else v for v in values], dtype=np.float64)
        return numbers, np.isinf(numbers)
    return _mixed_numbers(values, parse, words)


def category_column(column: Column) -> tuple[list[str | None], Flags]:
    """Return a column as the texts of categories, and which rows could not be read."""
    values = _values(column)
    unreadable = np.zeros(len(values), dtype=np.bool_)
    kinds = set(map(type, values))
    if kinds <= {str, type(None)}:
        return [v or None for v in values], unreadable
    # Values that compare equal may differ in type (1, 1.0 and True), so the type is in the key.
    known: dict[tuple[type, Any], str | None] = {}
    texts: list[str | None] = []
    for row, value in enumerate(values):
        key = (type(value), value)
        try:
            if key not in known:
                known[key] = None if _is_nan(value) else category_text(value)
            texts.append(known[key])
        except TypeError:
            unreadable[row] = True
            texts.append(None)
    return texts, unreadable


def coded_column(column: Column) -> tuple[Coded, Flags]:
    """Return a column as coded texts of categories, and which rows could not be read."""
    if isinstance(column, Coded):
        values = tuple(text or None for text in column.values)
        astray = (column.indices < MISSING) | (column.indices >= len(values))
        return Coded(values, np.where(astray, MISSING, column.indices)), astray
    texts, unreadable = category_column(column)
    index = {text: code for code, text in enumerate(dict.fromkeys(texts))}
    return Coded(tuple(index), codes_of(texts, index)), unreadable


def codes_of(texts: Sequence[str | None], index: Mapping[str | None, int]) -> Codes:
    """Return the index of each text, -1 for None and for texts that the index does not know."""
    get = index.get
    return np.fromiter((get(text, MISSING) for text in texts), dtype=np.int64, count=len(texts))


def missing_cells(column: Column) -> Flags:
    """Return which cells are declared missing, by None or by a mask; NaN declares nothing."""
    if isinstance(column, np.ma.MaskedArray):
        return np.asarray(np.ma.getmaskarray(column))
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return np.zeros(len(column), dtype=np.bool_)
    cells = _values(column)
    return np.fromiter((cell is None for cell in cells), dtype=np.bool_, count=len(cells))


def distinct(texts: Iterable[str | None]) -> list[str]:
    """Return the distinct texts, sorted, without None."""
    return sorted({text for text in texts if text is not None})


def _values(column: Column) -> list[Any]:
    # A masked array's own tolist() puts None where the mask is.
    values: list[Any] = column.tolist() if isinstance(column, np.ndarray) else list(column)
    return values


def _filled(column: NDArray[Any]) -> Numbers:
    if isinstance(column, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(column), np.nan, column.data.astype(np.float64))
    return column.astype(np.float64)


def _mixed_numbers(
    values: list[Any], parse: Callable[[str], float] | None, words: frozenset[str]
) -> tuple[Numbers, Flags]:
    numbers = np.full(len(values), np.nan)
    unreadable = np.zeros(len(values), dtype=np.bool_)
    known: dict[str, float | None] = {}
    for row, value in enumerate(values):
        if isinstance(value, str):
            if value not in known:
                known[value] = _parse(value, parse, words)
            number = known[value]
        else:
            number = _real(value)
        if number is None:
            unreadable[row] = True
        else:
            numbers[row] = number
    return numbers, unreadable


def _parse(text: str, parse: Callable[[str], float] | None, words: frozenset[str]) -> float | None:
    if text.strip().lower() in words:
        return math.nan
    if parse is None:
        return None
    try:
        return parse(text)
    except (ValueError, OverflowError):
        return None


def _real(value: object) -> float | None:
    if value is None:
        return math.nan
    if not isinstance(value, (Real, np.bool_)) and not hasattr(value, "__float__"):
        return None
    try:
        number = float(value)  # Decimal, which DuckDB gives for DECIMAL columns, is no Real
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isinf(number) else number


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _length(item: tuple[str, int]) -> str:
    return f"{item[0]} has {item[1]}"
