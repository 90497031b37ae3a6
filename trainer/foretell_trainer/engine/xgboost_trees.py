"""Trees grown by XGBoost: level costs and leaf weights by second derivatives.

For who has tuned XGBoost before, and as a member of an ensemble. Needs the extra `xgboost`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from foretell.errors import Cancelled
from foretell_trainer.engine.trees import LEAF, Singles, Tree, TreeSettings

_OBJECTIVES = {
    "regression": "reg:squarederror",
    "regression_l1": "reg:absoluteerror",
    "huber": "reg:pseudohubererror",
}


@dataclass(frozen=True)
class XgboostTrees:
    """An ensemble of XGBoost's."""

    booster: xgboost.Booster

    def predict(self, features: Singles) -> NDArray[np.float64]:
        """Return the sum of the leaves of each row, [n]."""
        return np.asarray(self.booster.inplace_predict(features), dtype=np.float64)

    def trees(self) -> Iterator[Tree]:
        """Yield the trees."""
        model = json.loads(self.booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
        return map(_tree, model["trees"])


class XgboostLearner:
    """Grows trees with XGBoost."""

    def grow(
        self,
        features: Singles,
        target: NDArray[np.float64],
        settings: TreeSettings,
        should_stop: Callable[[], bool],
    ) -> XgboostTrees:
        """Grow the given number of rounds; raise Cancelled, from inside the fit."""
        data = xgboost.DMatrix(features, target, nthread=settings.threads)
        stopper = _Stopper(should_stop)
        booster = xgboost.train(
            _parameters(settings), data, settings.rounds, callbacks=[stopper], verbose_eval=False
        )
        return XgboostTrees(booster)

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
        curve: dict[str, dict[str, list[float]]] = {}
        xgboost.train(
            _parameters(settings),
            xgboost.DMatrix(features, target, nthread=settings.threads),
            settings.rounds,
            evals=[(xgboost.DMatrix(*held_out, nthread=settings.threads), "held_out")],
            evals_result=curve,
            early_stopping_rounds=patience,
            callbacks=[_Stopper(should_stop)],
            verbose_eval=False,
        )
        return np.array(curve["held_out"]["mae"])


class _Stopper(xgboost.callback.TrainingCallback):
    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ANN401, ARG002
        if epoch % 10 == 0 and self._should_stop():
            raise Cancelled
        return False


def _parameters(settings: TreeSettings) -> dict[str, Any]:
    return {
        "objective": _OBJECTIVES[settings.objective],
        "eval_metric": "mae",
        "base_score": 0.0,
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_depth": 0,
        "max_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        # The second derivative of a square is 1 a row, so this counts rows.
        "min_child_weight": settings.smallest_leaf,
        "colsample_bytree": settings.column_share,
        "subsample": settings.row_share,
        "reg_lambda": settings.leaf_penalty,
        "seed": settings.seed,
        **({"monotone_constraints": settings.monotone} if settings.monotone else {}),
        "nthread": settings.threads,
        "verbosity": 0,
    }


def _tree(entry: Mapping[str, Any]) -> Tree:
    left = np.array(entry["left_children"], dtype=np.int64)
    conditions = np.array(entry["split_conditions"], dtype=np.float32)
    is_leaf = left < 0
    return Tree(
        feature=np.where(is_leaf, LEAF, np.array(entry["split_indices"], dtype=np.int64)),
        # XGBoost goes left where x < t, which is x ≤ the float32 before t.
        threshold=np.nextafter(conditions, np.float32(-np.inf)),
        left=left,
        right=np.array(entry["right_children"], dtype=np.int64),
        value=np.where(is_leaf, conditions, 0.0).astype(np.float64),
    )
