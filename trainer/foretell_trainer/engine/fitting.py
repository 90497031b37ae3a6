"""Fitting: from a training set to the fitted models and tables of every metric."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import InvalidInput, Violation
from foretell.schema import Schema
from foretell_trainer.engine.calibration import LEVELS, quantile_tables
from foretell_trainer.engine.families import family_of
from foretell_trainer.engine.folds import FoldKind, fold_kinds, random_folds
from foretell_trainer.engine.inputs import Floats, InputMap, Inputs, Integers
from foretell_trainer.engine.interaction import FEWEST_ROWS, Plan, plan_interaction
from foretell_trainer.engine.linear import Layout, fit_layout
from foretell_trainer.engine.links import Derived
from foretell_trainer.engine.location import (
    FEW_ROWS,
    Location,
    Recipe,
    TreeRows,
    choose_rounds,
    known_codes,
    tree_rows,
    with_trees,
)
from foretell_trainer.engine.scale import (
    WIDENING,
    Scale,
    fit_scale,
    scale_features,
    widening_for,
)
from foretell_trainer.engine.seen import GroupCounts, Seen, choose_anchors, count_groups
from foretell_trainer.engine.trees import Singles, TreeSettings

SMALLEST_TRAINING_SET = 10
"""With fewer rows of a metric than this there is nothing to calibrate on."""

_FEW_LEVELS = 20
_FEWEST_STEPS = 3
_SCALE_ROWS = 40_000
_LARGE = 100_000
_STRENGTHS = (10.0, 1.0, 0.1)

TUNABLE = (
    "learning_rate",
    "leaves",
    "smallest_leaf",
    "leaf_penalty",
    "column_share",
    "row_share",
    "strength",
)
"""What may be tuned: fields of `TreeSettings`, and the strength of the base's penalties."""

Progress = Callable[[str, float, Mapping[str, float]], None]
"""Called with the stage, the fraction done of the whole in [0, 1], and numbers so far."""


@dataclass(frozen=True)
class FitSettings:
    """How a bundle is fitted; the defaults suit tens of rows to a hundred thousand."""

    family: str = "lightgbm"
    seed: int = 0
    most_rounds: int = 600
    random_folds: int = 5
    grouped_folds: int = 3
    threads: int = 2
    tuned: Mapping[str, float] = field(default_factory=dict)
    """What a search found better than the defaults: values by the names of `TUNABLE`."""

    def __post_init__(self) -> None:
        """Raise InvalidInput for tuned values of what cannot be tuned."""
        for name in self.tuned:
            if name not in TUNABLE:
                why = f"{name!r} cannot be tuned; one of {', '.join(TUNABLE)}"
                raise InvalidInput([Violation("tuned", name, why)])


@dataclass(frozen=True)
class TrainingSet:
    """The rows of a snapshot, as the engine sees them."""

    schema: Schema
    input_map: InputMap
    inputs: Inputs
    sizes: tuple[int, ...]
    """The number of known values of each category."""
    metrics: Floats
    """[n, M], NaN where not measured."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The categories that are groups of their own."""
        names = self.schema.category_names
        return tuple(names.index(g[0]) for g in self.schema.groups if len(g) == 1)

    @property
    def extrapolated(self) -> list[int]:
        """The numbers that may be asked beyond the data."""
        features = [f for f in self.schema.inputs if f.is_numeric]
        return [i for i, feature in enumerate(features) if feature.extrapolate]

    @cached_property
    def plan(self) -> Plan | None:
        """Which inputs say what runs and which say where, if there are enough of both."""
        return plan_interaction(self.schema, self.sizes, self.extrapolated, self.inputs, seed=0)

    @property
    def pair(self) -> tuple[int, ...]:
        """The categories of the first group of several, which names a subject in a setting."""
        names = self.schema.category_names
        found = [group for group in self.schema.groups if len(group) > 1]
        return tuple(names.index(name) for name in found[0]) if found else ()

    @cached_property
    def maskable(self) -> tuple[int, ...]:
        """The ids with so many values that an unknown one is something to learn about."""
        # Of a catalog's names, the training may have seen a few.
        seen = {c: len(np.unique(self.inputs.codes[:, c])) for c in self.ids}
        return tuple(c for c in self.ids if seen[c] >= _FEW_LEVELS)


