"""Linear forms of the numbers and of their squares: many of them in one product."""

from __future__ import annotations

import numpy as np

from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats


def distances(points: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the squared distances from points [k, F] as what `Forms.add` takes.

    They are weighted by number, [F] or [k, F].
    """
    each = np.broadcast_to(weights, points.shape)
    return -2 * (each * points).T, each.T, (each * points**2).sum(axis=1)


class Forms:
    """What is linear in F standardised numbers and their squares, such as squared distances."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._weights: list[Floats] = []
        self._constants: list[Floats] = []

    def add(self, direct: Floats, squares: Floats, constants: Floats) -> int:
        """Add k forms, weights [F, k] and constants [k]; return their position."""
        self._weights.append(np.vstack([direct, squares]))
        self._constants.append(constants)
        return len(self._weights) - 1

    def to_onnx(self, graph: GraphBuilder, standard: str) -> list[str]:
        """Add them to a graph; double [n, k] for each that was added."""
        both = graph.side_by_side(standard, graph.add("Mul", standard, standard))
        weights = graph.constant(np.hstack(self._weights))
        constants = graph.constant(np.concatenate(self._constants))
        found = graph.add("Gemm", both, weights, constants)
        return graph.split(found, [len(own) for own in self._constants])
