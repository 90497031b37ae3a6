"""Readers of one feature's values, singly and by the column, and what they complain about."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from foretell.columns import (
    MISSING,
    Coded,
    Column,
    Flags,
    Numbers,
    coded_column,
    missing_cells,
    number_column,
)
from foretell.parsing import Value, category_text, expectation, range_text, shown, text_parser
from foretell.schema import Derive, Feature

UNKNOWN = -2
"""What a reader of categories answers for a value that the vocabulary does not have."""

_LARGEST = sys.float_info.max


class Trouble(NamedTuple):
    """One value of one column that cannot be used."""

    name: str
    row: int
    value: str
    message: str


def number_reader(feature: Feature) -> Callable[[Value], float]:
    """Return the function that reads one value of a number or flag.

    It raises TypeError for a value of another type and ValueError, with a message, for a
    number out of range. Text is read only where the schema gives it a format.
    """
    if feature.kind == "flag":
        return _read_flag
    # One chained comparison refuses NaN, infinity and whatever is out of range.
    low, high = max(feature.lower_limit, -_LARGEST), min(feature.upper_limit, _LARGEST)
    parse = text_parser(feature) if feature.format != "plain" else None
    wanted = range_text(feature)

    def read(value: Value) -> float:
        if type(value) is not float and type(value) is not int:
            value = _number(value, parse)
        if low <= value <= high:
            return value
        finite = -_LARGEST <= value <= _LARGEST
        raise ValueError(f"{value} is not {wanted if finite else 'a finite number'}")

    return read


def category_reader(index: Mapping[str | None, int]) -> Callable[[Value], int]:
    """Return the function that reads one value of a category: its code, -1 missing, -2 unknown.

    It raises TypeError for a value that cannot name a category.
    """
    get = index.get

    def read(value: Value) -> int:
        if type(value) is str:
            code = get(value)
            if code is not None:
                return code
        return code_of(category_text(value), index)

    return read


def code_of(text: str | None, index: Mapping[str | None, int]) -> int:
    """Return the code of a category's text, -1 when it is missing, -2 when it is unknown."""
    return MISSING if text is None else index.get(text, UNKNOWN)


def derivation(derive: Derive) -> Callable[[str | None], str | None]:
    """Return the function from the source's text to the derived text, None without a match."""
    search = re.compile(derive.pattern).search

    @lru_cache(maxsize=4096)
    def read(text: str | None) -> str | None:
        found = search(text) if text is not None else None
        return (found[1] or None) if found else None

    return read


def read_numbers(
    feature: Feature, column: Column, *, strict: bool = False, limit: int | None = None
) -> tuple[Numbers, list[Trouble]]:
    """Return a number's or flag's column, NaN for missing and for what cannot be used.

    With `strict`, text is read only where the schema gives it a format, and NaN is refused: a
    mask or None says missing. `limit` bounds how many rows each kind of complaint lists.
    """
    parse = None if strict and feature.format == "plain" else text_parser(feature)
    numbers, bad = number_column(column, parse)
    if strict:
        bad |= np.isnan(numbers) & ~missing_cells(column)
    if feature.kind == "flag":
        outside = (numbers != 0) & (numbers != 1) & ~np.isnan(numbers)
    else:
        outside = (numbers < feature.lower_limit) | (numbers > feature.upper_limit)
    outside &= ~bad
    wanted = expectation(feature) if feature.kind == "flag" else range_text(feature)
    troubles = troubles_at(bad, feature.name, column, f"is not {expectation(feature)}", limit)
    troubles += troubles_at(outside, feature.name, column, f"is not {wanted}", limit)
    if feature.required:
        troubles += _missing(np.isnan(numbers) & ~bad, feature, limit)
    numbers[bad | outside] = np.nan
    return numbers, troubles


def read_categories(
    feature: Feature, column: Column, *, limit: int | None = None
) -> tuple[Coded, list[Trouble]]:
    """Return a category's column as texts, None for missing and for what cannot be used."""
    coded, bad = coded_column(column)
    troubles = troubles_at(bad, feature.name, column, f"is not {expectation(feature)}", limit)
    if feature.required:
        absent = coded.lookup(np.array([v is None for v in coded.values], dtype=np.bool_), True)
        troubles += _missing(absent & ~bad, feature, limit)
    return coded, troubles


def troubles_at(
    rows: Flags, name: str, column: Column, why: str, limit: int | None = None
) -> list[Trouble]:
    """Return one trouble, "<value> <why>", for each marked row, at most `limit` of them."""
    return [
        Trouble(name, row, text, f"{text} {why}")
        for row in np.flatnonzero(rows)[:limit].tolist()
        for text in (shown(column[row]),)
    ]


def _missing(rows: Flags, feature: Feature, limit: int | None) -> list[Trouble]:
    message = f"{feature.name!r} is required and missing"
    return [
        Trouble(feature.name, row, "", message) for row in np.flatnonzero(rows)[:limit].tolist()
    ]


def _read_flag(value: Value) -> float:
    if value is True or value is False or isinstance(value, (int, float, np.bool_)):
        number = float(value)
        if number in (0.0, 1.0):
            return number
        raise ValueError(f"{shown(value)} is not true or false")
    raise TypeError


def _number(value: object, parse: Callable[[str], float] | None) -> float:
    if isinstance(value, str) and parse is not None:
        try:
            return parse(value)
        except (ValueError, OverflowError):
            raise TypeError from None
    if isinstance(value, (bool, np.bool_, str)) or not hasattr(value, "__float__"):
        raise TypeError
    return float(value)
