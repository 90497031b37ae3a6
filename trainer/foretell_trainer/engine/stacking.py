"""Stacking: the trees of a location learn from what models without a row leave of it.

Interactions know the rows that they were fitted to too well to tell the trees what they leave, so
the trees learn from rows that were left out (stacking: Wolpert, Neural Networks 1992): from those
of rows and pairs, and, apart, from those of ids that have a gate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from foretell_trainer.engine.continued import NO_TREES
from foretell_trainer.engine.folds import FoldKind
from foretell_trainer.engine.gated import Gated
from foretell_trainer.engine.inputs import Flags, Floats, Inputs, Integers
from foretell_trainer.engine.learners import grow
from foretell_trainer.engine.location import FEW_ROWS, Location
from foretell_trainer.engine.tree_rows import FEWEST_TREE_ROWS, TreeRows, alike_in_size, joined
from foretell_trainer.engine.tree_settings import trees_help_without
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
        self._grown: dict[bytes, Trees | None] = {}
        self._help: tuple[bool, ...] | None = None
        # Gates are the last features, which ensembles behind them do not see.
        self._first = left_out[0].rows.features.shape[1] - len(bare.gates)

    @property
    def known(self) -> TreeRows:
        """The rows of the trees for known ids, as these see them."""
        return self._rows[0].seeing(self._first)

    def grow(self, bare: Location, kept: Flags, settings: TreeSettings) -> Trees | None:
        """Grow the trees of a location that was fitted to the kept rows, [n]; None of too few."""
        key = kept.tobytes()
        if key not in self._grown:
            self._grown[key] = self._gated(bare, kept, settings)
        return self._grown[key]

    def _gated(self, bare: Location, kept: Flags, settings: TreeSettings) -> Trees | None:
        told = self._told_by_others(bare, kept)
        parts = [rows.of(kept) for rows in self._rows]
        parts = [replace(rows, residual=rows.residual + told[rows.row]) for rows in parts]
        if len(parts[0].row) < FEWEST_TREE_ROWS:
            return None

        def ensemble(which: int) -> Trees:
            if which > 0 and not self._helped(settings)[which - 1]:
                return NO_TREES
            rows = parts[which].seeing(self._first)
            return grow(rows.features, rows.residual, settings, should_stop=self._should_stop)

        gates = len(bare.gates)
        return Gated(self._first, gates, ensemble) if gates else ensemble(0)

    def _helped(self, settings: TreeSettings) -> tuple[bool, ...]:
        """Return for each gate whether its own trees help, with the settings of the first call.

        All rows of a value are off by what nobody could know of it, and trees take that for
        something they know where values are few.
        """
        if self._help is None:
            # Values left out together are off together: none of them is judged by another.
            together = {k.member: k.fold for k in self._kinds if k.member >= 0 and not k.few}
            self._help = tuple(
                gate.category in together
                and trees_help_without(
                    rows.seeing(self._first), settings, together[gate.category], self._should_stop
                )
                for gate, rows in zip(self._bare.gates, self._rows[1:], strict=True)
            )
        return self._help

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
