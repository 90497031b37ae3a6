"""The location of a metric: the base, and trees on what the base leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foretell_trainer.engine.inputs import Floats, InputMap, Inputs, Integers
from foretell_trainer.engine.learners import grow, held_out_errors
from foretell_trainer.engine.linear import Layout, LinearModel, fit_linear
from foretell_trainer.engine.trees import Singles, Trees, TreeSettings

FEW_ROWS = 5000
_PATIENCE = 100
_MASKED_SHARE = 0.3
"""The share of rows that the trees see a second time as if one of their ids were unknown."""

_FEWEST_ROWS = 20
"""With fewer rows the base stands alone: trees would learn the noise, or refuse to grow."""


@dataclass(frozen=True)
class Location:
    """The fitted location of one metric."""

    inputs: InputMap
    base: LinearModel
    trees: Trees | None

    def features(self, inputs: Inputs) -> Singles:
        """Return what the trees see, float32 [n, F + 1 + C]: numbers, base, effects of ids."""
        base = self.base.predict(inputs)[:, None]
        effects = self.base.effects_of(inputs.codes)
        parts = [self.inputs.for_trees(inputs), base, effects]
        return np.hstack(parts).astype(np.float32)

    def predict(self, inputs: Inputs) -> Floats:
        """Return the location of each row, [n]."""
        base = self.base.predict(inputs)
        if self.trees is None:
            return base
        return base + self.trees.predict(self.features(inputs))


def fit_location(
    input_map: InputMap,
    inputs: Inputs,
    target: Floats,
    layout: Layout,
    settings: TreeSettings,
    ids: tuple[int, ...],
    should_stop: Callable[[], bool],
) -> Location:
    """Fit base and trees of one metric for a given number of rounds."""
    base = fit_linear(inputs, target, layout)
    bare = Location(input_map, base, None)
    if settings.rounds == 0 or len(target) < _FEWEST_ROWS:
        return bare
    features, residual = _training_rows(bare, inputs, target, ids, settings.seed)
    trees = grow(features, residual, settings, should_stop=should_stop)
    return Location(input_map, base, trees)


def choose_rounds(
    input_map: InputMap,
    inputs: Inputs,
    target: Floats,
    layout: Layout,
    settings: TreeSettings,
    ids: tuple[int, ...],
    folds: Integers,
    should_stop: Callable[[], bool],
) -> tuple[TreeSettings, float]:
    """Return the settings with the rounds that err least on held-out rows, and the error.

    Few rows are held out in three turns, whose errors are averaged: one turn is a lottery.
    """
    few = len(inputs) < FEW_ROWS
    curves = []
    for fold in range(3 if few else 1):
        kept, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if len(kept) < _FEWEST_ROWS or len(held) < 5:
            return replace(settings, rounds=0), np.inf
        base = fit_linear(inputs.take(kept), target[kept], layout)
        bare = Location(input_map, base, None)
        rows = _training_rows(bare, inputs.take(kept), target[kept], ids, settings.seed)
        others = inputs.take(held)
        curve = held_out_errors(
            *rows,
            settings,
            held_out=(bare.features(others), target[held] - base.predict(others)),
            patience=None if few else _PATIENCE,
            should_stop=should_stop,
        )
        curves.append(curve)
    errors = np.mean(curves, axis=0)
    return replace(settings, rounds=int(errors.argmin()) + 1), float(errors.min())


def _training_rows(
    bare: Location, inputs: Inputs, target: Floats, ids: tuple[int, ...], seed: int
) -> tuple[Singles, NDArray[np.float64]]:
    """Return the trees' rows: all, and a share of them again with one id masked.

    Without the masked rows the trees would lean on effects that an unknown id does not have.
    """
    features = bare.features(inputs)
    residual = target - bare.base.predict(inputs)
    if not ids:
        return features, residual
    rng = np.random.default_rng(seed)
    chosen = np.flatnonzero(rng.random(len(inputs)) < _MASKED_SHARE)
    masked = inputs.take(chosen)
    codes = masked.codes.copy()
    codes[np.arange(len(chosen)), rng.choice(ids, len(chosen))] = -1
    masked = masked.with_codes(codes)
    again = target[chosen] - bare.base.predict(masked)
    return np.vstack([features, bare.features(masked)]), np.concatenate([residual, again])
