"""Gated trees: ensembles for different things that are known of a row, behind one root.

What is left of a model that was never seen is several times what is left of one that is known,
and of another kind. One ensemble for both learns the larger errors. So each has its own, and the
roots of all trees ask which holds: a forecast walks one of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foretell_trainer.engine.inputs import Flags, Floats, Inputs, Integers
from foretell_trainer.engine.trees import NO_TREE, Singles, Tree, Trees

_HALF = np.float32(0.5)


@dataclass(frozen=True)
class Gate:
    """An id, and which of its values are known."""

    category: int
    known: Flags
    """[V + 1]: first an unknown value, which is not."""

    @classmethod
    def of(cls, category: int, size: int, codes: Integers) -> Gate:
        """Return the gate of a category whose codes [n] are those of the rows that were seen."""
        known = np.zeros(size + 1, bool)
        known[codes + 1] = True
        known[0] = False
        return cls(category, known)

    def features(self, inputs: Inputs) -> Floats:
        """Return 1 where a row's value is known and 0 where not, [n]."""
        return self.known[inputs.codes[:, self.category] + 1].astype(np.float64)


class Gated:
    """Ensembles by what is known: the first for rows whose gates all hold, one per gate after it.

    A row takes that of the first gate that does not hold. Gates are the features from `first` on;
    ensembles see those before them. They are grown when they are first asked.
    """

    def __init__(self, first: int, gates: int, grow: Callable[[int], Trees]) -> None:
        self._first = first
        self._gates = gates
        self._grow = grow
        self._grown: dict[int, Trees] = {}

    def predict(self, features: Singles) -> NDArray[np.float64]:
        """Return the sum of the leaves of each row, [n]."""
        shut = features[:, self._first :] <= _HALF
        branch = np.where(shut.any(axis=1), 1 + shut.argmax(axis=1), 0)
        found = np.zeros(len(features))
        for which in np.unique(branch).tolist():
            rows = branch == which
            found[rows] = self._branch(which).predict(features[rows, : self._first])
        return found

    def trees(self) -> Iterator[Tree]:
        """Yield trees that ask the gates first."""
        branches = [self._branch(which).trees() for which in range(self._gates + 1)]
        for together in itertools.zip_longest(*branches, fillvalue=NO_TREE):
            yield self._joined(together)

    def _branch(self, which: int) -> Trees:
        if which not in self._grown:
            self._grown[which] = self._grow(which)
        return self._grown[which]

    def _joined(self, branches: Sequence[Tree]) -> Tree:
        """Return one tree: gate after gate, and behind each the tree of its ensemble."""
        gates = np.arange(self._gates)
        roots = self._gates + np.cumsum([0, *(len(tree.value) for tree in branches)])
        own = Tree(
            feature=self._first + gates,
            threshold=np.full(len(gates), _HALF),
            left=roots[1:-1],
            right=np.append(gates[1:], roots[0]),
            value=np.zeros(len(gates)),
        )
        moved = [
            replace(tree, left=tree.left + root, right=tree.right + root)
            for tree, root in zip(branches, roots[:-1], strict=True)
        ]
        names = ("feature", "threshold", "left", "right", "value")
        return Tree(*(np.concatenate([getattr(t, name) for t in (own, *moved)]) for name in names))
