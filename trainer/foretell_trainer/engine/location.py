"""The location of a metric: the base, interactions beside it, and trees on what these leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foretell.errors import Cancelled
from foretell_trainer.engine.costs import Amounts, Costs, fit_costs
from foretell_trainer.engine.floors import Parts, fit_parts
from foretell_trainer.engine.gated import Gate
from foretell_trainer.engine.inputs import Flags, Floats, InputMap, Inputs, Integers
from foretell_trainer.engine.interaction import Interaction, fit_interaction
from foretell_trainer.engine.learners import grow, held_out_errors
from foretell_trainer.engine.linear import Layout, LinearModel, fit_linear
from foretell_trainer.engine.monotone import Rule, obeying
from foretell_trainer.engine.plan import Bend, Plan
from foretell_trainer.engine.trees import Singles, Trees, TreeSettings

FEW_ROWS = 5000
_PATIENCE = 100
_GOOD_ENOUGH = 1.005
_HELPFUL = 0.98
_MASKED_SHARE = 0.3
"""The share of rows that the trees see a second time as if one of their ids were unknown."""

_LEAST_DRAWN = 0.1
_OUTLIER = 12.0
"""Trees learn from residuals as if none were beyond this many times the median one."""

FEWEST_TREE_ROWS = 20
"""With fewer rows the base stands alone: trees would learn the noise, or refuse to grow."""


@dataclass(frozen=True)
class Location:
    """The fitted location of one metric."""

    inputs: InputMap
    base: LinearModel
    interaction: Interaction | None = None
    parts: Parts | None = None
    floor: LinearModel | None = None
    """The second part of the base, where it has two."""
    costs: Costs | None = None
    """What work costs, beside which base and interaction say the rest."""
    trees: Trees | None = None
    gates: tuple[Gate, ...] = ()
    """The ids whose unknown values have trees of their own."""
    marks: LinearModel | None = None
    """Whose effects tell trees which value they see; the base's own where there is none."""

    def untreed(self, inputs: Inputs) -> Floats:
        """Return what base and interaction say of each row, [n]."""
        return self._so_far(inputs)[0]

    def features(self, inputs: Inputs) -> Singles:
        """Return what the trees see, float32: numbers, location so far, interaction, effects.

        Gates come last; [n, F + 1 + C + gates], and one more where there is an interaction.
        """
        found, own = self._so_far(inputs)
        columns = [found] if own is None else [found, own]
        parts = [self.inputs.for_trees(inputs), *(c[:, None] for c in columns)]
        gates = (gate.features(inputs)[:, None] for gate in self.gates)
        effects = (self.marks or self.base).effects_of(inputs.codes)
        return np.hstack([*parts, effects, *gates]).astype(np.float32)

    def predict(self, inputs: Inputs) -> Floats:
        """Return the location of each row, [n]."""
        found = self.untreed(inputs)
        return found if self.trees is None else found + self.trees.predict(self.features(inputs))

    def bend(self, inputs: Inputs) -> Bend:
        """Return how what is added to the base of these rows changes their location."""
        base = self._work(inputs)
        parts, floor = self.parts, self._floor(inputs)

        def bent(added: Floats) -> tuple[Floats, Floats]:
            work = base + added
            if parts is None or floor is None:
                return work, np.ones(len(work))
            return parts.combine(work, floor), parts.share(work, floor)

        return bent

    def _so_far(self, inputs: Inputs) -> tuple[Floats, Floats | None]:
        own = None if self.interaction is None else self.interaction.predict(inputs)
        work = self._work(inputs)
        work = work if own is None else work + own
        floor = self._floor(inputs)
        if self.parts is None or floor is None:
            return work, own
        return self.parts.combine(work, floor), own

    def _work(self, inputs: Inputs) -> Floats:
        """Return base and costs of each row, which have floors only where the base has not."""
        base = self.base.predict(inputs)
        if self.costs is None:
            return base
        return base + (self.costs.predict if self.parts is None else self.costs.work)(inputs)

    def _floor(self, inputs: Inputs) -> Floats | None:
        return None if self.floor is None else self.floor.predict(inputs)


