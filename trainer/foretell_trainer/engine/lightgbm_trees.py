"""Trees grown by LightGBM: the default, leaf by leaf, each split where it helps most.

`RANDOMISED` tries one random threshold per feature instead (extremely randomised trees, Geurts
et al., Machine Learning 2006): worse alone, and good company in an ensemble.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from foretell.errors import Cancelled
from foretell_trainer.engine.trees import LEAF, Singles, Tree, TreeSettings, rounded_down


@dataclass(frozen=True)
class LightgbmTrees:
    """An ensemble of LightGBM's."""

    booster: lightgbm.Booster
    rounds: int

    def predict(self, features: Singles) -> NDArray[np.float64]:
        """Return the sum of the leaves of each row, [n]."""
        return np.asarray(self.booster.predict(features, num_iteration=self.rounds, num_threads=1))

    def trees(self) -> Iterator[Tree]:
        """Yield the trees."""
        model = self.booster.dump_model(num_iteration=self.rounds)
        return (_tree(entry["tree_structure"]) for entry in model["tree_info"])


@dataclass(frozen=True)
class LightgbmLearner:
    """Grows trees with LightGBM."""

    extra_trees: bool = False

    def grow(
        self,
        features: Singles,
        target: NDArray[np.float64],
        settings: TreeSettings,
        should_stop: Callable[[], bool],
    ) -> LightgbmTrees:
        """Grow the given number of rounds; raise Cancelled, from inside the fit."""
        data = lightgbm.Dataset(features, target, free_raw_data=True)
        booster = lightgbm.train(
            self._parameters(settings), data, settings.rounds, callbacks=[_stopper(should_stop)]
        )
        return LightgbmTrees(booster, booster.current_iteration())

    def errors(
        self,
        features: Singles,
        target: NDArray[np.float64],
        settings: TreeSettings,
        held_out: tuple[Singles, NDArray[np.float64]],
        patience: int | None,
        should_stop: Callable[[], bool],
    ) -> NDArray[np.float64]:
        """Return the mean absolute error on held-out rows after each round, [rounds]."""
        data = lightgbm.Dataset(features, target, free_raw_data=True)
        valid = lightgbm.Dataset(held_out[0], held_out[1], reference=data)
        curve: dict[str, dict[str, list[float]]] = {}
        callbacks = [_stopper(should_stop), lightgbm.record_evaluation(curve)]
        if patience is not None:
            callbacks.append(lightgbm.early_stopping(patience, verbose=False))
        lightgbm.train(
            self._parameters(settings),
            data,
            settings.rounds,
            valid_sets=[valid],
            callbacks=callbacks,
        )
        return np.array(curve["valid_0"]["l1"])

    def _parameters(self, settings: TreeSettings) -> dict[str, Any]:
        return {
            "objective": settings.objective,
            # Stopping early by squares would let a few outliers say when.
            "metric": "l1",
            "num_leaves": settings.leaves,
            "learning_rate": settings.learning_rate,
            "min_data_in_leaf": settings.smallest_leaf,
            "feature_fraction": settings.column_share,
            "bagging_fraction": settings.row_share,
            "bagging_freq": 1,
            "lambda_l2": settings.leaf_penalty,
            "extra_trees": self.extra_trees,
            **({"monotone_constraints": [*settings.monotone]} if settings.monotone else {}),
            # What is missing comes marked by a number, so there is no NaN to treat apart.
            "use_missing": False,
            "seed": settings.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": settings.threads,
            "verbosity": -1,
        }


PLAIN = LightgbmLearner()
RANDOMISED = LightgbmLearner(extra_trees=True)


def _stopper(should_stop: Callable[[], bool]) -> Callable[[lightgbm.callback.CallbackEnv], None]:
    def check(environment: lightgbm.callback.CallbackEnv) -> None:
        if environment.iteration % 10 == 0 and should_stop():
            raise Cancelled

    return check


def _tree(root: Mapping[str, Any]) -> Tree:
    nodes: list[Mapping[str, Any]] = [root]
    left, right = [0], [0]
    # The list grows while it is walked: children come after their parents.
    for place, node in enumerate(nodes):
        if "leaf_value" not in node:
            left[place], right[place] = len(nodes), len(nodes) + 1
            nodes += (node["left_child"], node["right_child"])
            left += (0, 0)
            right += (0, 0)
    return Tree(
        feature=np.array([node.get("split_feature", LEAF) for node in nodes], dtype=np.int64),
        threshold=rounded_down(np.array([node.get("threshold", 0.0) for node in nodes])),
        left=np.array(left, dtype=np.int64),
        right=np.array(right, dtype=np.int64),
        value=np.array([node.get("leaf_value", 0.0) for node in nodes], dtype=np.float64),
    )
