"""One metric's fit: what is left out, the location, the scale, and tables calibrated on the rest.

Each row is left out in several ways: alone, with its pair, with all of an id's rows, and with all
but a few. Without it, base and interaction are fitted once per fold; the trees learn from what
these leave of rows that were left out (stacking: Wolpert, Neural Networks 1992), and are left out
in turn themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from foretell_trainer.engine.beyond import drift, upper_end
from foretell_trainer.engine.calibration import LEVELS, centred
from foretell_trainer.engine.families import family_of
from foretell_trainer.engine.folds import FoldKind, random_folds
from foretell_trainer.engine.inputs import Flags, Floats, Inputs, Integers
from foretell_trainer.engine.lacking import lacking
from foretell_trainer.engine.learners import grow
from foretell_trainer.engine.links import Derived
from foretell_trainer.engine.location import FEW_ROWS, Location, Recipe, known_codes
from foretell_trainer.engine.monotone import constraints, rules_of
from foretell_trainer.engine.plan import FEWEST_ROWS
from foretell_trainer.engine.recipes import RecipeChoice
from foretell_trainer.engine.scale import LARGEST, WIDENING, Scale, scale_features, widening_for
from foretell_trainer.engine.seen import (
    NEW_PAIR_TABLE,
    NO_TABLE,
    WARM_TABLE,
    GroupCounts,
    choose_anchors,
    count_groups,
)
from foretell_trainer.engine.stacking import LeftOut, Stacking
from foretell_trainer.engine.training_set import FitSettings, TrainingSet
from foretell_trainer.engine.tree_rows import FEWEST_TREE_ROWS, TreeRows, described
from foretell_trainer.engine.tree_settings import MEDIAN, choose_rounds, default_settings
from foretell_trainer.engine.trees import TreeSettings
from foretell_trainer.engine.widths import OutOfFold, WidthFit, Widths

Tell = Callable[[str, float, dict[str, float]], None]
"""Called with the stage, the fraction done of this metric in [0, 1], and numbers so far."""

_LARGE_ERRORS = 0.8
"""The quantile of errors that says how they fall with more rows."""

_MOST_LEARNING, _MOST_OF_IDS = 0.7, 0.35
"""A new id may resemble none, however many there are."""
_MANY_VALUES, _MANY_PAIRS = 40, 200
"""Of fewer values of an id, or pairs of few rows, half say little of the rest."""


@dataclass(frozen=True)
class FittedMetric:
    """Location, scale and quantile tables of one metric."""

    metric: int
    unit: float
    """What the models' numbers are multiples of; 1 for metrics on a log scale."""
    location: Location
    scale: Scale
    tables: Floats
    """[T, Q]"""
    rounds: int
    rows: int
    out_of_fold: OutOfFold
    standardised: Floats
    """[r]: out-of-fold residuals over out-of-fold scales."""
    kinds: tuple[FoldKind, ...]


