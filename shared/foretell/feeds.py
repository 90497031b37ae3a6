"""Feeds: input arrays of a graph that are used again and again, for a few rows at a time.

ONNX Runtime reads rows where they are. With arrays that were made for it a run of one row takes a
tenth less than with new ones each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

import numpy as np

from foretell.columns import MISSING
from foretell.encoding import EncodedRow

MOST_ROWS = 64
"""Arrays for more rows are not kept."""

MOST_SPARE = 8
"""So many of each size are kept: one for each thread that runs the graph at the same time."""


class Feed:
    """Arrays for so many rows, as the graph takes them."""

    __slots__ = ("_categories", "_category_row", "_number_row", "_numbers", "arrays", "rows")

    def __init__(self, rows: int, number_row: Struct, category_row: Struct) -> None:
        self.rows = rows
        self._number_row, self._category_row = number_row, category_row
        self._numbers = bytearray(rows * number_row.size)
        self._categories = bytearray(rows * category_row.size)
        numbers = np.frombuffer(self._numbers, dtype=np.float64)
        categories = np.frombuffer(self._categories, dtype=np.int64)
        self.arrays = {
            "numbers": numbers.reshape(rows, number_row.size // 8),
            "categories": categories.reshape(rows, category_row.size // 8),
        }

    def fill(self, rows: Sequence[EncodedRow], *, met: bool) -> None:
        """Put in as many rows as there is room for; `met` says that codes may be below -1."""
        wide, put_numbers = self._number_row.size, self._number_row.pack_into
        narrow, put_categories = self._category_row.size, self._category_row.pack_into
        for i, row in enumerate(rows):
            put_numbers(self._numbers, i * wide, *row.numbers)
            put_categories(self._categories, i * narrow, *row.categories)
        if met:  # codes that the graph does not have
            categories = self.arrays["categories"]
            np.maximum(categories, MISSING, out=categories)


class Feeds:
    """The feeds of one graph. Shared by threads: whoever takes one has it to itself."""

    def __init__(self, numbers: int, categories: int) -> None:
        """Make feeds for rows of so many numbers and categories."""
        self._number_row = Struct(f"={numbers}d")
        self._category_row = Struct(f"={categories}q")
        self._spare: dict[int, list[Feed]] = {}

    def take(self, rows: int) -> Feed:
        """Return a feed for so many rows, with anything in it."""
        try:
            return self._spare[rows].pop()
        except (KeyError, IndexError):
            return Feed(rows, self._number_row, self._category_row)

    def give_back(self, feed: Feed) -> None:
        """Keep a feed for those who come after; nobody may use it any more."""
        rows = feed.rows
        spare = self._spare.setdefault(rows, [])
        if rows <= MOST_ROWS and len(spare) < MOST_SPARE:
            spare.append(feed)
