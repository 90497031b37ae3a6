"""The location of a metric: the base, interactions beside it, and trees on what these leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from foretell.errors import Cancelled
from foretell_trainer.engine.folds import grouped_folds, random_folds
from foretell_trainer.engine.inputs import Flags, Floats, InputMap, Inputs, Integers
from foretell_trainer.engine.interaction import Interaction, Plan, fit_interaction
from foretell_trainer.engine.learners import grow, held_out_errors
from foretell_trainer.engine.linear import Layout, LinearModel, fit_linear
from foretell_trainer.engine.trees import Singles, Trees, TreeSettings

FEW_ROWS = 5000
_PATIENCE = 100
_MASKED_SHARE = 0.3
"""The share of rows that the trees see a second time as if one of their ids were unknown."""

_FEWEST_ROWS = 20
"""With fewer rows the base stands alone: trees would learn the noise, or refuse to grow."""

_TURNS = 4
"""In how many turns rows are left out to tell the trees what base and interactions leave."""


@dataclass(frozen=True)
class Location:
    """The fitted location of one metric."""

    inputs: InputMap
    base: LinearModel
    interaction: Interaction | None
    trees: Trees | None

    def untreed(self, inputs: Inputs) -> Floats:
        """Return what base and interaction say of each row, [n]."""
        base = self.base.predict(inputs)
        return base if self.interaction is None else base + self.interaction.predict(inputs)

    def features(self, inputs: Inputs) -> Singles:
        """Return what the trees see, float32: numbers, location so far, interaction, effects.

        [n, F + 1 + C], and one column more where there is an interaction.
        """
        columns = [self.base.predict(inputs)]
        if self.interaction is not None:
            own = self.interaction.predict(inputs)
            columns = [columns[0] + own, own]
        parts = [self.inputs.for_trees(inputs), *(c[:, None] for c in columns)]
        return np.hstack([*parts, self.base.effects_of(inputs.codes)]).astype(np.float32)

    def predict(self, inputs: Inputs) -> Floats:
        """Return the location of each row, [n]."""
        found = self.untreed(inputs)
        return found if self.trees is None else found + self.trees.predict(self.features(inputs))


@dataclass(frozen=True)
class Recipe:
    """What the fits of one metric share, whichever rows they see."""

    inputs: InputMap
    layout: Layout
    plan: Plan | None
    maskable: tuple[int, ...]
    """The ids that the trees see masked in some rows."""
    pair: tuple[int, ...] = ()
    """The categories that name a subject in a setting."""
    seed: int = 0

    def bare(
        self, inputs: Inputs, target: Floats, should_stop: Callable[[], bool] = lambda: False
    ) -> Location:
        """Fit the location without trees. Raises Cancelled."""
        if should_stop():
            raise Cancelled
        base = fit_linear(inputs, target, self.layout)
        found = Location(self.inputs, base, None, None)
        if self.plan is None:
            return found
        left = target - base.predict(inputs)
        return replace(found, interaction=fit_interaction(self.plan, inputs, left, should_stop))


@dataclass(frozen=True)
class TreeRows:
    """What the trees learn from; r rows, some of them twice: once with an id masked."""

    row: Integers
    masked: Flags
    features: Singles
    residual: Floats

    def of(self, kept: Flags) -> TreeRows:
        """Return those that were made of the kept rows, a mask over all rows."""
        return self._take(kept[self.row])

    @property
    def unmasked(self) -> TreeRows:
        """Those with all of their ids."""
        return self._take(~self.masked)

    def _take(self, use: Flags) -> TreeRows:
        return TreeRows(self.row[use], self.masked[use], self.features[use], self.residual[use])


def tree_rows(
    recipe: Recipe, inputs: Inputs, target: Floats, should_stop: Callable[[], bool]
) -> TreeRows:
    """Return the trees' rows for all of the given ones. Raises Cancelled.

    Interactions know the rows that they were fitted to too well to tell the trees what they
    leave. So each row is left out in one turn, alone or with all of its pair, and described by
    what the others say of it (stacking: Wolpert, Neural Networks 1992).
    """
    if recipe.plan is None:
        bare = recipe.bare(inputs, target, should_stop)
        return _described(bare, recipe, inputs, target, np.arange(len(inputs)))
    rng = np.random.default_rng(recipe.seed)
    n = len(inputs)
    pairs = np.unique(inputs.codes[:, list(recipe.pair)], axis=0, return_inverse=True)[1]
    ways = (random_folds(n, _TURNS, rng), grouped_folds(pairs.reshape(-1), _TURNS, rng))
    way = rng.integers(0, 2, n)
    parts = []
    for number, folds in enumerate(ways):
        for turn in range(_TURNS):
            out = folds == turn
            mine = np.flatnonzero(out & (way == number))
            if len(mine) == 0:
                continue
            bare = recipe.bare(inputs.take(~out), target[~out], should_stop)
            forgotten = inputs.with_codes(known_codes(inputs.codes, inputs.codes[~out]))
            parts.append(_described(bare, recipe, forgotten, target, mine))
    names = ("row", "masked", "features", "residual")
    return TreeRows(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def with_trees(
    bare: Location, rows: TreeRows, settings: TreeSettings, should_stop: Callable[[], bool]
) -> Location:
    """Grow the trees of a location for a given number of rounds. Raises Cancelled."""
    if settings.rounds == 0 or len(rows.row) < _FEWEST_ROWS:
        return bare
    trees = grow(rows.features, rows.residual, settings, should_stop=should_stop)
    return replace(bare, trees=trees)


def choose_rounds(
    recipe: Recipe,
    inputs: Inputs,
    target: Floats,
    stacked: TreeRows | None,
    settings: TreeSettings,
    folds: Integers,
    should_stop: Callable[[], bool],
) -> tuple[TreeSettings, float]:
    """Return the settings with the rounds that err least on held-out rows, and the error.

    `stacked` are the trees' rows where they are out of fold already. Few rows are held out in
    three turns, whose errors are averaged: one turn is a lottery.
    """
    few = len(inputs) < FEW_ROWS
    curves = []
    for fold in range(3 if few else 1):
        kept, held = folds != fold, np.flatnonzero(folds == fold)
        if kept.sum() < _FEWEST_ROWS or len(held) < 5:
            return replace(settings, rounds=0), np.inf
        if stacked is not None:
            rows, others = stacked.of(kept), stacked.of(~kept).unmasked
        else:
            part = inputs.take(kept)
            bare = recipe.bare(part, target[kept], should_stop)
            rows = _described(bare, recipe, part, target[kept], np.arange(len(part)))
            others = _described(bare, recipe, inputs, target, held).unmasked
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
    return replace(settings, rounds=int(errors.argmin()) + 1), float(errors.min())


def known_codes(codes: Integers, kept: Integers) -> Integers:
    """Return the codes with the values that the kept rows do not have as unknown."""
    columns = [
        np.where(np.isin(codes[:, c], kept[:, c]), codes[:, c], -1) for c in range(codes.shape[1])
    ]
    return np.column_stack(columns) if columns else codes


def _described(
    bare: Location, recipe: Recipe, inputs: Inputs, target: Floats, rows: Integers
) -> TreeRows:
    """Return the trees' rows: all, and a share of them again with one id masked.

    Without the masked rows the trees would lean on effects that an unknown id does not have.
    """
    own = inputs.take(rows)
    features, residual = bare.features(own), target[rows] - bare.untreed(own)
    if not recipe.maskable:
        return TreeRows(rows, np.zeros(len(rows), bool), features, residual)
    rng = np.random.default_rng(recipe.seed)
    chosen = np.flatnonzero(rng.random(len(rows)) < _MASKED_SHARE)
    masked = own.take(chosen)
    codes = masked.codes.copy()
    codes[np.arange(len(chosen)), rng.choice(recipe.maskable, len(chosen))] = -1
    masked = masked.with_codes(codes)
    again = target[rows[chosen]] - bare.untreed(masked)
    return TreeRows(
        np.concatenate([rows, rows[chosen]]),
        np.repeat([False, True], [len(rows), len(chosen)]),
        np.vstack([features, bare.features(masked)]),
        np.concatenate([residual, again]),
    )
