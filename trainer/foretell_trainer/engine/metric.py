"""One metric's fit: what is left out, the location, the scale, and tables calibrated on the rest.

Each row is left out in several ways: alone, with its pair, with all of an id's rows, and with all
but a few. Without it, base and interaction are fitted once per fold; the trees learn from what
these leave of rows that were left out (stacking: Wolpert, Neural Networks 1992), and are left out
in turn themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell_trainer.engine.calibration import LEVELS, centred
from foretell_trainer.engine.continued import NO_TREES
from foretell_trainer.engine.families import family_of
from foretell_trainer.engine.folds import FoldKind, random_folds
from foretell_trainer.engine.gated import Gated
from foretell_trainer.engine.inputs import Flags, Floats, Inputs, Integers
from foretell_trainer.engine.lacking import lacking
from foretell_trainer.engine.linear import fit_linear
from foretell_trainer.engine.links import Derived
from foretell_trainer.engine.location import (
    FEW_ROWS,
    FEWEST_TREE_ROWS,
    Location,
    Recipe,
    TreeRows,
    alike_in_size,
    choose_rounds,
    described,
    grown,
    joined,
    known_codes,
    trees_help_without,
    with_trees,
)
from foretell_trainer.engine.monotone import constraints, rules_of
from foretell_trainer.engine.plan import FEWEST_ROWS
from foretell_trainer.engine.recipes import RecipeChoice
from foretell_trainer.engine.scale import LARGEST, WIDENING, Scale, scale_features, widening_for
from foretell_trainer.engine.seen import choose_anchors, count_groups
from foretell_trainer.engine.training_set import FEW_LEVELS, FitSettings, TrainingSet
from foretell_trainer.engine.trees import Singles, Trees, TreeSettings
from foretell_trainer.engine.widths import OutOfFold, WidthFit

Tell = Callable[[str, float, dict[str, float]], None]
"""Called with the stage, the fraction done of this metric in [0, 1], and numbers so far."""

_FEWEST_STEPS = 3
_LARGE_ERRORS = 0.8
"""The quantile of errors that says how they fall with more rows."""

_MOST_LEARNING, _MOST_OF_IDS = 0.5, 0.35
"""A new id may resemble none, however many there are."""
_MEDIAN = "regression_l1"
_TREE_ROWS = 60_000
_FEW_ROUNDS = 200
"""Where interactions say most, trees have little left to say."""
_SLOWLY = 1600
"""Of fewer rows the trees learn in large steps: there is too little to learn more carefully, and
twice the trees are a fifth of a row's time."""
_ROWS_PER_LEAF, _FEW_PER_LEAF = 300, 60
_LARGE = 100_000
_MANY_VALUES = 40
"""Of an id; of fewer values half would be another world."""


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


