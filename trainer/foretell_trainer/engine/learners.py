"""Learners: who grows the trees that predict what the base leaves.

A learner sees float32 features and a residual, and gives back an ensemble whose trees go into
the one forest of the graph. Everything else is the same for all of them: the base, the rounds
chosen on held-out rows, the scale, the calibration, the export and its proof.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from foretell_trainer.engine.trees import Singles, Trees, TreeSettings


class Learner(Protocol):
    """What grows trees; both methods raise Cancelled, from inside the fit, when asked to stop."""

    def grow(
        self,
        features: Singles,
        target: NDArray[np.float64],
        settings: TreeSettings,
        should_stop: Callable[[], bool],
    ) -> Trees:
        """Grow an ensemble of the given number of rounds."""

    def errors(
        self,
        features: Singles,
        target: NDArray[np.float64],
        settings: TreeSettings,
        held_out: tuple[Singles, NDArray[np.float64]],
        patience: int | None,
        should_stop: Callable[[], bool],
    ) -> NDArray[np.float64]:
        """Return the mean absolute error on held-out rows after each round, [rounds].

        With `patience` it may end so many rounds after the smallest.
        """


def grow(
    features: Singles,
    target: NDArray[np.float64],
    settings: TreeSettings,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trees:
    """Grow an ensemble of the given number of rounds, with the learner that the settings name."""
    return learner_of(settings.learner).grow(features, target, settings, should_stop)


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

    With `patience` it may end so many rounds after the smallest. Raises Cancelled.
    """
    learner = learner_of(settings.learner)
    return learner.errors(features, target, settings, held_out, patience, should_stop)


def learner_of(name: str) -> Learner:
    """Return a learner by name; several, joined by `+`, are averaged.

    The libraries of optional extras are imported here and not before.
    """
    # ruff: noqa: PLC0415
    if "+" in name:
        from foretell_trainer.engine.ensemble import Ensemble

        return Ensemble(tuple(learner_of(member) for member in name.split("+")))
    if name == "xgboost":
        from foretell_trainer.engine.xgboost_trees import XgboostLearner

        return XgboostLearner()
    if name == "catboost":
        from foretell_trainer.engine.catboost_trees import CatboostLearner

        return CatboostLearner()
    from foretell_trainer.engine.lightgbm_trees import PLAIN, RANDOMISED

    return {"lightgbm": PLAIN, "randomised": RANDOMISED}[name]
