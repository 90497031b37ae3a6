"""What trees learn from: rows as a location without trees describes them, and what it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foretell_trainer.engine.inputs import Flags, Floats, Inputs, Integers
from foretell_trainer.engine.location import Location, Recipe
from foretell_trainer.engine.trees import Singles

FEWEST_TREE_ROWS = 20
"""With fewer rows the base stands alone: trees would learn the noise, or refuse to grow."""

_MASKED_SHARE = 0.3
"""The share of rows that the trees see a second time as if one of their ids were unknown."""

_LEAST_DRAWN = 0.1
_OUTLIER = 12.0
"""Trees learn from residuals as if none were beyond this many times the median one."""


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
