"""Widths: the scale of one metric, and its calibration, from what folds say of rows left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foretell_trainer.engine.calibration import quantile_tables
from foretell_trainer.engine.folds import FoldKind, grouped_folds, random_folds
from foretell_trainer.engine.inputs import Flags, Floats, Inputs, Integers
from foretell_trainer.engine.scale import Scale, fit_scale
from foretell_trainer.engine.seen import NEW_PAIR_TABLE, GroupCounts
from foretell_trainer.engine.spread import fit_spread
from foretell_trainer.engine.training_set import FEW_LEVELS
from foretell_trainer.engine.trees import Singles

_MOST_ROWS = 25_000
_FOLDS = 4
_DRAWS_OF_PAIR = 2


@dataclass(frozen=True)
class OutOfFold:
    """Every row's residual in every kind of fold that left it out; r = kinds · rows at most."""

    row: Integers
    kind: Integers
    location: Floats
    residual: Floats
    features: Singles
    """What the scale sees."""
    table: Integers
    """That a forecast of the row would go by."""
    calibrates: Integers
    """The table that the row's residual goes into; `NO_TABLE` for none."""


@dataclass(frozen=True)
class Widths:
    """How wide the errors are, and what is kept of how that was found."""

    scale: Scale
    tables: Floats
    """[T, Q]"""
    standardised: Floats
    """[r]: residuals left out, over scales that have not seen them either."""


@dataclass(frozen=True)
class WidthFit:
    """The fit of scale and quantile tables of one metric; no row is judged by what it taught."""

    pooled: OutOfFold
    inputs: Inputs
    """Of the n rows that the metric was measured in."""
    kinds: Sequence[FoldKind]
    gains: Sequence[float]
    """Per kind of fold, the residuals of a model that lacks nothing, as a share of those here."""
    counts: GroupCounts
    pair: Sequence[int]
    """The categories that together name a pair; empty where there is none."""
    seed: int
    should_stop: Callable[[], bool]

    def fit(self) -> Widths:
        """Fit the scale to all rows, and what calibrates it to each without the others."""
        pooled, apart = self.pooled, self._apart()
        scale = self._scale(np.ones(len(pooled.row), bool))
        standardised = self._standardised(apart) * np.array(self.gains)[pooled.kind]
        spread, own = fit_spread(
            self.counts,
            self.inputs.codes[pooled.row],
            pooled.calibrates,
            apart[pooled.row],
            standardised,
        )
        standardised = standardised * np.exp(-own)
        known = self.counts.known_tables
        tables = quantile_tables(standardised, pooled.calibrates, known, self._draws())
        return Widths(replace(scale, spread=spread), tables, standardised)

    def _draws(self) -> dict[int, int]:
        """Return how many independent draws the rows of new pairs are, from how many pairs.

        Half of what goes wrong is a pair's own: measured on language models' speeds, where pairs
        alone would be too few draws and rows too many.
        """
        new = self.pooled.row[self.pooled.calibrates == NEW_PAIR_TABLE]
        pairs = np.unique(self.inputs.codes[new][:, list(self.pair)], axis=0)
        return {NEW_PAIR_TABLE: _DRAWS_OF_PAIR * len(pairs)} if len(pairs) else {}

    def _scale(self, use: Flags) -> Scale:
        chosen = np.flatnonzero(use)
        if len(chosen) > _MOST_ROWS:
            rng = np.random.default_rng(self.seed)
            chosen = np.sort(rng.choice(chosen, _MOST_ROWS, replace=False))
        return fit_scale(
            self.pooled.features[chosen],
            self.pooled.residual[chosen],
            repeats=len(self.kinds),
            seed=self.seed,
            should_stop=self.should_stop,
        )

    def _standardised(self, apart: Integers) -> Floats:
        """Return residuals over scales that were fitted without what was left out, [r]."""
        pooled = self.pooled
        result = np.zeros(len(pooled.row))
        known: dict[tuple[int, int], Scale] = {}
        for number, kind in enumerate(self.kinds):
            # An id's rows go astray together: its scale must not have seen any of them.
            by_id = kind.member >= 0
            folds = kind.whole if kind.whole is not None else kind.fold if by_id else apart
            of_kind = pooled.kind == number
            for fold in np.unique(folds[pooled.row[of_kind]]).tolist():
                key = (kind.member if by_id else -1, fold)
                if key not in known:
                    known[key] = self._scale(folds[pooled.row] != fold)
                mine = of_kind & (folds[pooled.row] == fold)
                rows = self.inputs.take(pooled.row[mine])
                result[mine] = pooled.residual[mine] / known[key].predict(
                    pooled.features[mine], rows
                )
        return result

    def _apart(self) -> Integers:
        """Return which rows the scale leaves out together where no id is left out, [n]."""
        rng = np.random.default_rng(self.seed)
        pairs = self.inputs.codes[:, list(self.pair)]
        keys = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
        if keys.max(initial=0) < _FOLDS * FEW_LEVELS:
            return random_folds(len(self.inputs), _FOLDS, rng)
        return grouped_folds(keys, _FOLDS, rng)