@dataclass(frozen=True)
class Recipe:
    """What the fits of one metric share, whichever rows they see."""

    inputs: InputMap
    layout: Layout
    parts: Parts | None
    plan: Plan | None
    maskable: tuple[int, ...]
    """The ids that the trees see masked in some rows."""
    amounts: Amounts | None = None
    rules: tuple[Rule, ...] = ()
    """What the schema says of trends."""
    seed: int = 0

    def bare(
        self, inputs: Inputs, target: Floats, should_stop: Callable[[], bool] = lambda: False
    ) -> Location:
        """Fit the location without trees. Raises Cancelled."""
        if should_stop():
            raise Cancelled
        costs = None if self.amounts is None else fit_costs(self.amounts, inputs, target)
        if self.parts is None:
            rest = target if costs is None else target - costs.predict(inputs)
            base = fit_linear(inputs, rest, self.layout)
            found = Location(self.inputs, obeying(base, self.rules), costs=costs)
        else:
            work = None if costs is None else costs.work(inputs)
            two = fit_parts(inputs, target, self.parts, should_stop, work)
            base, floor = (obeying(part, self.rules) for part in (two.work, two.floor))
            found = Location(self.inputs, base, parts=self.parts, floor=floor, costs=costs)
        if self.plan is None:
            return found
        own = fit_interaction(self.plan, inputs, target, found.bend(inputs), should_stop)
        gates = [Gate.of(c, self.layout.sizes[c], inputs.codes[:, c]) for c in self.maskable]
        return replace(found, interaction=own, gates=tuple(gates))

    def within(self, standard: Floats) -> Recipe:
        """Return the same for fits to rows whose numbers [n, F] are all that is known."""
        ends = {"lowest": standard.min(axis=0), "highest": standard.max(axis=0)}
        parts = self.parts and replace(
            self.parts,
            work=replace(self.parts.work, **ends),
            floor=replace(self.parts.floor, **ends),
            start=None,
        )
        return replace(self, layout=replace(self.layout, **ends), parts=parts)


@dataclass(frozen=True)
class TreeRows:
    """What the trees learn from; r rows, some of them several times: as if less were known."""

    row: Integers
    masked: Flags
    features: Singles
    residual: Floats

    def of(self, kept: Flags) -> TreeRows:
        """Return those that were made of the kept rows, a mask over all rows."""
        return self.take(kept[self.row])

    @property
    def unmasked(self) -> TreeRows:
        """Those with all of their ids."""
        return self.take(~self.masked)

    def seeing(self, count: int) -> TreeRows:
        """Return the rows with the first features alone."""
        return replace(self, features=self.features[:, :count])

    def take(self, use: Flags | Integers) -> TreeRows:
        """Return some of them."""
        return TreeRows(self.row[use], self.masked[use], self.features[use], self.residual[use])


def joined(parts: Sequence[TreeRows]) -> TreeRows:
    """Return the rows of all parts as one."""
    names = ("row", "masked", "features", "residual")
    return TreeRows(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def alike_in_size(
    kinds: Sequence[TreeRows], cold: Sequence[bool], rng: np.random.Generator
) -> list[TreeRows]:
    """Return rows of several kinds of folds so that none outweighs the others by its errors.

    Without an id, residuals are several times as large as with it, and squares of them would say
    where trees split; of such kinds, the cold ones, fewer are drawn the larger the squares of
    their errors are. Outliers, by the measure of their own kind, are brought nearer.
    """
    middles = [float(np.median(np.abs(rows.residual))) for rows in kinds]
    warm = max((m for m, without in zip(middles, cold, strict=True) if not without), default=0.0)
    found = []
    for rows, middle, without in zip(kinds, middles, cold, strict=True):
        share = (warm / max(middle, 1e-12)) ** 2 if without else 1.0
        drawn = rng.random(len(rows.row)) < max(share, _LEAST_DRAWN)
        limit = _OUTLIER * max(middle, 1e-12)
        near = replace(rows, residual=np.clip(rows.residual, -limit, limit))
        found.append(near.take(drawn))
    return found


def with_trees(
    bare: Location, rows: TreeRows, settings: TreeSettings, should_stop: Callable[[], bool]
) -> Location:
    """Grow the trees of a location for a given number of rounds. Raises Cancelled."""
    if settings.rounds == 0 or len(rows.row) < FEWEST_TREE_ROWS:
        return bare
    return replace(bare, trees=grown(rows, settings, should_stop))


def grown(rows: TreeRows, settings: TreeSettings, should_stop: Callable[[], bool]) -> Trees:
    """Grow trees for a given number of rounds. Raises Cancelled."""
    return grow(rows.features, rows.residual, settings, should_stop=should_stop)


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


def trees_help_without(
    stacked: TreeRows,
    settings: TreeSettings,
    folds: Integers,
    should_stop: Callable[[], bool],
) -> bool:
    """Return whether trees bring rows that lack an id nearer, in folds [n] that leave it out."""
    before, after = [], []
    for fold in range(int(folds.max()) + 1):
        kept = folds != fold
        rows, others = stacked.of(kept), stacked.of(~kept)
        others = others.take(others.masked)
        if len(rows.row) < FEWEST_TREE_ROWS or not len(others.row):
            return False
        curve = held_out_errors(
            rows.features,
            rows.residual,
            settings,
            held_out=(others.features, others.residual),
            patience=None,
            should_stop=should_stop,
        )
        before.append(np.abs(others.residual).mean())
        after.append(curve[-1])
    return bool(np.mean(after) < _HELPFUL * np.mean(before))


def known_codes(codes: Integers, kept: Integers) -> Integers:
    """Return the codes with the values that the kept rows do not have as unknown."""
    columns = [
        np.where(np.isin(codes[:, c], kept[:, c]), codes[:, c], -1) for c in range(codes.shape[1])
    ]
    return np.column_stack(columns) if columns else codes


def described(
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
