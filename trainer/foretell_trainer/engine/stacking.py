"""Stacking: the trees of a location learn from what models without a row leave of it.

Interactions know the rows that they were fitted to too well to tell the trees what they leave, so
the trees learn from rows that were left out (stacking: Wolpert, Neural Networks 1992): from those
of rows and pairs, and, apart, from those of ids that have a gate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from foretell_trainer.engine.continued import NO_TREES
from foretell_trainer.engine.folds import FoldKind
from foretell_trainer.engine.gated import Gated
from foretell_trainer.engine.inputs import Flags, Floats, Inputs, Integers
from foretell_trainer.engine.learners import grow
from foretell_trainer.engine.location import FEW_ROWS, Location
from foretell_trainer.engine.tree_rows import FEWEST_TREE_ROWS, TreeRows, alike_in_size, joined
from foretell_trainer.engine.trees import Singles, Trees, TreeSettings

_MOST_ROWS = 60_000


@dataclass(frozen=True)
class LeftOut:
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


class Stacking:
    """The trees of one metric with interactions, of all its rows or without those of a fold."""

    def __init__(
        self,
        bare: Location,
        inputs: Inputs,
        kinds: Sequence[FoldKind],
        left_out: Sequence[LeftOut],
        seed: int,
        should_stop: Callable[[], bool],
    ) -> None:
        """Begin with the location without trees, fitted to all n rows, and all that was left out.

        Both know values by the same marks.
        """
        self._bare = bare
        self._inputs = inputs
        self._kinds = kinds
        self._left_out = left_out
        self._seed = seed
        self._should_stop = should_stop
        self._ensembles: dict[bytes, Callable[[int], Trees]] = {}
        self._help: tuple[bool, ...] | None = None
        # Gates are the last features, which ensembles behind them do not see.
        self._first = left_out[0].rows.features.shape[1] - len(bare.gates)

    @property
    def known(self) -> TreeRows:
        """The rows of the trees for known ids, as these see them."""
        return self._rows[0].seeing(self._first)

    def grow(self, bare: Location, kept: Flags, settings: TreeSettings) -> Trees | None:
        """Grow the trees of a location that was fitted to the kept rows, [n]; None of too few."""
        if kept[self._rows[0].row].sum() < FEWEST_TREE_ROWS:
            return None
        every, gates = self._every(bare, kept, settings), len(bare.gates)

        def helpful(which: int) -> Trees:
            return every(which) if which == 0 or self._helped(settings)[which - 1] else NO_TREES

        return Gated(self._first, gates, helpful) if gates else every(0)

    def _every(self, bare: Location, kept: Flags, settings: TreeSettings) -> Callable[[int], Trees]:
        """Return what grows the ensembles without rows that are not kept: that of known ids (0),
        and that of each gate (from 1). Each is grown once."""
        key = kept.tobytes()
        if key not in self._ensembles:
            told = self._told_by_others(bare, kept)
            parts = [rows.of(kept) for rows in self._rows]

            @cache
            def ensemble(which: int) -> Trees:
                rows = parts[which].seeing(self._first)
                left = rows.residual + told[rows.row]
                return grow(rows.features, left, settings, should_stop=self._should_stop)

            self._ensembles[key] = ensemble
        return self._ensembles[key]

    def _helped(self, settings: TreeSettings) -> tuple[bool, ...]:
        """Return for each gate whether its trees help, with the settings of the first call.

        All rows of a value are off by what nobody could know of it, and trees take that for
        something they know where values are few.
        """
        if self._help is None:
            gates = enumerate(self._bare.gates, 1)
            self._help = tuple(self._helps(n, gate.category, settings) for n, gate in gates)
        return self._help

    def _helps(self, which: int, category: int, settings: TreeSettings) -> bool:
        """Return whether a gate's trees bring values of its id nearer that were left out."""
        before: list[float] = []
        after: list[float] = []
        for left in self._left_out:
            kind = self._kinds[left.kind]
            # Values left out together are off together: none of them is judged by another.
            if kind.member == category and not kind.few:
                trees = self._every(left.bare, ~left.out, settings)(which)
                found = trees.predict(left.rows.features[:, : self._first])
                before.append(float(np.abs(left.rows.residual).mean()))
                after.append(float(np.abs(left.rows.residual - found).mean()))
        return sum(after) < sum(before)

    @cached_property
    def _rows(self) -> tuple[TreeRows, ...]:
        """The rows for known ids; then, for each gate, these and those of rows without its id."""
        # Of few ids, the residual of one that was left out says nothing of the next new one.
        gates = [(-1, gate.category) for gate in self._bare.gates]
        return tuple(self._rows_of(members) for members in [(-1,), *gates])

    def _rows_of(self, members: Sequence[int]) -> TreeRows:
        """Return what is left of rows of the folds that leave out these, or pairs, or rows."""
        parts: dict[int, list[TreeRows]] = {}
        for left in self._left_out:
            kind = self._kinds[left.kind]
            if not kind.few and kind.member in members:
                parts.setdefault(left.kind, []).append(left.rows)
        of_kinds = [joined(found) for found in parts.values()]
        rng = np.random.default_rng(self._seed)
        if len(self._inputs) >= FEW_ROWS:
            cold = [self._kinds[kind].member >= 0 for kind in parts]
            of_kinds = alike_in_size(of_kinds, cold, rng)
        rows = joined(of_kinds)
        if len(rows.row) <= _MOST_ROWS:
            return rows
        return rows.take(np.sort(rng.permutation(len(rows.row))[:_MOST_ROWS]))

    def _told_by_others(self, bare: Location, kept: Flags) -> Floats:
        """Return what rows that are not kept have changed in what is said of each row, [n].

        The models that left out a kept row have seen those that are judged now, and what they say
        would give these away. Without fitting all folds within all others, it is taken off to
        first order (the infinitesimal jackknife: Jaeckel, Bell Laboratories 1972).
        """
        if kept.all():
            return np.zeros(len(kept))
        return self._said - bare.untreed(self._inputs)

    @cached_property
    def _said(self) -> Floats:
        return self._bare.untreed(self._inputs)