@dataclass(frozen=True)
class _LeftOut:
    """What base and interaction, fitted to the other rows, say of those of one fold."""

    kind: int
    out: Flags
    """[n]: the rows of the fold."""
    inputs: Inputs
    """Of those rows, with what the others do not have as unknown."""
    bare: Location
    rows: TreeRows
    features: Singles
    """What the scale sees."""
    table: Integers


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
        self._grown: dict[bytes, Trees | None] = {}

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
            counts=count_groups(self.training.schema, self.training.sizes, self.inputs.codes),
            pair=self.training.pair,
            seed=self.settings.seed,
            should_stop=self.should_stop,
        ).fit()
        self.progress("extrapolating", 0.9, {})
        scale = replace(
            widths.scale,
            widening=self._widening(trees, widths.scale, widths.tables[0]),
            drift=self._drift(location),
            most=LARGEST if self.log else float("inf"),
            left_out=lacking(
                location,
                self.inputs,
                np.abs(pooled.residual[pooled.kind == 0]),
                self.settings.seed,
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

    def _says_medians(self, trees: TreeSettings) -> bool:
        """Return whether the location is the median already, or has to be, to obey the schema.

        What few folds say of the middle of errors is less than what the trees have learnt of it.
        """
        return bool(self.rules) or (trees.rounds > 0 and trees.objective == _MEDIAN)

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
        settings = self._tree_settings()
        if settings.rounds == 0:
            return settings
        folds = random_folds(len(self.rows), 6, np.random.default_rng(self.settings.seed + 1))
        return choose_rounds(
            self._recipe,
            self.inputs,
            self.target,
            None if self._stacked is None else self._stacked[0].seeing(self._ungated),
            settings,
            folds,
            self.should_stop,
        )

    def _tree_settings(self) -> TreeSettings:
        n, width = len(self.rows), self.inputs.standard.shape[1]
        few = n < FEW_ROWS
        others = (self.plan is not None) + len(self.training.sizes)
        most = self.settings.most_rounds
        slowly = few and self.plan is not None and n >= _SLOWLY
        monotone = constraints(self.rules, width, others)
        if self.plan is not None or few:
            most = min(most, 2 * _FEW_ROUNDS if slowly else _FEW_ROUNDS)
        default = TreeSettings(
            rounds=0 if self.family.learner is None else most,
            learner=self.family.learner or "lightgbm",
            leaves=_leaves(n, planned=self.plan is not None),
            learning_rate=_rate(few=few and not slowly, planned=self.plan is not None),
            smallest_leaf=10 if self.plan is not None else 3 if few else 5,
            leaf_penalty=0.0 if few else 1.0,
            column_share=0.8 if width < 40 else 0.4,
            seed=self.settings.seed,
            # Threads cost more than they bring where a round takes less than a millisecond.
            threads=1 if n * width < _LARGE else self.settings.threads,
            monotone=monotone,
            # The location is to be the median. Alone, trees would leave what is rare and large to
            # nobody; and what may only rise is a matter of means, for medians of leaves cross.
            objective=_MEDIAN if self.plan is not None and not any(monotone) else "regression",
        )
        whole = ("leaves", "smallest_leaf")
        found = self.settings.tuned.items()
        tuned: dict[str, Any] = {k: int(v) if k in whole else v for k, v in found}
        tuned.pop("strength", None)
        return replace(default, **tuned)

    @cached_property
    def _left_out(self) -> list[_LeftOut]:
        """What is said of each fold's rows without them, for all kinds of folds."""
        total = sum(kind.count for kind in self.kinds)
        found: list[_LeftOut] = []
        for number, kind in enumerate(self.kinds):
            for fold in range(kind.count):
                self.progress("leaving out rows of", 0.5 * len(found) / total, {})
                found.append(self._leave_out(number, kind.fold == fold, self._recipe, self.inputs))
        return found

    def _leave_out(self, kind: int, out: Flags, recipe: Recipe, inputs: Inputs) -> _LeftOut:
        kept = inputs.take(~out)
        bare = recipe.bare(kept, self.target[~out], self.should_stop)
        if self.plan is not None:
            # Trees know a value by its effect, and each fold has it a little elsewhere.
            bare = replace(bare, marks=self._bare.base)
        codes = known_codes(inputs.codes[out], kept.codes)
        left = inputs.take(out).with_codes(codes)
        counts = count_groups(self.training.schema, self.training.sizes, kept.codes)
        # As many as the whole would have: or the counts of large groups would tell the kind of
        # fold, and the scale would take every row that is asked later for a warm one.
        seen = counts.rows(codes) * (len(out) / len(kept))
        distance = choose_anchors(kept.standard, self.settings.seed).distance(left.standard)
        rows = np.flatnonzero(out)
        features = bare.features(left)
        less = np.full(len(rows), self.kinds[kind].member >= 0)
        residual = self.target[out] - bare.untreed(left)
        return _LeftOut(
            kind=kind,
            out=out,
            inputs=left,
            bare=bare,
            rows=TreeRows(rows, less, features, residual),
            features=scale_features(features, seen, distance),
            table=counts.table(seen),
        )

    @cached_property
    def _stacked(self) -> tuple[TreeRows, ...] | None:
        """The trees' rows out of fold, by what is known of a row; None without interactions.

        First those of rows whose ids are known; then, for each id with a gate, these and those of
        rows without it. Interactions know the rows that they were fitted to too well to tell the
        trees what they leave. A base alone does not.
        """
        if self.plan is None:
            return None
        # Of few ids, the residual of one that was left out says nothing of the next new one.
        found = []
        for gate in (None, *self._bare.gates):
            members = (-1,) if gate is None else (-1, gate.category)
            found.append(self._rows_of(members))
        return tuple(found)

    def _rows_of(self, members: Sequence[int]) -> TreeRows:
        """Return what is left of rows of the folds that leave out these, or pairs, or rows."""
        parts: dict[int, list[TreeRows]] = {}
        for left in self._left_out:
            kind = self.kinds[left.kind]
            if not kind.few and kind.member in members:
                parts.setdefault(left.kind, []).append(left.rows)
        of_kinds = [joined(found) for found in parts.values()]
        rng = np.random.default_rng(self.settings.seed)
        if len(self.rows) >= FEW_ROWS:
            cold = [self.kinds[kind].member >= 0 for kind in parts]
            of_kinds = alike_in_size(of_kinds, cold, rng)
        rows = joined(of_kinds)
        if len(rows.row) <= _TREE_ROWS:
            return rows
        return rows.take(np.sort(rng.permutation(len(rows.row))[:_TREE_ROWS]))

    def _with_trees(self, bare: Location, kept: Flags, settings: TreeSettings) -> Location:
        """Grow the trees of a location that was fitted to the kept rows."""
        if settings.rounds == 0:
            return bare
        if self._stacked is not None:
            key = kept.tobytes()
            if key not in self._grown:
                self._grown[key] = self._gated(bare, self._stacked, kept, settings)
            return replace(bare, trees=self._grown[key])
        inputs = self.inputs.take(kept)
        rows = described(bare, self._recipe, inputs, self.target[kept], np.arange(len(inputs)))
        return with_trees(bare, rows, settings, self.should_stop)

    def _gated(
        self, bare: Location, stacked: Sequence[TreeRows], kept: Flags, settings: TreeSettings
    ) -> Trees | None:
        told, gates = self._told_by_others(bare, kept), len(bare.gates)
        parts = [rows.of(kept) for rows in stacked]
        parts = [replace(rows, residual=rows.residual + told[rows.row]) for rows in parts]
        if len(parts[0].row) < FEWEST_TREE_ROWS:
            return None
        if not gates:
            return grown(parts[0], settings, self.should_stop)
        first = self._ungated

        def grow(which: int) -> Trees:
            rounds = settings.rounds if which == 0 else self._cold_rounds[which - 1]
            if rounds == 0:
                return NO_TREES
            own = replace(settings, rounds=rounds)
            return grown(parts[which].seeing(first), own, self.should_stop)

        return Gated(first, gates, grow)

    @cached_property
    def _cold_rounds(self) -> list[int]:
        """The rounds of each gate's own trees: as many as all have, or none where none helps.

        All rows of a value are off by what nobody could know of it, and trees take that for
        something they know where values are few.
        """
        stacked = self._stacked
        if stacked is None:
            return []
        # Values that were left out together are off together: none of them is judged by another.
        together = {k.member: k.fold for k in self.kinds if k.member >= 0 and not k.few}
        trees = self._trees
        return [
            trees.rounds
            if gate.category in together
            and trees_help_without(
                rows.seeing(self._ungated), trees, together[gate.category], self.should_stop
            )
            else 0
            for gate, rows in zip(self._bare.gates, stacked[1:], strict=True)
        ]

    @property
    def _ungated(self) -> int:
        """How many features come before the gates."""
        width = len(self.training.input_map.mean)
        return width + 1 + (self.plan is not None) + len(self.training.sizes)

    def _told_by_others(self, bare: Location, kept: Flags) -> Floats:
        """Return what rows that are not kept have changed in what is said of each row, [n].

        The models that left out a kept row have seen those that are judged now, and what they say
        would give these away. Without fitting all folds within all others, it is taken off to
        first order (the infinitesimal jackknife: Jaeckel, Bell Laboratories 1972).
        """
        if kept.all():
            return np.zeros(len(kept))
        return self._said - bare.untreed(self.inputs)

    @cached_property
    def _said(self) -> Floats:
        return self._bare.untreed(self.inputs)

    def _residual(self, left: _LeftOut, trees: TreeSettings) -> Floats:
        """Return what is left of the rows of one fold by a location without them."""
        kind = self.kinds[left.kind]
        out = left.out
        if self._stacked is not None and kind.whole is not None:
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
                )
            )
        names = ("row", "kind", "location", "residual", "features", "table")
        return OutOfFold(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def _gains(self, trees: TreeSettings) -> list[float]:
        """Return, per kind of fold, how large errors are once nothing is left out, as a share.

        The models of a fold have seen less than the one that answers. How much that matters is
        measured by leaving out half of the rest as well: errors fall as a power of the rows.
        """
        gains = []
        for number, kind in enumerate(self.kinds):
            # Half of few pairs or ids say little of the rest; and half of the rows make fewer
            # steps down a gradient. With a few rows of an id it is known by these.
            steady = number == 0 and self._recipe.layout.solver == "ridge"
            many = steady or (len(self.rows) >= FEW_ROWS and not kind.few)
            if kind.member >= 0:
                many = many and self.training.sizes[kind.member] >= _MANY_VALUES
            power = self._learning(number, trees) if many else 0.0
            gains.append((1.0 - 1.0 / kind.count) ** power)
        return gains

    def _learning(self, kind: int, trees: TreeSettings) -> float:
        """Return the power of the number of rows by which the errors of a kind of fold fall."""
        left = next(left for left in self._left_out if left.kind == kind)
        rng = np.random.default_rng(self.settings.seed + 2)
        keys = np.arange(len(self.rows))
        if kind > 0:
            member = self.kinds[kind].member
            together = list(self.training.pair) if member < 0 else [member]
            pairs = self.inputs.codes[:, together]
            keys = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
        half = ~left.out & (rng.random(int(keys.max()) + 1) < 0.5)[keys]
        bare = self._recipe.bare(self.inputs.take(half), self.target[half], self.should_stop)
        if self.plan is not None:
            bare = replace(bare, marks=self._bare.base)
        codes = known_codes(left.inputs.codes, self.inputs.codes[half])
        location = self._with_trees(bare, half, trees)
        less = np.abs(self.target[left.out] - location.predict(left.inputs.with_codes(codes)))
        more = np.abs(self._residual(left, trees))
        ratio = np.quantile(less, _LARGE_ERRORS) / max(np.quantile(more, _LARGE_ERRORS), 1e-9)
        most = _MOST_LEARNING if self.kinds[kind].member < 0 else _MOST_OF_IDS
        return float(np.clip(np.log2(max(ratio, 1.0)), 0.0, most))

    def _drift(self, location: Location) -> Floats:
        """Return what a number's trend would change, were it not held to its range, [F]."""
        base = location.base
        if location.parts is not None:
            # The trends of two parts are as large as they like, where they make up for each other.
            rest = self.target
            if location.costs is not None:
                rest = rest - location.costs.predict(self.inputs)
            base = fit_linear(self.inputs, rest, self._recipe.layout)
        inputs, weights = location.inputs, base.weights
        width, logs = len(inputs.mean), len(inputs.log_columns)
        slopes = weights[:width].copy()
        slopes[inputs.log_columns] += weights[width : width + logs] * inputs.tangent
        if location.costs is not None:
            slopes[location.costs.amounts.numbers] += location.costs.steepness(self.inputs)
        slopes[list(self.training.extrapolated)] = 0.0
        return np.abs(slopes)

    def _widening(self, trees: TreeSettings, scale: Scale, table: Floats) -> Floats:
        """Return by how much the scale must grow beyond the data of each number, [F].

        For each extrapolated number a model is fitted to the rows below its upper end, and asked
        for those above: what it misses them by is what the real model may miss beyond all data.
        """
        found = np.full(self.inputs.standard.shape[1], WIDENING)
        ends = (float(np.interp(0.05, LEVELS, table)), float(np.interp(0.95, LEVELS, table)))
        for number in self.training.extrapolated:
            values = self.inputs.standard[:, number]
            out = _upper_end(values, self.inputs.missing[:, number])
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


def _upper_end(values: Floats, missing: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return the upper quarter or so of the rows, None where there is too little below or in it."""
    known = values[~missing]
    if len(known) < FEW_LEVELS or len(np.unique(known)) < _FEWEST_STEPS:
        return None
    cut = float(np.quantile(known, 0.75))
    out = ~missing & ((values > cut) if (known > cut).any() else (values == cut))
    enough = out.sum() >= FEW_LEVELS and len(np.unique(known[known <= cut])) >= _FEWEST_STEPS - 1
    return out if enough else None


def _accuracy(pooled: OutOfFold, *, log: bool) -> dict[str, float]:
    random = pooled.kind == 0
    residual, predicted = pooled.residual[random], pooled.location[random]
    actual = np.maximum(np.abs(predicted + residual), 1e-300)
    errors = np.abs(np.expm1(-residual)) if log else np.abs(residual) / actual
    return {"median_ape": float(np.median(errors))}


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
