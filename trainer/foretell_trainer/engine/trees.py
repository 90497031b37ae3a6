"""Boosted trees: how they are grown, what is left of them, and the one node that they become.

Whoever grew an ensemble, it is handed on as arrays of nodes that compare float32 with ``≤``, so
that the graph, its proof and the calibration are the same for all. LightGBM compares with a
double: for any float32 x, x ≤ t and x ≤ rounded_down(t) say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from foretell_trainer.engine.graph import GraphBuilder

Singles = NDArray[np.float32]

LEAF = -1
"""The feature of a node that is a leaf."""


@dataclass(frozen=True)
class TreeSettings:
    """How an ensemble is grown, in LightGBM's terms; other learners take what is nearest."""

    rounds: int
    leaves: int
    learning_rate: float
    smallest_leaf: int
    column_share: float = 0.7
    row_share: float = 0.8
    leaf_penalty: float = 1.0
    seed: int = 0
    objective: str = "regression"
    threads: int = 1
    learner: str = "lightgbm"
    """Who grows it: a name of `foretell_trainer.engine.learners`."""
    monotone: tuple[int, ...] = ()
    """Per feature, whether what is grown may only rise (1) or only fall (-1) with it; 0 or
    nothing at all where it may do both."""


@dataclass(frozen=True)
class Tree:
    """One tree as arrays, [nodes] each; node 0 is the root.

    A row goes left where its feature is at most the threshold; at a leaf it takes the value.
    """

    feature: NDArray[np.int64]
    """`LEAF` for a leaf."""
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]

    def predict(self, features: Singles) -> NDArray[np.float64]:
        """Return the leaf's value of each row, [n]."""
        node = np.zeros(len(features), dtype=np.int64)
        going = np.flatnonzero(self.feature[node] != LEAF)
        while len(going):
            at = node[going]
            below = features[going, self.feature[at]] <= self.threshold[at]
            node[going] = np.where(below, self.left[at], self.right[at])
            going = going[self.feature[node[going]] != LEAF]
        return np.asarray(self.value[node])


class Trees(Protocol):
    """A grown ensemble, whose answer is the sum over its trees."""

    def predict(self, features: Singles) -> NDArray[np.float64]:
        """Return what the library that grew it says of each row, [n]."""

    def trees(self) -> Iterator[Tree]:
        """Yield its trees, in the order in which they were grown."""


@dataclass(frozen=True)
class Nudged:
    """An ensemble that sees all features a little larger, or smaller."""

    own: Trees
    by: float
    """How much of each feature, and how much besides."""

    def predict(self, features: Singles) -> NDArray[np.float64]:
        """Return what the ensemble says of rows that are moved so, [n]."""
        moved = features + self.by * (1.0 + np.abs(features))
        return self.own.predict(moved.astype(np.float32))

    def trees(self) -> Iterator[Tree]:
        """Yield the ensemble's trees."""
        return self.own.trees()


class Forest:
    """Several ensembles as one node: one evaluation answers every target."""

    def __init__(self, start: NDArray[np.float64]) -> None:
        """Begin with what every target is before its trees, [targets]."""
        self._base = start.copy()
        self._nodes: dict[str, list[Any]] = {name: [] for name in _NODE_FIELDS}
        self._leaves: dict[str, list[Any]] = {name: [] for name in _LEAF_FIELDS}
        self._trees = 0

    def add(self, trees: Trees, target: int, columns: Sequence[int]) -> None:
        """Add an ensemble; `columns` says where its features stand in the forest's input."""
        places = np.array([*columns, 0], dtype=np.int64)
        for tree in trees.trees():
            if len(tree.value) == 1:
                self._base[target] += tree.value[0]
                continue
            self._add(tree, target, places)
            self._trees += 1

    def to_onnx(self, graph: GraphBuilder, features: str) -> str:
        """Add the forest to a graph; float [n, targets]."""
        for target in np.setdiff1d(np.arange(len(self._base)), self._leaves["target_ids"]):
            # ONNX Runtime forgets what a target without a leaf begins with.
            self._add(NO_TREE, int(target), np.zeros(1, np.int64))
            self._trees += 1
        return graph.add(
            "TreeEnsembleRegressor",
            features,
            domain="ai.onnx.ml",
            n_targets=len(self._base),
            base_values=self._base.astype(np.float32).tolist(),
            aggregate_function="SUM",
            post_transform="NONE",
            **self._nodes,
            **self._leaves,
        )

    def _add(self, tree: Tree, target: int, places: NDArray[np.int64]) -> None:
        is_leaf = tree.feature == LEAF
        nodes = len(tree.feature)
        columns = (
            np.full(nodes, self._trees),
            np.arange(nodes),
            np.where(is_leaf, 0, places[tree.feature]),
            np.where(is_leaf, 0.0, tree.threshold),
            np.where(is_leaf, "LEAF", "BRANCH_LEQ"),
            np.where(is_leaf, 0, tree.left),
            np.where(is_leaf, 0, tree.right),
        )
        for name, values in zip(_NODE_FIELDS, columns, strict=True):
            self._nodes[name] += values.tolist()
        leaves = np.flatnonzero(is_leaf)
        ids = np.full(len(leaves), self._trees)
        ends = (ids, leaves, np.full(len(leaves), target), tree.value[leaves])
        for name, values in zip(_LEAF_FIELDS, ends, strict=True):
            self._leaves[name] += values.tolist()


_NODE_FIELDS = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_values",
    "nodes_modes",
    "nodes_truenodeids",
    "nodes_falsenodeids",
)
_LEAF_FIELDS = ("target_treeids", "target_nodeids", "target_ids", "target_weights")

_ZERO = np.zeros(1, np.int64)
NO_TREE = Tree(_ZERO + LEAF, np.zeros(1, np.float32), _ZERO, _ZERO, np.zeros(1))
"""One leaf that says 0."""


def rounded_down(thresholds: NDArray[np.float64] | float) -> Singles:
    """Return, for each double, the largest float32 that is not above it."""
    thresholds = np.asarray(thresholds, dtype=np.float64)
    singles = thresholds.astype(np.float32)
    below = np.nextafter(singles, np.float32(-np.inf))
    return np.where(singles > thresholds, below, singles)
