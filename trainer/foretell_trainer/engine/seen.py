"""How much of each id and pair the training has seen, and how near a row is to what it saw.

Counts choose the calibration table and feed the scale; distance and counts make the support.
An id may have been measured for one metric and not for another, so each metric goes by the rows
that it was measured in. Metrics of the same rows share what was seen of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell.schema import Schema
from foretell_trainer.engine.inputs import Floats, Integers

MAX_CELLS = 4_000_000
"""A group of more combinations than this is not counted: its table would outgrow the graph."""

ANCHORS = 128
NEAREST = 1e-6
"""Squared distances count from here: of smaller ones only the rounding differs."""
_HALF_SUPPORT_ROWS = 5.0
"""With so many rows of an id its part of the support is a half."""

WARM, NEW_PAIR, FEW = "warm", "new pair", "few-shot"
WARM_TABLE, NEW_PAIR_TABLE = 0, 1
"""The numbers of the tables for ids that are all known well, together or for the first time."""
NO_TABLE = -1

FEW_SHOT_ROWS = 5
"""An id with fewer rows than this has errors of its own kind, and a table for them."""


@dataclass(frozen=True)
class GroupCounts:
    """Training rows per value of each group, as tables that a graph can look up."""

    names: tuple[tuple[str, ...], ...]
    members: tuple[tuple[int, ...], ...]
    """Per group, the positions of its categories."""
    sizes: tuple[tuple[int, ...], ...]
    """Per group, one more than the number of known values of each member; 0 is unknown."""
    counts: tuple[NDArray[np.float64], ...]
    """Per group, rows by combination; combinations with an unknown member have 0."""

    def rows(self, codes: Integers) -> Floats:
        """Return the number of training rows behind each row's groups, [n, G]."""
        columns = [
            table[combined(codes, members, sizes)]
            for members, sizes, table in zip(self.members, self.sizes, self.counts, strict=True)
        ]
        return np.column_stack(columns) if columns else np.zeros((len(codes), 0))

    @property
    def singles(self) -> tuple[int, ...]:
        """The positions of the groups that are one category: ids."""
        return tuple(i for i, members in enumerate(self.members) if len(members) == 1)

    @property
    def pairs(self) -> tuple[int, ...]:
        """The positions of the groups of several categories."""
        return tuple(i for i, members in enumerate(self.members) if len(members) > 1)

    @property
    def table_names(self) -> tuple[str, ...]:
        """The names of the calibration tables, as the graph output `table` numbers them."""
        ids = [self.names[i][0] for i in self.singles]
        unseen = [f"unseen {name}" for name in ids]
        # What is not known of a model is not what is not known of a machine.
        few = [f"{FEW} {name}" for name in ids]
        return (WARM, NEW_PAIR, *unseen, "unseen several", *few, f"{FEW} several")

    @property
    def known_tables(self) -> tuple[bool, ...]:
        """Per table, whether it is for rows whose ids are all known well."""
        return tuple(name in (WARM, NEW_PAIR) for name in self.table_names)

    @property
    def draws(self) -> Integers:
        """On how many independent draws each table rests, [T]: ids, for what is new of them."""
        rows = max((int(table.sum()) for table in self.counts), default=1)
        ids = [int((self.counts[i] > 0).sum()) for i in self.singles]
        by_id = [*ids, min(ids, default=1)]
        return np.maximum(np.array([rows, rows, *by_id, *by_id], dtype=np.int64), 1)

    def table(self, rows: Floats) -> Integers:
        """Return which calibration table holds for each row, int64 [n]."""
        count = len(self.singles)
        new_pair = (rows[:, self.pairs] == 0).any(axis=1).astype(np.int64)
        unseen, few = (rows[:, self.singles] < least for least in (1, FEW_SHOT_ROWS))
        found = new_pair
        for short, first in ((few, 3 + count), (unseen, 2)):
            which = (short * np.arange(count)).sum(axis=1)
            which = np.where(short.sum(axis=1) == 1, which, count)
            found = np.where(short.any(axis=1), first + which, found)
        return np.asarray(found)


