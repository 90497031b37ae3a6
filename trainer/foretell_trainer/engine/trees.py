"""Boosted trees: fitted with LightGBM on float32, exported as nodes that decide alike.

The graph compares float32 with float32. LightGBM compares with a double, so each threshold is
rounded down to the next float32: for any float32 x, x ≤ t and x ≤ down(t) say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from foretell.errors import Cancelled
from numpy.typing import NDArray

from foretell_trainer.engine.graph import GraphBuilder

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class TreeSettings:
    """How an ensemble is grown."""

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

    def parameters(self) -> dict[str, Any]:
        """Return LightGBM's parameters."""
        return {
            "objective": self.objective,
            # Stopping early by squares would let a few outliers say when.
            "metric": "l1",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.smallest_leaf,
            "feature_fraction": self.column_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "lambda_l2": self.leaf_penalty,
            # What is missing comes marked by a number, so there is no NaN to treat apart.
            "use_missing": False,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.threads,
            "verbosity": -1,
        }


@dataclass(frozen=True)
class Trees:
    """A fitted ensemble."""

    booster: lightgbm.Booster
    rounds: int

    def predict(self, features: Singles) -> NDArray[np.float64]:
        """Return the sum of the leaves of each row, [n]."""
        return np.asarray(self.booster.predict(features, num_iteration=self.rounds, num_threads=1))


def grow(
    features: Singles,
    target: NDArray[np.float64],
    settings: TreeSettings,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trees:
    """Fit an ensemble of the given number of rounds.

    Raises Cancelled, from inside the fit, when asked to stop.
    """
    data = lightgbm.Dataset(features, target, free_raw_data=True)
    booster = lightgbm.train(
        settings.parameters(), data, settings.rounds, callbacks=[_stopper(should_stop)]
    )
    return Trees(booster, booster.current_iteration())


def held_out_errors(
    features: Singles,
    target: NDArray[np.float64],
    settings: TreeSettings,
    *,
    held_out: tuple[Singles, NDArray[np.float64]],
    patience: int | None,
    should_stop: Callable[[], bool] = lambda: False,
) -> NDArray[np.float64]:
    """Return the mean absolute error on held-out rows after each round, [rounds].

    With `patience` it ends so many rounds after the smallest. Raises Cancelled.
    """
    data = lightgbm.Dataset(features, target, free_raw_data=True)
    valid = lightgbm.Dataset(held_out[0], held_out[1], reference=data)
    curve: dict[str, dict[str, list[float]]] = {}
    callbacks = [_stopper(should_stop), lightgbm.record_evaluation(curve)]
    if patience is not None:
        callbacks.append(lightgbm.early_stopping(patience, verbose=False))
    lightgbm.train(
        settings.parameters(), data, settings.rounds, valid_sets=[valid], callbacks=callbacks
    )
    return np.array(curve["valid_0"]["l1"])


def _stopper(should_stop: Callable[[], bool]) -> Callable[[lightgbm.callback.CallbackEnv], None]:
    def check(environment: lightgbm.callback.CallbackEnv) -> None:
        if environment.iteration % 10 == 0 and should_stop():
            raise Cancelled

    return check


class Forest:
    """Several ensembles as one node: one evaluation answers every target."""

    def __init__(self, targets: int) -> None:
        self._targets = targets
        self._base = np.zeros(targets)
        self._nodes: dict[str, list[Any]] = {name: [] for name in _NODE_FIELDS}
        self._leaves: dict[str, list[Any]] = {name: [] for name in _LEAF_FIELDS}
        self._trees = 0

    def add(self, trees: Trees, target: int, columns: Sequence[int]) -> None:
        """Add an ensemble; `columns` says where its features stand in the forest's input."""
        model = trees.booster.dump_model(num_iteration=trees.rounds)
        for tree in model["tree_info"]:
            root = tree["tree_structure"]
            if "leaf_value" in root:
                self._base[target] += root["leaf_value"]
                continue
            self._add_node(root, self._trees, [0], target, columns)
            self._trees += 1

    def to_onnx(self, graph: GraphBuilder, features: str) -> str:
        """Add the forest to a graph; float [n, targets]."""
        if not self._trees:
            # One leaf that says nothing keeps the node, and so the graph's shape, the same.
            self._leaf(0, 0, 0, 0.0)
        return graph.add(
            "TreeEnsembleRegressor",
            features,
            domain="ai.onnx.ml",
            n_targets=self._targets,
            base_values=self._base.astype(np.float32).tolist(),
            aggregate_function="SUM",
            post_transform="NONE",
            **self._nodes,
            **self._leaves,
        )

    def _add_node(
        self,
        node: Mapping[str, Any],
        tree: int,
        next_id: list[int],
        target: int,
        columns: Sequence[int],
    ) -> int:
        node_id = next_id[0]
        next_id[0] += 1
        if "leaf_value" in node:
            self._leaf(tree, node_id, target, float(node["leaf_value"]))
            return node_id
        feature = columns[int(node["split_feature"])]
        place = self._node(tree, node_id, "BRANCH_LEQ", feature, rounded_down(node["threshold"]))
        left = self._add_node(node["left_child"], tree, next_id, target, columns)
        right = self._add_node(node["right_child"], tree, next_id, target, columns)
        self._nodes["nodes_truenodeids"][place] = left
        self._nodes["nodes_falsenodeids"][place] = right
        return node_id

    def _node(self, tree: int, node_id: int, mode: str, feature: int, threshold: float) -> int:
        values = (tree, node_id, feature, threshold, mode, 0, 0)
        for name, value in zip(_NODE_FIELDS, values, strict=True):
            self._nodes[name].append(value)
        return len(self._nodes["nodes_modes"]) - 1

    def _leaf(self, tree: int, node_id: int, target: int, value: float) -> None:
        self._node(tree, node_id, "LEAF", 0, 0.0)
        for name, entry in zip(_LEAF_FIELDS, (tree, node_id, target, value), strict=True):
            self._leaves[name].append(entry)


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


def rounded_down(threshold: float) -> float:
    """Return the largest float32 that is not above a double."""
    single = np.float32(threshold)
    if float(single) > threshold:
        single = np.nextafter(single, np.float32(-np.inf))
    return float(single)
