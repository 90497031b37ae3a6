"""What a column of a table looks like: its kind, its range, how its values repeat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foretell.columns import Codes, Column, coded_column, number_column
from foretell.parsing import (
    MISSING_TEXTS,
    parse_dimensions,
    parse_flag,
    parse_number,
    parse_quantity,
)
from foretell.schema import Format, Kind

MOSTLY = 0.95
"""A column is what so many of its values that are there are; the rest are errors in it."""

ORDERS_OF_MAGNITUDE = 10.0
"""The ratio of the 95th percentile to the 5th from which a log scale pays."""


@dataclass(frozen=True)
class Profile:
    """What there is to say of one column."""

    name: str
    kind: Kind
    why: str
    """Why it is of that kind."""
    rows: int
    missing: int
    distinct: int
    codes: Codes
    """Per row, which of the distinct values it holds."""
    format: Format = "plain"
    example: str = ""
    low: float = 0.0
    high: float = 0.0
    zeros: int = 0
    whole: bool = False
    spans_magnitudes: bool = False

    @property
    def useless(self) -> bool:
        """Whether it cannot tell one row from another."""
        return self.distinct <= 1


def profile_column(name: str, column: Column) -> Profile:
    """Return what a column looks like."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "Mm":
        column = column.astype(str)
    texts, unreadable = coded_column(column)
    codes = texts.lookup(np.arange(len(texts.values)), -1)
    present = np.array([t is not None for t in texts.values], dtype=np.bool_)
    there = texts.lookup(present, False) & ~unreadable
    rows, missing = len(codes), int(np.count_nonzero(~there))
    examples = [t for t in texts.values if t is not None]
    base = Profile(
        name,
        "category",
        "its values are texts" if examples else "it has no values",
        rows,
        missing,
        len(examples),
        codes,
        example=repr(examples[0]) if examples else "",
    )
    if not examples:
        return base
    if _share(examples, parse_flag) == 1.0 and len(examples) <= 2:
        return replace(base, kind="flag", why="its values mean true and false")
    for form, parse in _FORMATS.items():
        if _share(examples, parse) >= MOSTLY:
            return _numeric(base, column, form, parse)
    return base


def determines(key: Profile, other: Profile) -> bool:
    """Return whether each value of `key` has one value of `other`, and some key repeats."""
    if key.name == other.name or key.rows == key.distinct:
        return False
    keys, _, pairs = _combinations(key, other)
    return pairs == keys


def crosses(one: Profile, other: Profile) -> bool:
    """Return whether two columns occur in clearly more combinations than either has values."""
    ones, others, pairs = _combinations(one, other)
    return pairs >= 1.5 * max(ones, others)


def _combinations(one: Profile, other: Profile) -> tuple[int, int, int]:
    """Return how many values each column has, and pairs of them, where both have one."""
    both = (one.codes >= 0) & (other.codes >= 0)
    left, right = one.codes[both], other.codes[both]
    pairs = np.unique(left * (other.codes.max(initial=0) + 1) + right)
    return len(np.unique(left)), len(np.unique(right)), len(pairs)


_FORMATS: dict[Format, Callable[[str], float]] = {
    "plain": parse_number,
    "quantity": lambda text: parse_quantity(text, "MB"),
    "dimensions": parse_dimensions,
}


def _numeric(base: Profile, column: Column, form: Format, parse: Callable[[str], float]) -> Profile:
    numbers, unreadable = number_column(column, parse)
    numbers = numbers[~np.isnan(numbers) & ~unreadable]
    positive = numbers[numbers > 0]
    low, high = float(numbers.min()), float(numbers.max())
    spans = low >= 0 and len(positive) > 0
    if spans:
        ends = np.quantile(positive, [0.05, 0.95])
        spans = bool(ends[1] / ends[0] >= ORDERS_OF_MAGNITUDE or high / positive.min() >= 100)
    return replace(
        base,
        kind="number",
        why="its values are numbers" if form == "plain" else "its texts stand for numbers",
        missing=base.rows - len(numbers),
        format=form,
        low=low,
        high=high,
        zeros=int(np.count_nonzero(numbers == 0)),
        whole=bool(np.all(numbers == np.round(numbers))),
        spans_magnitudes=spans,
    )


def _share(texts: Sequence[str], parse: Callable[[str], float]) -> float:
    """Return which part of the texts, those that mean "missing" aside, can be parsed."""
    given = [text for text in texts if text.strip().lower() not in MISSING_TEXTS]
    return sum(_parses(text, parse) for text in given) / len(given) if given else 0.0


def _parses(text: str, parse: Callable[[str], float]) -> bool:
    try:
        parse(text)
    except (ValueError, OverflowError):
        return False
    return True