def count_groups(schema: Schema, sizes: Sequence[int], codes: Integers) -> GroupCounts:
    """Count the rows of each group; `sizes` is the number of known values of each category."""
    names, members, shapes, counts = [], [], [], []
    for group in schema.groups:
        positions = tuple(schema.category_names.index(name) for name in group)
        shape = tuple(sizes[p] + 1 for p in positions)
        cells = int(np.prod(shape, dtype=np.float64))
        if cells > MAX_CELLS:
            continue
        table = np.bincount(combined(codes, positions, shape), minlength=cells).astype(np.float64)
        table[_any_unknown(shape)] = 0
        names.append(group)
        members.append(positions)
        shapes.append(shape)
        counts.append(table)
    return GroupCounts(tuple(names), tuple(members), tuple(shapes), tuple(counts))


@dataclass(frozen=True)
class Neighbourhood:
    """A few anchors that stand for the training rows, to tell how near a row is to them."""

    anchors: Floats
    """[A, F], standardised."""
    reach: float
    """The distance that nearly all training rows are within of an anchor."""

    def distance(self, standard: Floats) -> Floats:
        """Return the distance to the nearest anchor as a multiple of the reach, [n]."""
        squares = (standard**2).sum(axis=1, keepdims=True) + (self.anchors**2).sum(axis=1)
        nearest = (squares - 2 * standard @ self.anchors.T).min(axis=1)
        return np.asarray(np.sqrt(np.maximum(nearest, NEAREST)) / self.reach)


def choose_anchors(standard: Floats, seed: int) -> Neighbourhood:
    """Choose anchors by farthest-point steps over a sample, so that rare regions have one too."""
    rng = np.random.default_rng(seed)
    sample = standard[rng.permutation(len(standard))[:4000]]
    chosen = [int(rng.integers(len(sample)))]
    gap = ((sample - sample[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(ANCHORS, len(sample)) and gap.max() > 1e-12:
        chosen.append(int(gap.argmax()))
        gap = np.minimum(gap, ((sample - sample[chosen[-1]]) ** 2).sum(axis=1))
    reach = float(np.sqrt(np.quantile(gap, 0.95)))
    return Neighbourhood(sample[chosen], max(reach, 0.1))


@dataclass(frozen=True)
class Seen:
    """What one set of training rows has shown."""

    counts: GroupCounts
    neighbourhood: Neighbourhood


def known_share(rows: Floats) -> Floats:
    """Return the part of the support that comes of an id with so many training rows."""
    return (rows + 0.25) / (rows + _HALF_SUPPORT_ROWS)


def support(counts: GroupCounts, rows: Floats, distance: Floats, excess: Floats) -> Floats:
    """Return the support of each row, in [0, 1].

    It is a product: for each id, n / (n + 5) with its n training rows (a little more than 0
    for an id never seen), a factor that falls with the distance beyond the reach, and one that
    falls with the standard deviations beyond the range of the numbers, and with what is left out.
    """
    singles = rows[:, counts.singles]
    known = known_share(singles).prod(axis=1)
    return np.asarray(known * np.exp(-np.maximum(distance - 1.0, 0.0) - excess))


def combined(codes: Integers, members: Sequence[int], sizes: Sequence[int]) -> Integers:
    """Return where each row's combination of some categories stands in a flat table, [n]."""
    index = codes[:, members[0]] + 1
    for member, size in zip(members[1:], sizes[1:], strict=True):
        index = index * size + codes[:, member] + 1
    return np.asarray(index)


def _any_unknown(shape: Sequence[int]) -> NDArray[np.bool_]:
    coordinates = np.unravel_index(np.arange(int(np.prod(shape))), shape)
    return np.asarray(np.any([axis == 0 for axis in coordinates], axis=0))
