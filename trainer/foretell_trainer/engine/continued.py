"""Trees that go on: an ensemble as it was kept, and one that was grown on what it leaves.

Boosting on squares knows of the rounds before only what they leave of the target. So to grow
further trees on that is to go on with the rounds, whichever library grew the first ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell_trainer.engine.trees import Singles, Tree, Trees


@dataclass(frozen=True)
class KeptTrees:
    """An ensemble as arrays, the nodes of all its trees one after the other."""

    first: NDArray[np.int64]
    """[trees + 1]: where each tree's nodes begin, and where the last one's end."""
    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]

    def predict(self, features: Singles) -> NDArray[np.float64]:
        """Return the sum of the leaves of each row, [n]."""
        total = np.zeros(len(features))
        for tree in self.trees():
            total += tree.predict(features)
        return total

    def trees(self) -> Iterator[Tree]:
        """Yield the trees."""
        for start, end in itertools.pairwise(self.first.tolist()):
            nodes = slice(start, end)
            yield Tree(
                self.feature[nodes],
                self.threshold[nodes],
                self.left[nodes],
                self.right[nodes],
                self.value[nodes],
            )


NO_TREES = KeptTrees(
    np.zeros(1, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.float32),
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0),
)
"""An ensemble that says 0."""


@dataclass(frozen=True)
class ContinuedTrees:
    """An ensemble, and the trees that were added to it later."""

    before: Trees
    added: Trees

    def predict(self, features: Singles) -> NDArray[np.float64]:
        """Return the sum of the leaves of each row, [n]."""
        return self.before.predict(features) + self.added.predict(features)

    def trees(self) -> Iterator[Tree]:
        """Yield the trees, those from before first."""
        return itertools.chain(self.before.trees(), self.added.trees())


def kept(trees: Trees | None) -> KeptTrees | None:
    """Return an ensemble as arrays; None for none."""
    if trees is None:
        return None
    found = list(trees.trees())
    sizes = [len(tree.feature) for tree in found]
    nothing = np.zeros(0, np.int64)
    return KeptTrees(
        first=np.cumsum([0, *sizes]).astype(np.int64),
        feature=np.concatenate([nothing, *(tree.feature for tree in found)]),
        threshold=np.concatenate([nothing, *(t.threshold for t in found)]).astype(np.float32),
        left=np.concatenate([nothing, *(tree.left for tree in found)]),
        right=np.concatenate([nothing, *(tree.right for tree in found)]),
        value=np.concatenate([nothing, *(t.value for t in found)]).astype(np.float64),
    )


def continued(before: Trees | None, added: Trees) -> Trees:
    """Return an ensemble with further trees."""
    return added if before is None else ContinuedTrees(before, added)
