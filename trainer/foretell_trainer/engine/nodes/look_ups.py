"""Look-ups by category: columns of many tables in one, and places of many tables in one product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats, Integers


class Places:
    """Where rows stand in tables: whole multiples of the codes of their categories."""

    def __init__(self, categories: int) -> None:
        self._steps: list[Integers] = []
        self._starts: list[Integers] = []
        self._categories = categories

    def add(self, steps: Integers, starts: Integers) -> int:
        """Add the places steps [C, k] · codes + starts [k]; return their position."""
        self._steps.append(steps)
        self._starts.append(starts)
        return len(self._steps) - 1

    def add_rows(self, categories: Sequence[int], sizes: Sequence[int]) -> int:
        """Add one place per category, in tables [V + 1, …] that stand below one another.

        The first row of each is for an unknown value, whose code is -1; `sizes` are V.
        """
        steps = np.zeros((self._categories, len(categories)), np.int64)
        steps[list(categories), np.arange(len(categories))] = 1
        starts = np.cumsum([0, *(size + 1 for size in sizes)])[: len(categories)] + 1
        return self.add(steps, starts.astype(np.int64))

    def to_onnx(self, graph: GraphBuilder, codes: str) -> list[str]:
        """Add them to a graph, from codes [n, C]; int64 [n, k] each."""
        product = graph.add("MatMul", codes, graph.constant(np.hstack(self._steps)))
        places = graph.add("Add", product, graph.constant(np.concatenate(self._starts)))
        return graph.split(places, [len(starts) for starts in self._starts])


class LookUps:
    """Numbers by category: each is the sum over categories of one table's row."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = tuple(sizes)
        self._slots: list[tuple[int, Mapping[int, Floats]]] = []

    def add(self, width: int, tables: Mapping[int, Floats]) -> int:
        """Add tables [V + 1, width] by category; return the position of what they give."""
        self._slots.append((width, tables))
        return len(self._slots) - 1

    @property
    def width(self) -> int:
        """How many numbers are looked up."""
        return sum(width for width, _ in self._slots)

    def place(self, places: Places) -> int:
        """Add where a row stands in the table."""
        return places.add_rows(range(len(self._sizes)), self._sizes)

    def to_onnx(self, graph: GraphBuilder, places: str) -> list[str]:
        """Add them to a graph; double [n, width] for each that was added."""
        ends = np.cumsum([0, *(size + 1 for size in self._sizes)])
        table = np.zeros((ends[-1], self.width))
        start = 0
        for width, tables in self._slots:
            for category, own in tables.items():
                table[ends[category] : ends[category + 1], start : start + width] = own
            start += width
        found = graph.sum_over(graph.rows_of(table, places), 1)
        return graph.split(found, [width for width, _ in self._slots])