class MetricFit:
    """The fit of one metric; a class so that its steps share what they all need."""

    def __init__(
        self,
        training: TrainingSet,
        metric: int,
        rows: Integers,
        kinds: Sequence[FoldKind],
        settings: FitSettings,
        progress: Tell,
        should_stop: Callable[[], bool],
        *,
        alone: bool = False,
        derived: Sequence[Derived] = (),
    ) -> None:
        self.training = training
        self.metric = metric
        self.rows = rows
        self.kinds = kinds
        self.settings = settings
        self.family = family_of(settings.family)
        self.progress = progress
        self.should_stop = should_stop
        self.alone = alone
        """Whether no other metric shares the plan, so that its likeness may be learnt."""
        self.inputs = training.inputs.take(rows)
        values = training.metrics[rows, metric]
        self.log = training.schema.metrics[metric].scale == "log"
        self.unit = 1.0 if self.log else float(np.std(values)) or 1.0
        self.target = np.log(values) if self.log else values / self.unit
        self.plan = training.plan if self.family.learner and len(rows) >= FEWEST_ROWS else None
        self.rules = rules_of(training.schema, training.input_map, metric, derived)

    def fit(self) -> FittedMetric:
        """Fit location and scale on all rows, and calibrate them on out-of-fold residuals."""
        location, trees = self._fitted_location()
        pooled = self._out_of_fold(trees)
        self.progress("calibrating", 0.8, _accuracy(pooled, log=self.log))
        widths = WidthFit(
            pooled=pooled,
            inputs=self.inputs,
            kinds=self.kinds,
            gains=self._gains(trees),
            counts=self._counts,
            pair=self.training.pair,
            seed=self.settings.seed,
            should_stop=self.should_stop,
        ).fit()
        self.progress("extrapolating", 0.9, {})
        scale = replace(
            widths.scale,
            widening=self._widening(trees, widths.scale, widths.tables[0]),
            drift=drift(
                location, self.inputs, self.target, self._recipe.layout, self.training.extrapolated
            ),
            most=LARGEST if self.log else float("inf"),
            left_out=lacking(
                location, self.inputs, self._reach(pooled, widths), self.settings.seed
            ),
        )
        return FittedMetric(
            metric=self.metric,
            unit=self.unit,
            location=location,
            scale=scale,
            tables=centred(widths.tables) if self._says_medians(trees) else widths.tables,
            rounds=trees.rounds,
            rows=len(self.rows),
            out_of_fold=pooled,
            standardised=widths.standardised,
            kinds=tuple(self.kinds),
        )

    def _reach(self, pooled: OutOfFold, widths: Widths) -> Floats:
        """Return how far 90 % intervals of rows of known ids go to either side, [r]."""
        alone = pooled.kind == 0
        own = self.inputs.take(pooled.row[alone])
        lower, upper = (
            float(np.interp(q, LEVELS, widths.tables[WARM_TABLE])) for q in (0.05, 0.95)
        )
        return 0.5 * (upper - lower) * widths.scale.predict(pooled.features[alone], own)

    def _says_medians(self, trees: TreeSettings) -> bool:
        """Return whether the location is the median already, or has to be, to obey the schema.

        What few folds say of the middle of errors is less than what the trees have learnt of it.
        """
        return bool(self.rules) or (trees.rounds > 0 and trees.objective == MEDIAN)

    def location(self) -> Location:
        """Fit the location alone."""
        return self._fitted_location()[0]

    def left_out_errors(self) -> Iterator[tuple[str, Floats]]:
        """Yield each fold's kind and the absolute errors of its rows, few-shot folds left out."""
        trees = self._trees
        for left in self._left_out:
            kind = self.kinds[left.kind]
            if not kind.few:
                yield kind.name, np.abs(self._residual(left, trees))

    def _fitted_location(self) -> tuple[Location, TreeSettings]:
        self.progress("leaving out rows of", 0.0, {})
        # First, also where the trees do without them: their fits are what is told of.
        _ = self._left_out
        trees = self._trees
        self.progress("fitting", 0.5, {"rounds": trees.rounds})
        return self._with_trees(self._bare, np.ones(len(self.rows), bool), trees), trees

    @cached_property
    def _counts(self) -> GroupCounts:
        return count_groups(self.training.schema, self.training.sizes, self.inputs.codes)

    @cached_property
    def _bare(self) -> Location:
        """The location without trees, fitted to all rows."""
        return self._recipe.bare(self.inputs, self.target, self.should_stop)

    @cached_property
    def _recipe(self) -> Recipe:
        return RecipeChoice(
            training=self.training,
            inputs=self.inputs,
            target=self.target,
            log=self.log,
            plan=self.plan,
            rules=self.rules,
            settings=self.settings,
            should_stop=self.should_stop,
            alone=self.alone,
            metric=self.metric,
        ).choose()

    @cached_property
    def _trees(self) -> TreeSettings:
        """The settings of the trees, with the rounds that err least on held-out rows."""
        planned, width = self.plan is not None, self.inputs.standard.shape[1]
        monotone = constraints(self.rules, width, planned + len(self.training.sizes))
        settings = default_settings(len(self.rows), width, self.settings, monotone, planned=planned)
        if settings.rounds == 0:
            return settings
        folds = random_folds(len(self.rows), 6, np.random.default_rng(self.settings.seed + 1))
        return choose_rounds(
            self._recipe,
            self.inputs,
            self.target,
            None if self._stacking is None else self._stacking.known,
            settings,
            folds,
            self.should_stop,
        )

    @cached_property
    def _stacking(self) -> Stacking | None:
        """What grows the trees beside interactions; a base alone does not know its rows as well."""
        if self.plan is None:
            return None
        seed, stop = self.settings.seed, self.should_stop
        return Stacking(self._bare, self.inputs, self.kinds, self._left_out, seed, stop)

    @cached_property
    def _left_out(self) -> list[LeftOut]:
        """What is said of each fold's rows without them, for all kinds of folds."""
        total = sum(kind.count for kind in self.kinds)
        found: list[LeftOut] = []
        for number, kind in enumerate(self.kinds):
            for fold in range(kind.count):
                self.progress("leaving out rows of", 0.5 * len(found) / total, {})
                found.append(self._leave_out(number, kind.fold == fold, self._recipe, self.inputs))
        return found

    def _leave_out(self, kind: int, out: Flags, recipe: Recipe, inputs: Inputs) -> LeftOut:
        kept = inputs.take(~out)
        bare = self._marked(recipe.bare(kept, self.target[~out], self.should_stop))
        codes = known_codes(inputs.codes[out], kept.codes)
        left = inputs.take(out).with_codes(codes)
        behind = count_groups(self.training.schema, self.training.sizes, kept.codes).rows(codes)
        # As many as the whole would have: or the counts of large groups would tell the kind of
        # fold, and the scale would take every row that is asked later for a warm one.
        seen = behind * (len(out) / len(kept))
        distance = choose_anchors(kept.standard, self.settings.seed).distance(left.standard)
        rows = np.flatnonzero(out)
        features = bare.features(left)
        less = np.full(len(rows), self.kinds[kind].member >= 0)
        residual = self.target[out] - bare.untreed(left)
        return LeftOut(
            kind=kind,
            out=out,
            inputs=left,
            bare=bare,
            rows=TreeRows(rows, less, features, residual),
            features=scale_features(features, seen, distance),
            table=self._counts.table(behind),
        )

    def _marked(self, bare: Location) -> Location:
        """Return a fold's location, with which trees know a value as they do with all rows.

        They know it by its effect, and each fold has that a little elsewhere.
        """
        return bare if self.plan is None else replace(bare, marks=self._bare.base)

    def _with_trees(self, bare: Location, kept: Flags, settings: TreeSettings) -> Location:
        """Grow the trees of a location that was fitted to the kept rows."""
        if settings.rounds == 0:
            return bare
        if self._stacking is not None:
            return replace(bare, trees=self._stacking.grow(bare, kept, settings))
        inputs = self.inputs.take(kept)
        rows = described(bare, self._recipe, inputs, self.target[kept], np.arange(len(inputs)))
        if len(rows.row) < FEWEST_TREE_ROWS:
            return bare
        trees = grow(rows.features, rows.residual, settings, should_stop=self.should_stop)
        return replace(bare, trees=trees)

    def _residual(self, left: LeftOut, trees: TreeSettings) -> Floats:
        """Return what is left of the rows of one fold by a location without them."""
        kind = self.kinds[left.kind]
        out = left.out
        if self._stacking is not None and kind.whole is not None:
            # What a few rows of an id tell the trees is next to nothing, and a fit costs seconds.
            out = kind.whole == kind.whole[np.flatnonzero(out)[0]]
        location = self._with_trees(left.bare, ~out, trees)
        if location.trees is None:
            return left.rows.residual
        return left.rows.residual - location.trees.predict(left.rows.features)

    def _out_of_fold(self, trees: TreeSettings) -> OutOfFold:
        parts: list[OutOfFold] = []
        for left in self._left_out:
            self.progress("folds of", 0.6 + 0.2 * len(parts) / len(self._left_out), {})
            residual = self._residual(left, trees)
            parts.append(
                OutOfFold(
                    row=left.rows.row,
                    kind=np.full(len(residual), left.kind),
                    location=self.target[left.out] - residual,
                    residual=residual,
                    features=left.features,
                    table=left.table,
                    calibrates=self._calibrated_by(left),
                )
            )
        names = [field.name for field in fields(OutOfFold)]
        return OutOfFold(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def _calibrated_by(self, left: LeftOut) -> Integers:
        """Return the table that each residual of a fold goes into, `NO_TABLE` for none.

        The scale has to guess how unlike others an id is of which a part was kept, and is off by
        more than for ids that it knows. It learns from that; but of requests for known ids, which
        go by the same tables, such rehearsals would be too large a share.
        """
        if not self.kinds[left.kind].partly:
            return left.table
        return np.where(left.table <= NEW_PAIR_TABLE, NO_TABLE, left.table)

    def _gains(self, trees: TreeSettings) -> list[float]:
        """Return, per kind of fold, how large errors are once nothing is left out, as a share.

        The models of a fold have seen less than the one that answers. How much that matters is
        measured by leaving out half of the rest as well: errors fall as a power of the rows.
        """
        powers = []
        for number, kind in enumerate(self.kinds):
            few, values = len(self.rows) < FEW_ROWS, self._keys(number).max() + 1
            if number == 0:
                # Half of the rows make fewer steps down a gradient.
                known = self._recipe.layout.solver == "ridge"
            elif kind.member < 0:
                known = not few or values >= _MANY_PAIRS
            else:
                # With a few rows of an id it is known by these.
                known = not few and not kind.few and values >= _MANY_VALUES
            powers.append(self._learning(number, trees) if known else 0.0)
        shares = [1.0 - 1.0 / kind.count for kind in self.kinds]
        return [share**power for share, power in zip(shares, powers, strict=True)]

    def _learning(self, kind: int, trees: TreeSettings) -> float:
        """Return the power of the number of rows by which the errors of a kind of fold fall."""
        left = next(left for left in self._left_out if left.kind == kind)
        keys = self._keys(kind)
        rng = np.random.default_rng(self.settings.seed + 2)
        half = ~left.out & (rng.random(int(keys.max()) + 1) < 0.5)[keys]
        inputs, target = self.inputs.take(half), self.target[half]
        bare = self._marked(self._recipe.bare(inputs, target, self.should_stop))
        codes = known_codes(left.inputs.codes, self.inputs.codes[half])
        location = self._with_trees(bare, half, trees)
        less = np.abs(self.target[left.out] - location.predict(left.inputs.with_codes(codes)))
        more = np.abs(self._residual(left, trees))
        ratio = np.quantile(less, _LARGE_ERRORS) / max(np.quantile(more, _LARGE_ERRORS), 1e-9)
        most = _MOST_LEARNING if self.kinds[kind].member < 0 else _MOST_OF_IDS
        return float(np.clip(np.log2(max(ratio, 1.0)), 0.0, most))

    def _keys(self, kind: int) -> Integers:
        """Return what a kind of fold leaves out together, as numbers from 0 on, [n]."""
        if kind == 0:
            return np.arange(len(self.rows))
        member = self.kinds[kind].member
        codes = self.inputs.codes[:, list(self.training.pair) if member < 0 else [member]]
        return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)

    def _widening(self, trees: TreeSettings, scale: Scale, table: Floats) -> Floats:
        """Return by how much the scale must grow beyond the data of each number, [F].

        For each extrapolated number a model is fitted to the rows below its upper end, and asked
        for those above: what it misses them by is what the real model may miss beyond all data.
        """
        found = np.full(self.inputs.standard.shape[1], WIDENING)
        ends = (float(np.interp(0.05, LEVELS, table)), float(np.interp(0.95, LEVELS, table)))
        for number in self.training.extrapolated:
            values = self.inputs.standard[:, number]
            out = upper_end(values, self.inputs.missing[:, number])
            if out is None:
                continue
            kept = self.inputs.standard[~out]
            inputs = self.training.input_map.ending(self.inputs, number, ~out)
            left = self._leave_out(0, out, self._recipe.within(kept), inputs)
            residual = self._residual(left, trees)
            excess = values[out] - kept[:, number].max()
            inside = replace(left.inputs, beyond=np.zeros_like(left.inputs.beyond))
            sizes = scale.predict(left.features, inside)
            found[number] = widening_for(residual, sizes, excess, ends)
        return found


def _accuracy(pooled: OutOfFold, *, log: bool) -> dict[str, float]:
    random = pooled.kind == 0
    residual, predicted = pooled.residual[random], pooled.location[random]
    actual = np.maximum(np.abs(predicted + residual), 1e-300)
    errors = np.abs(np.expm1(-residual)) if log else np.abs(residual) / actual
    return {"median_ape": float(np.median(errors))}
