"""Trees grown by CatBoost: symmetric, one condition for each level, which regularises by itself.

For few rows and noisy ones, and as a member of an ensemble. Needs the extra `catboost`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catboost
import numpy as np
from numpy.typing import NDArray

from foretell.errors import Cancelled
from foretell_trainer.engine.trees import LEAF, Singles, Tree, TreeSettings

_OBJECTIVES = {"regression": "RMSE", "regression_l1": "MAE", "huber": "Huber:delta=1"}
_DEEPEST = 8


@dataclass(frozen=True)
class CatboostTrees:
    """An ensemble of CatBoost's."""

    model: catboost.CatBoost

    def predict(self, features: Singles) -> NDArray[np.float64]:
        """Return the sum of the leaves of each row, [n]."""
        return np.asarray(self.model.predict(features, thread_count=1), dtype=np.float64)

    def trees(self) -> Iterator[Tree]:
        """Yield the trees; the bias, if there is one, as a tree of one leaf."""
        with tempfile.TemporaryDirectory(prefix="foretell-") as folder:
            file = Path(folder) / "model.json"
            self.model.save_model(str(file), format="json")
            model = json.loads(file.read_text())
        scale, (bias,) = model["scale_and_bias"]
        if bias:
            yield _tree({"splits": [], "leaf_values": [bias]}, 1.0)
        for entry in model["oblivious_trees"]:
            yield _tree(entry, scale)


class CatboostLearner:
    """Grows trees with CatBoost."""

    def grow(
        self,
        features: Singles,
        target: NDArray[np.float64],
        settings: TreeSettings,
        should_stop: Callable[[], bool],
    ) -> CatboostTrees:
        """Grow the given number of rounds; raise Cancelled, from inside the fit."""
        stopper = _Stopper(should_stop)
        model = catboost.CatBoost(_parameters(settings))
        model.fit(features, target, callbacks=[stopper])
        stopper.raise_if_stopped()
        return CatboostTrees(model)

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
        stopper = _Stopper(should_stop)
        model = catboost.CatBoost(_parameters(settings))
        model.fit(
            features,
            target,
            eval_set=held_out,
            use_best_model=False,
            early_stopping_rounds=patience,
            callbacks=[stopper],
        )
        stopper.raise_if_stopped()
        return np.array(model.get_evals_result()["validation"]["MAE"])


class _Stopper:
    """Ends a fit when asked to; what is raised inside a callback does not come out of CatBoost."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop
        self._stopped = False

    def after_iteration(self, info: Any) -> bool:  # noqa: ANN401 -- ships no types
        """Return whether to go on."""
        self._stopped = info.iteration % 10 == 1 and self._should_stop()
        return not self._stopped

    def raise_if_stopped(self) -> None:
        if self._stopped:
            raise Cancelled


def _parameters(settings: TreeSettings) -> dict[str, Any]:
    return {
        "loss_function": _OBJECTIVES[settings.objective],
        "eval_metric": "MAE",
        "iterations": settings.rounds,
        "depth": int(np.clip(np.round(np.log2(settings.leaves)), 2, _DEEPEST)),
        "learning_rate": settings.learning_rate,
        "rsm": settings.column_share,
        "bootstrap_type": "Bernoulli",
        "subsample": settings.row_share,
        "l2_leaf_reg": settings.leaf_penalty,
        "boost_from_average": False,
        "random_seed": settings.seed,
        **({"monotone_constraints": [*settings.monotone]} if settings.monotone else {}),
        "thread_count": settings.threads,
        "logging_level": "Silent",
        "allow_writing_files": False,
    }


def _tree(entry: Mapping[str, Any], scale: float) -> Tree:
    """Return a symmetric tree as nodes: a heap of conditions, and below them the leaves."""
    splits = entry["splits"] or []
    depth = len(splits)
    inner, nodes = 2**depth - 1, 2 ** (depth + 1) - 1
    place = np.arange(nodes)
    level = np.floor(np.log2(place + 1)).astype(np.int64)
    feature, threshold = np.full(nodes, LEAF), np.zeros(nodes, np.float32)
    # CatBoost counts a leaf's bits from the first split; the heap, from its last level.
    for split, own in zip(reversed(splits), range(depth), strict=True):
        feature[level == own] = split["float_feature_index"]
        threshold[level == own] = np.float32(split["border"])
    value = np.zeros(nodes)
    value[inner:] = np.array(entry["leaf_values"]) * scale
    is_leaf = place >= inner
    return Tree(
        feature=feature.astype(np.int64),
        threshold=threshold,
        left=np.where(is_leaf, 0, 2 * place + 1),
        right=np.where(is_leaf, 0, 2 * place + 2),
        value=value,
    )
