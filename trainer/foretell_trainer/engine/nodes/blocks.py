"""Blocks: named columns side by side, and what is linear in them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foretell_trainer.engine.inputs import Floats


class Blocks:
    """Which columns each block has in one matrix, from left to right."""

    def __init__(self) -> None:
        self._starts: dict[str, int] = {}
        self.width = 0

    def add(self, name: str, width: int) -> None:
        """Add a block to the right of all others."""
        self._starts[name] = self.width
        self.width += width

    def start(self, name: str) -> int:
        """Return the first column of a block."""
        return self._starts[name]

    def weights(self, parts: Mapping[str, Floats], outputs: int) -> Floats:
        """Return weights [blocks' width, outputs] made of those [k, outputs] of some blocks."""
        found = np.zeros((self.width, outputs))
        for name, own in parts.items():
            found[self._starts[name] : self._starts[name] + len(own)] += own
        return found