@dataclass(frozen=True)
class OutOfFold:
    """Every row's residual in every kind of fold that left it out; r = kinds · rows at most."""

    row: Integers
    kind: Integers
    location: Floats
    residual: Floats
    features: Singles
    table: Integers


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
class Fitted:
    """All that goes into a graph."""

    training: TrainingSet
    metrics: tuple[FittedMetric, ...]
    derived: tuple[Derived, ...]
    seen: tuple[Seen, ...]
    """First of the rows that any metric was fitted on, then of each other set of rows."""
    seen_by: Mapping[int, int]
    """Per metric, derived ones included, the position in `seen` of its own rows."""

    @property
    def counts(self) -> GroupCounts:
        """What stands behind an answer, whichever the metric."""
        return self.seen[0].counts


def fit(
    training: TrainingSet,
    derived: Sequence[Derived],
    settings: FitSettings,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> Fitted:
    """Fit every metric that is not derived.

    Raises InvalidInput when a metric has too few rows, Cancelled when asked to stop.
    """
    skipped = {d.metric for d in derived}
    chosen = [m for m in range(len(training.schema.metrics)) if m not in skipped]
    measured = np.isfinite(training.metrics).sum(axis=0)
    for metric in chosen:
        _check_enough(training.schema, metric, int(measured[metric]))
    seen, seen_by = _seen(training, chosen, settings.seed)
    fitted = []
    for place, metric in enumerate(chosen):
        rows = np.flatnonzero(np.isfinite(training.metrics[:, metric]))
        kinds = _kinds(training, rows, settings)
        name = training.schema.metrics[metric].name

        def tell(
            stage: str,
            share: float,
            numbers: Mapping[str, float],
            place: int = place,
            name: str = name,
        ) -> None:
            progress(f"{stage} {name}", (place + share) / len(chosen), numbers)

        one = _Metric(training, metric, rows, kinds, settings, tell, should_stop)
        fitted.append(one.fit())
    seen_by |= {d.metric: seen_by[d.source] for d in derived}
    return Fitted(training, tuple(fitted), tuple(derived), seen, seen_by)


def locate(
    training: TrainingSet,
    metric: int,
    settings: FitSettings,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[Location, float]:
    """Fit the location of one metric alone, without scale and calibration.

    Returns it and the unit that its predictions are multiples of. Raises Cancelled.
    """
    one = _alone(training, metric, settings, should_stop)
    one.layout, trees = one._choose(one._tree_settings())
    return one._location(np.ones(len(one.rows), bool), trees), one.unit


def left_out_errors(
    training: TrainingSet,
    metric: int,
    settings: FitSettings,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[str, Floats]]:
    """Yield, for fold after fold, its kind and the absolute errors of the rows left out.

    Errors are in logs for a metric on a log scale, else in its standard deviations. The folds
    are those of a fit with these settings and seed, random and grouped ones. Raises Cancelled.
    """
    one = _alone(training, metric, settings, should_stop)
    one.layout, trees = one._choose(one._tree_settings())
    for number, kind in enumerate(one.kinds):
        for fold in range(0 if kind.few else kind.count):
            yield kind.name, np.abs(one._left_out(number, kind.fold == fold, trees).residual)


def _alone(
    training: TrainingSet, metric: int, settings: FitSettings, should_stop: Callable[[], bool]
) -> _Metric:
    rows = np.flatnonzero(np.isfinite(training.metrics[:, metric]))
    _check_enough(training.schema, metric, len(rows))
    kinds = _kinds(training, rows, settings)
    return _Metric(training, metric, rows, kinds, settings, lambda *_: None, should_stop)


def _kinds(training: TrainingSet, rows: Integers, settings: FitSettings) -> list[FoldKind]:
    counts = count_groups(training.schema, training.sizes, training.inputs.codes)
    groups = list(zip(("/".join(g) for g in counts.names), counts.members, strict=True))
    return fold_kinds(
        training.inputs.codes[rows],
        groups,
        random_count=settings.random_folds,
        grouped_count=settings.grouped_folds,
        seed=settings.seed,
    )


def _seen(
    training: TrainingSet, metrics: Sequence[int], seed: int
) -> tuple[tuple[Seen, ...], dict[int, int]]:
    """Return what is seen in the rows of any metric and of each, and which is each metric's."""
    measured = np.isfinite(training.metrics[:, metrics])
    places: dict[bytes, int] = {}
    seen: list[Seen] = []
    for rows in (measured.any(axis=1), *measured.T):
        if rows.tobytes() not in places:
            places[rows.tobytes()] = len(seen)
            inputs = training.inputs.take(rows)
            counts = count_groups(training.schema, training.sizes, inputs.codes)
            seen.append(Seen(counts, choose_anchors(inputs.standard, seed)))
    return tuple(seen), {m: places[measured[:, i].tobytes()] for i, m in enumerate(metrics)}


class _Metric:
    """The fit of one metric; a class so that its steps share what they all need."""

    def __init__(
        self,
        training: TrainingSet,
        metric: int,
        rows: Integers,
        kinds: Sequence[FoldKind],
        settings: FitSettings,
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> None:
        self.training = training
        self.metric = metric
        self.rows = rows
        self.kinds = kinds
        self.settings = settings
        self.family = family_of(settings.family)
        self.progress = progress
        self.should_stop = should_stop
        self.inputs = training.inputs.take(rows)
        values = training.metrics[rows, metric]
        self.log = training.schema.metrics[metric].scale == "log"
        self.unit = 1.0 if self.log else float(np.std(values)) or 1.0
        self.target = np.log(values) if self.log else values / self.unit
        self.plan = training.plan if self.family.learner and len(rows) >= FEWEST_ROWS else None
        self.stacked: TreeRows | None = None
        self.layout = self._layout()

    def fit(self) -> FittedMetric:
        """Fit location and scale on all rows, and calibrate them on out-of-fold residuals."""
        self.progress("choosing rounds for", 0.0, {})
        self.layout, trees = self._choose(self._tree_settings())
        self.progress("fitting", 0.1, {"rounds": trees.rounds})
        location = self._location(np.ones(len(self.rows), bool), trees)
        pooled = self._out_of_fold(trees)
        self.progress("calibrating", 0.8, _accuracy(pooled, log=self.log))
        scale = self._scale(pooled, np.ones(len(pooled.row), bool))
        standardised = self._standardised(pooled)
        count = len(
            count_groups(self.training.schema, self.training.sizes, self.inputs.codes).table_names
        )
        tables = quantile_tables(standardised, pooled.table, count)
        self.progress("extrapolating", 0.9, {})
        scale = replace(
            scale,
            widening=self._widening(trees, scale, tables[0]),
            drift=_drift(location, self.training.extrapolated),
        )
        return FittedMetric(
            metric=self.metric,
            unit=self.unit,
            location=location,
            scale=scale,
            tables=tables,
            rounds=trees.rounds,
            rows=len(self.rows),
            out_of_fold=pooled,
            standardised=standardised,
            kinds=tuple(self.kinds),
        )

    def _layout(self) -> Layout:
        layout = fit_layout(
            self.training.sizes,
            self.training.inputs,
            self.training.ids,
            self.training.extrapolated,
        )
        # Of few rows, the effect of an id in the base says more than what it shares with others.
        muted = (self.plan.subject,) if self.plan and len(self.rows) >= FEW_ROWS else ()
        return replace(layout, solver=self.family.base, muted=muted)

    def _tree_settings(self) -> TreeSettings:
        n, width = len(self.rows), self.inputs.standard.shape[1]
        default = TreeSettings(
            rounds=0 if self.family.learner is None else self.settings.most_rounds,
            learner=self.family.learner or "lightgbm",
            leaves=int(np.clip(n // 25, 4, 31)),
            learning_rate=0.05,
            smallest_leaf=3 if n < FEW_ROWS else 5,
            leaf_penalty=0.0 if n < FEW_ROWS else 1.0,
            column_share=0.8 if width < 40 else 0.4,
            seed=self.settings.seed,
            # Threads cost more than they bring where a round takes less than a millisecond.
            threads=1 if n * width < _LARGE else self.settings.threads,
        )
        whole = ("leaves", "smallest_leaf")
        found = self.settings.tuned.items()
        tuned: dict[str, Any] = {k: int(v) if k in whole else v for k, v in found}
        tuned.pop("strength", None)
        return replace(default, **tuned)

    def _choose(self, settings: TreeSettings) -> tuple[Layout, TreeSettings]:
        """Return the strength of the base's penalties and the trees' rounds that err least."""
        n = len(self.rows)
        if settings.rounds == 0:
            strength = self.settings.tuned.get("strength", self.layout.strength)
            return replace(self.layout, strength=strength), settings
        folds = random_folds(n, 6, np.random.default_rng(self.settings.seed + 1))
        found = []
        # Many rows outweigh the penalties, and trying several costs seconds.
        for strength in self._strengths(n):
            layout = replace(self.layout, strength=strength)
            recipe = self._recipe(layout)
            stacked = self._stacked(recipe)
            chosen, error = choose_rounds(
                recipe, self.inputs, self.target, stacked, settings, folds, self.should_stop
            )
            found.append((error, layout, chosen, stacked))
        _, layout, chosen, self.stacked = min(found, key=lambda entry: entry[0])
        return layout, chosen

    def _recipe(self, layout: Layout) -> Recipe:
        training = self.training
        return Recipe(
            inputs=training.input_map,
            layout=layout,
            plan=self.plan,
            maskable=training.maskable,
            pair=training.pair,
            seed=self.settings.seed,
        )

    def _stacked(self, recipe: Recipe) -> TreeRows | None:
        """Return the trees' rows out of fold, once for all fits; None where they need not be."""
        if self.plan is None:
            return None
        return tree_rows(recipe, self.inputs, self.target, self.should_stop)

    def _strengths(self, n: int) -> tuple[float, ...]:
        if "strength" in self.settings.tuned:
            return (self.settings.tuned["strength"],)
        return _STRENGTHS if n < FEW_ROWS else (1.0,)

    def _location(self, kept: NDArray[np.bool_], trees: TreeSettings) -> Location:
        """Fit the location to the kept rows."""
        recipe = self._recipe(self.layout)
        inputs, target = self.inputs.take(kept), self.target[kept]
        bare = recipe.bare(inputs, target, self.should_stop)
        if trees.rounds == 0:
            return bare
        rows = (
            tree_rows(recipe, inputs, target, self.should_stop)
            if self.stacked is None
            else self.stacked.of(kept)
        )
        return with_trees(bare, rows, trees, self.should_stop)

    def _out_of_fold(self, trees: TreeSettings) -> OutOfFold:
        total = sum(kind.count for kind in self.kinds)
        parts: list[OutOfFold] = []
        for number, kind in enumerate(self.kinds):
            for fold in range(kind.count):
                self.progress("folds of", 0.2 + 0.6 * len(parts) / total, {})
                parts.append(self._left_out(number, kind.fold == fold, trees))
        return OutOfFold(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("row", "kind", "location", "residual", "features", "table")
            )
        )

    def _left_out(self, kind: int, out: NDArray[np.bool_], trees: TreeSettings) -> OutOfFold:
        kept = self.inputs.take(~out)
        location = self._location(~out, trees)
        codes = known_codes(self.inputs.codes[out], kept.codes)
        left = self.inputs.take(out).with_codes(codes)
        counts = count_groups(self.training.schema, self.training.sizes, kept.codes)
        # As many as the whole would have: or the counts of large groups would tell the kind of
        # fold, and the scale would take every row that is asked later for a warm one.
        seen = counts.rows(codes) * (len(out) / len(kept))
        distance = choose_anchors(kept.standard, self.settings.seed).distance(left.standard)
        predicted = location.predict(left)
        rows = np.flatnonzero(out)
        return OutOfFold(
            row=rows,
            kind=np.full(len(rows), kind),
            location=predicted,
            residual=self.target[out] - predicted,
            features=scale_features(location.features(left), seen, distance),
            table=counts.table(seen),
        )

    def _scale(self, pooled: OutOfFold, use: NDArray[np.bool_]) -> Scale:
        chosen = np.flatnonzero(use)
        if len(chosen) > _SCALE_ROWS:
            rng = np.random.default_rng(self.settings.seed)
            chosen = np.sort(rng.choice(chosen, _SCALE_ROWS, replace=False))
        return fit_scale(
            pooled.features[chosen],
            pooled.residual[chosen],
            repeats=len(self.kinds),
            seed=self.settings.seed,
            should_stop=self.should_stop,
        )

    def _widening(self, trees: TreeSettings, scale: Scale, table: Floats) -> float:
        """Return by how much the scale must grow beyond the data, tried on its upper end.

        For each extrapolated number a model is fitted to the rows below, and asked for those
        above: what it misses them by is what the real model may miss beyond all data.
        """
        found = [WIDENING]
        ends = (float(np.interp(0.05, LEVELS, table)), float(np.interp(0.95, LEVELS, table)))
        whole = self.layout
        for number in self.training.extrapolated:
            values = self.inputs.standard[:, number]
            out = _upper_end(values, self.inputs.missing[:, number])
            if out is None:
                continue
            kept = self.inputs.standard[~out]
            self.layout = replace(whole, lowest=kept.min(axis=0), highest=kept.max(axis=0))
            part = self._left_out(0, out, trees)
            excess = values[out] - kept[:, number].max()
            sizes = scale.predict(part.features, np.zeros((len(excess), kept.shape[1])))
            found.append(widening_for(part.residual, sizes, excess, ends))
        self.layout = whole
        return max(found)

    def _standardised(self, pooled: OutOfFold) -> Floats:
        """Return residuals over scales that were fitted without the row's fold, [r]."""
        result = np.zeros(len(pooled.row))
        beyond = self.inputs.beyond[pooled.row]
        for number, kind in enumerate(self.kinds):
            folds = kind.fold[pooled.row]
            for fold in range(kind.count):
                scale = self._scale(pooled, folds != fold)
                mine = (pooled.kind == number) & (folds == fold)
                sizes = scale.predict(pooled.features[mine], beyond[mine])
                result[mine] = pooled.residual[mine] / sizes
        return result


def _drift(location: Location, extrapolated: Sequence[int]) -> Floats:
    """Return, per number, what its trend beyond the data would change, were it not held, [F]."""
    inputs, weights = location.inputs, location.base.weights
    width, logs = len(inputs.mean), len(inputs.log_columns)
    slopes = weights[:width].copy()
    slopes[inputs.log_columns] += weights[width : width + logs] * inputs.tangent
    slopes[list(extrapolated)] = 0.0
    return np.abs(slopes)


def _upper_end(values: Floats, missing: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return the upper quarter or so of the rows, None where there is too little below or in it."""
    known = values[~missing]
    if len(known) < _FEW_LEVELS or len(np.unique(known)) < _FEWEST_STEPS:
        return None
    cut = float(np.quantile(known, 0.75))
    out = ~missing & ((values > cut) if (known > cut).any() else (values == cut))
    enough = out.sum() >= _FEW_LEVELS and len(np.unique(known[known <= cut])) >= _FEWEST_STEPS - 1
    return out if enough else None


def _accuracy(pooled: OutOfFold, *, log: bool) -> dict[str, float]:
    random = pooled.kind == 0
    residual, predicted = pooled.residual[random], pooled.location[random]
    actual = np.maximum(np.abs(predicted + residual), 1e-300)
    errors = np.abs(np.expm1(-residual)) if log else np.abs(residual) / actual
    return {"median_ape": float(np.median(errors))}


def _check_enough(schema: Schema, metric: int, rows: int) -> None:
    if rows < SMALLEST_TRAINING_SET:
        name = schema.metrics[metric].name
        why = f"{rows} measured values; at least {SMALLEST_TRAINING_SET} are needed to calibrate"
        raise InvalidInput([Violation(name, str(rows), why)])


def derived_tables(tables: Floats, power: float) -> Floats:
    """Return the tables [T, Q] of a metric that is a power of the one they are for."""
    return tables if power > 0 else -tables[:, ::-1]
