"""Updates: a fit that goes on from what a bundle has kept, and learns from what is new.

Scales, base, interactions and the trees so far stay as they are. The family `sgd` goes on from its
weights, and takes as many steps for each new row as a fit does for any. The others give values
that are new an effect of their own, and grow further trees on what new rows, and some old ones,
leave of the location so far. What the new rows say of the errors, each left out in its turn, moves
the quantile tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property

import numpy as np

from foretell.errors import Cancelled, InvalidInput, Violation
from foretell_trainer.engine.calibration import centred, quantile_tables
from foretell_trainer.engine.continued import continued
from foretell_trainer.engine.families import Family, family_of
from foretell_trainer.engine.fitting import Fitted, what_was_seen
from foretell_trainer.engine.folds import FoldKind, random_folds
from foretell_trainer.engine.gated import Gate
from foretell_trainer.engine.grown import packed, widened
from foretell_trainer.engine.inputs import Flags, Floats, Inputs, Integers
from foretell_trainer.engine.learners import grow, held_out_errors
from foretell_trainer.engine.linear import design_matrix, unpacked
from foretell_trainer.engine.links import Derived
from foretell_trainer.engine.location import Location, known_codes
from foretell_trainer.engine.metric import FittedMetric
from foretell_trainer.engine.monotone import constraints, obeying, rules_of
from foretell_trainer.engine.scale import scale_features
from foretell_trainer.engine.seen import choose_anchors, count_groups
from foretell_trainer.engine.sgd import descend
from foretell_trainer.engine.state import FitState, MetricState
from foretell_trainer.engine.training_set import FitSettings, Progress, TrainingSet
from foretell_trainer.engine.trees import TreeSettings
from foretell_trainer.engine.widths import OutOfFold

FEWEST_NEW = 50
"""With fewer new values of a metric than this there is nothing to calibrate on."""

_FOLDS = 4
_MOST_ROUNDS = 100
_REMEMBERED = 20
"""How many rows of each id and pair are learned from, if there are as many, old and new."""
_EFFECT_PENALTY = 1.0
_TABLE_ROWS = 400
"""The tables so far count as much as so many new rows."""


def updatable(family: Family) -> bool:
    """Return whether bundles of a family can be updated; what has neither is fitted in seconds."""
    return family.base == "sgd" or family.learner is not None


def update(
    training: TrainingSet,
    state: FitState,
    new: Flags,
    derived: Sequence[Derived],
    settings: FitSettings,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> Fitted:
    """Return what a state becomes by the rows that are new to it, `new` [n].

    `training` are all rows, old and new, seen by the state's own map of the inputs; its known
    values begin with those of the state. Raises InvalidInput when a metric has too few new rows
    or is not in the state, Cancelled when asked to stop.
    """
    skipped = {d.metric for d in derived}
    chosen = [m for m in range(len(training.schema.metrics)) if m not in skipped]
    known = {one.metric: one for one in state.metrics}
    for metric in chosen:
        _check(training, metric, new, known)
    seen, seen_by = what_was_seen(training, chosen, settings.seed)
    fitted = []
    for place, metric in enumerate(chosen):
        name = training.schema.metrics[metric].name
        progress(f"updating {name}", place / len(chosen), {"new_rows": int(new.sum())})
        one = _MetricUpdate(training, known[metric], new, derived, settings, should_stop)
        fitted.append(one.fit())
    seen_by |= {d.metric: seen_by[d.source] for d in derived}
    return Fitted(training, tuple(fitted), tuple(derived), seen, seen_by)


def _check(
    training: TrainingSet, metric: int, new: Flags, known: Mapping[int, MetricState]
) -> None:
    name = training.schema.metrics[metric].name
    if metric not in known:
        raise InvalidInput([Violation("mode", name, f"{name} was not fitted by itself before")])
    rows = int((np.isfinite(training.metrics[:, metric]) & new).sum())
    if rows < FEWEST_NEW:
        why = f"{rows} new values of {name}; at least {FEWEST_NEW} are needed to update"
        raise InvalidInput([Violation("mode", name, why)])


class _MetricUpdate:
    """The update of one metric; a class so that its steps share what they all need."""

    def __init__(
        self,
        training: TrainingSet,
        state: MetricState,
        new: Flags,
        derived: Sequence[Derived],
        settings: FitSettings,
        should_stop: Callable[[], bool],
    ) -> None:
        self.training = training
        self.state = state
        self.settings = settings
        self.should_stop = should_stop
        self.family = family_of(settings.family)
        self.rows = np.flatnonzero(np.isfinite(training.metrics[:, state.metric]))
        self.inputs = training.inputs.take(self.rows)
        self.new = new[self.rows]
        values = training.metrics[self.rows, state.metric]
        log = training.schema.metrics[state.metric].scale == "log"
        self.target = np.log(values) if log else values / state.unit
        self.location = self._gated(widened(state.location, training))
        self.rules = rules_of(training.schema, training.input_map, state.metric, derived)
        codes = self.inputs.codes
        old = codes[~self.new]
        self.unfamiliar = np.column_stack(
            [(own >= 0) & ~np.isin(own, before) for own, before in zip(codes.T, old.T, strict=True)]
        ).reshape(codes.shape)
        """[n, C]: which values no old row has."""
        rng = np.random.default_rng(settings.seed)
        self.fold = np.full(len(self.rows), -1, dtype=np.int64)
        self.fold[self.new] = random_folds(int(self.new.sum()), _FOLDS, rng)

    def _gated(self, location: Location) -> Location:
        """Return the location with the values of all rows, old and new, as known."""
        codes, sizes = self.inputs.codes, self.training.sizes
        own = [gate.category for gate in location.gates]
        return replace(location, gates=tuple(Gate.of(c, sizes[c], codes[:, c]) for c in own))

    def fit(self) -> FittedMetric:
        """Go on with the location, and move the tables by what is left of rows left out."""
        pooled = self._out_of_fold()
        scale = self.state.scale
        scale = replace(scale, spread=scale.spread.widened(self.training.sizes))
        sizes = scale.predict(pooled.features, self.inputs.take(pooled.row))
        standardised = pooled.residual / sizes
        tables = self._tables(standardised, pooled.table)
        return FittedMetric(
            metric=self.state.metric,
            unit=self.state.unit,
            location=self._learned(np.ones(len(self.rows), bool)),
            scale=scale,
            tables=centred(tables) if self.rules else tables,
            rounds=self.state.rounds + self._rounds,
            rows=len(self.rows),
            out_of_fold=pooled,
            standardised=standardised,
            kinds=(FoldKind("new rows", self.fold, _FOLDS),),
        )

    def _learned(self, kept: Flags) -> Location:
        """Return the location after the kept rows that are new."""
        if self.should_stop():
            raise Cancelled
        if self.family.base == "sgd":
            return self._descended(self.new & kept)
        found = self._introduced(kept)
        if self._rounds == 0:
            return found
        use = np.flatnonzero(self.learned_from & kept)
        own, settings = self.inputs.take(use), replace(self._settings, rounds=self._rounds)
        left = self.target[use] - found.predict(own)
        added = grow(found.features(own), left, settings, should_stop=self.should_stop)
        return replace(found, trees=continued(found.trees, added))

    def _descended(self, use: Flags) -> Location:
        """Return the location after as many steps for each row as a fit takes."""
        base, own = self.location.base, self.inputs.take(use)
        matrix = design_matrix(own, base.layout)
        weights = descend(matrix, self.target[use], seed=self.settings.seed, start=packed(base))
        found = obeying(unpacked(weights, 0.0, base.layout, own), self.rules)
        return replace(self.location, base=found)

    def _introduced(self, kept: Flags) -> Location:
        """Return the location with effects for the values that no old row has.

        They are what is left on average, shrunken as the base's effects are.
        """
        location = self.location
        for category in range(len(self.training.sizes)):
            use = np.flatnonzero(kept & self.unfamiliar[:, category])
            if not len(use):
                continue
            own = self.inputs.take(use)
            added = (
                location.interaction.predict(own) if location.interaction else np.zeros(len(use))
            )
            located, share = location.bend(own)(added)
            effects = list(location.base.effects)
            places, size = own.codes[:, category] + 1, len(effects[category])
            left = share * (self.target[use] - located)
            total = np.bincount(places, weights=left, minlength=size)
            rows = np.bincount(places, weights=share**2, minlength=size)
            effects[category] = effects[category] + total / (rows + _EFFECT_PENALTY)
            location = replace(location, base=replace(location.base, effects=tuple(effects)))
        return location

    @cached_property
    def learned_from(self) -> Flags:
        """The rows that trees are grown on, [n]: the new ones, and some old ones.

        Of an id or pair with few new rows old ones make up the rest, so that it is not forgotten.
        Of one with enough of them there are none: they would hold back what has changed.
        """
        use = self.new.copy()
        for members in {*((c,) for c in self.training.ids), self.training.pair}:
            codes = self.inputs.codes[:, list(members)]
            use |= _made_up(codes, self.new, self.settings.seed)
        return use

    @cached_property
    def _settings(self) -> TreeSettings:
        n = int(self.learned_from.sum())
        others = (self.location.interaction is not None) + len(self.training.sizes)
        others += len(self.location.gates)
        return TreeSettings(
            rounds=_MOST_ROUNDS,
            learner=self.family.learner or "lightgbm",
            leaves=int(np.clip(n // 50, 4, 31)),
            learning_rate=0.05,
            smallest_leaf=5,
            seed=self.settings.seed + self.state.rounds,
            threads=self.settings.threads,
            monotone=constraints(self.rules, self.inputs.standard.shape[1], others),
        )

    @cached_property
    def _rounds(self) -> int:
        """How many further rounds err least on new rows that were left out; 0 if none helps."""
        if self.family.learner is None:
            return 0
        curves = []
        for fold in range(_FOLDS):
            kept = self.fold != fold
            found = self._introduced(kept)
            use, out = np.flatnonzero(self.learned_from & kept), np.flatnonzero(~kept)
            own, held = self.inputs.take(use), self._without(out)
            left = self.target[out] - found.predict(held)
            curve = held_out_errors(
                found.features(own),
                self.target[use] - found.predict(own),
                self._settings,
                held_out=(found.features(held), left),
                patience=None,
                should_stop=self.should_stop,
            )
            # Trees that find nothing more to split end early, and stay as they are.
            full = np.pad(curve, (0, _MOST_ROUNDS - len(curve)), mode="edge")
            curves.append(np.insert(full, 0, np.abs(left).mean()))
        return int(np.mean(curves, axis=0).argmin())

    def _without(self, out: Integers) -> Inputs:
        """Return rows as they look when no other row of their fold is known."""
        kept = self.fold != self.fold[out[0]]
        inputs = self.inputs.take(out)
        return inputs.with_codes(known_codes(inputs.codes, self.inputs.codes[kept]))

    def _out_of_fold(self) -> OutOfFold:
        parts: list[OutOfFold] = []
        for fold in range(_FOLDS):
            out, kept = np.flatnonzero(self.fold == fold), self.fold != fold
            location, left = self._learned(kept), self._without(out)
            counts = count_groups(
                self.training.schema, self.training.sizes, self.inputs.codes[kept]
            )
            seen = counts.rows(left.codes)
            near = choose_anchors(self.inputs.standard[kept], self.settings.seed)
            features = scale_features(location.features(left), seen, near.distance(left.standard))
            said, table = location.predict(left), counts.table(seen)
            parts.append(
                OutOfFold(
                    row=out,
                    kind=np.zeros(len(out), dtype=np.int64),
                    location=said,
                    residual=self.target[out] - said,
                    features=features,
                    table=table,
                    calibrates=table,
                )
            )
        names = [field.name for field in fields(OutOfFold)]
        return OutOfFold(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def _tables(self, standardised: Floats, table: Integers) -> Floats:
        """Return the tables [T, Q], moved towards what the new rows say by how many they are."""
        counts = count_groups(self.training.schema, self.training.sizes, self.inputs.codes)
        fresh = quantile_tables(standardised, table, counts.known_tables)
        rows = np.bincount(table, minlength=len(fresh))[:, None]
        share = rows / (rows + _TABLE_ROWS)
        return np.asarray(share * fresh + (1 - share) * self.state.tables)


def _made_up(codes: Integers, new: Flags, seed: int) -> Flags:
    """Return which old rows, at random, make up the new ones to `_REMEMBERED` of each key, [n]."""
    keys = np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.random.default_rng(seed).permutation(len(keys))
    # New rows first within each key, and old ones at random after them.
    by_key = order[np.lexsort((~new[order], keys[order]))]
    starts = np.searchsorted(keys[by_key], np.arange(keys.max(initial=-1) + 1))
    place = np.empty(len(keys), dtype=np.int64)
    place[by_key] = np.arange(len(keys)) - starts[keys[by_key]]
    return np.asarray(~new & (place < _REMEMBERED))
