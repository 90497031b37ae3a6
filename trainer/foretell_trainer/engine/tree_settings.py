"""How the trees of a location are grown: by default, and for how many rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from foretell_trainer.engine.families import family_of
from foretell_trainer.engine.inputs import Floats, Inputs, Integers
from foretell_trainer.engine.learners import held_out_errors
from foretell_trainer.engine.location import FEW_ROWS, Recipe
from foretell_trainer.engine.training_set import FitSettings
from foretell_trainer.engine.tree_rows import FEWEST_TREE_ROWS, TreeRows, described
from foretell_trainer.engine.trees import TreeSettings

MEDIAN = "regression_l1"
"""The objective of trees that say medians."""

_FEW_ROUNDS = 200
"""Where interactions say most, trees have little left to say."""
_SLOWLY = 1600
"""Of fewer rows the trees learn in large steps: there is too little to learn more carefully, and
twice the trees are a fifth of a row's time."""
_ROWS_PER_LEAF, _FEW_PER_LEAF = 300, 60
_LARGE = 100_000
_PATIENCE = 100
_GOOD_ENOUGH = 1.005
_WHOLE = ("leaves", "smallest_leaf")


def default_settings(
    rows: int, numbers: int, settings: FitSettings, monotone: tuple[int, ...], *, planned: bool
) -> TreeSettings:
    """Return the settings for so many rows and numbers, with what a search found in their place.

    `planned` is whether there are interactions. The rounds are the most that may be grown.
    """
    learner = family_of(settings.family).learner
    few = rows < FEW_ROWS
    slowly = few and planned and rows >= _SLOWLY
    most = settings.most_rounds
    if planned or few:
        most = min(most, 2 * _FEW_ROUNDS if slowly else _FEW_ROUNDS)
    default = TreeSettings(
        rounds=0 if learner is None else most,
        learner=learner or "lightgbm",
        leaves=_leaves(rows, planned=planned),
        learning_rate=_rate(few=few and not slowly, planned=planned),
        smallest_leaf=10 if planned else 3 if few else 5,
        leaf_penalty=0.0 if few else 1.0,
        column_share=0.8 if numbers < 40 else 0.4,
        seed=settings.seed,
        # Threads cost more than they bring where a round takes less than a millisecond.
        threads=1 if rows * numbers < _LARGE else settings.threads,
        monotone=monotone,
        # The location is to be the median. Alone, trees would leave what is rare and large to
        # nobody; and what may only rise is a matter of means, for medians of leaves cross.
        objective=MEDIAN if planned and not any(monotone) else "regression",
    )
    tuned: dict[str, Any] = {
        name: int(value) if name in _WHOLE else value
        for name, value in settings.tuned.items()
        if name != "strength"
    }
    return replace(default, **tuned)


def _rate(*, few: bool, planned: bool) -> float:
    """Return the learning rate: as large as does no harm, for each tree costs a forecast time."""
    if few:
        return 0.2
    return 0.1 if planned else 0.05


def _leaves(n: int, *, planned: bool) -> int:
    """Return the leaves of a tree: more where there are few trees and many rows."""
    if planned and n >= _SLOWLY:
        per_leaf = _FEW_PER_LEAF if n < FEW_ROWS else _ROWS_PER_LEAF
        return int(np.clip(n // per_leaf, 31, 63))
    return int(np.clip(n // 25, 4, 31))


def choose_rounds(
    recipe: Recipe,
    inputs: Inputs,
    target: Floats,
    stacked: TreeRows | None,
    settings: TreeSettings,
    folds: Integers,
    should_stop: Callable[[], bool],
) -> TreeSettings:
    """Return the settings with the fewest rounds that err hardly more than any on held-out rows.

    `stacked` are the trees' rows where they are out of fold already. Few rows are held out in
    three turns, whose errors are averaged: one turn is a lottery.
    """
    few = len(inputs) < FEW_ROWS
    curves = []
    for fold in range(3 if few else 1):
        kept, held = folds != fold, np.flatnonzero(folds == fold)
        if kept.sum() < FEWEST_TREE_ROWS or len(held) < 5:
            return replace(settings, rounds=0)
        if stacked is not None:
            rows, others = stacked.of(kept), stacked.of(~kept).unmasked
        else:
            part = inputs.take(kept)
            bare = recipe.bare(part, target[kept], should_stop)
            rows = described(bare, recipe, part, target[kept], np.arange(len(part)))
            others = described(bare, recipe, inputs, target, held).unmasked
        curve = held_out_errors(
            rows.features,
            rows.residual,
            settings,
            held_out=(others.features, others.residual),
            patience=None if few else _PATIENCE,
            should_stop=should_stop,
        )
        curves.append(curve)
    errors = np.mean(curves, axis=0)
    # Every tree costs a forecast time; the last ones often bring less than the folds can tell.
    good = errors <= _GOOD_ENOUGH * errors.min()
    return replace(settings, rounds=int(good.argmax()) + 1)
