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
from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats, Integers

MAX_CELLS = 4_000_000
"""A group of more combinations than this is not counted: its table would outgrow the graph."""

ANCHORS = 128
_HALF_SUPPORT_ROWS = 5.0

WARM, NEW_PAIR, FEW = "warm", "new pair", "few-shot"

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
            table[_combined(codes, members, sizes)]
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
        unseen = [f"unseen {self.names[i][0]}" for i in self.singles]
        return (WARM, NEW_PAIR, *unseen, "unseen several", FEW)

    @property
    def known_tables(self) -> tuple[bool, ...]:
        """Per table, whether it is for rows whose ids are all known well."""
        return tuple(name in (WARM, NEW_PAIR) for name in self.table_names)

    def table(self, rows: Floats) -> Integers:
        """Return which calibration table holds for each row, int64 [n]."""
        unseen = rows[:, self.singles] == 0
        missing = unseen.sum(axis=1)
        new_pair = (rows[:, self.pairs] == 0).any(axis=1).astype(np.int64)
        which = (unseen * np.arange(len(self.singles))).sum(axis=1) + 2
        several = 2 + len(self.singles)
        few = (rows[:, self.singles] < FEW_SHOT_ROWS).any(axis=1)
        known = np.where(few, several + 1, new_pair)
        return np.where(missing == 0, known, np.where(missing == 1, which, several))


def count_groups(schema: Schema, sizes: Sequence[int], codes: Integers) -> GroupCounts:
    """Count the rows of each group; `sizes` is the number of known values of each category."""
    names, members, shapes, counts = [], [], [], []
    for group in schema.groups:
        positions = tuple(schema.category_names.index(name) for name in group)
        shape = tuple(sizes[p] + 1 for p in positions)
        cells = int(np.prod(shape, dtype=np.float64))
        if cells > MAX_CELLS:
            continue
        table = np.bincount(_combined(codes, positions, shape), minlength=cells).astype(np.float64)
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
        return np.asarray(np.sqrt(np.maximum(nearest, 0.0)) / self.reach)


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


def rows_to_onnx(
    counts: Sequence[GroupCounts], graph: GraphBuilder, codes: str, category_count: int, like: str
) -> str:
    """Add the look-up of `rows` in each of S counts; float [n, G · S], all counts of a group
    side by side. `codes` are those of all categories, [n, C]; `like` is any double [n].
    """
    first = counts[0]
    if not first.names:
        nothing = graph.columns(graph.as_column(like), np.zeros(0, np.int64))
        return graph.cast(nothing, np.float32)
    # MUST number combinations as _combined does; all groups share one table and one look-up.
    steps = np.zeros((category_count, len(first.names)), np.int64)
    starts = np.zeros(len(first.names), np.int64)
    start = 0
    for g, (members, sizes) in enumerate(zip(first.members, first.sizes, strict=True)):
        for position, member in enumerate(members):
            steps[member, g] += int(np.prod(sizes[position + 1 :]))
        starts[g] = start + steps[list(set(members)), g].sum()
        start += len(first.counts[g])
    places = graph.add("MatMul", codes, graph.constant(steps))
    places = graph.add("Add", places, graph.constant(starts))
    table = np.concatenate(
        [np.column_stack([own.counts[g] for own in counts]) for g in range(len(first.names))]
    )
    found = graph.rows_of(table.astype(np.float32), places)
    width = len(first.names) * len(counts)
    return graph.add("Reshape", found, graph.constant(np.array([0, width], np.int64)))


def columns_of(counts: Sequence[GroupCounts], which: int) -> Integers:
    """Return where the groups of one of the counts stand in what `rows_to_onnx` gives, [G]."""
    return np.arange(len(counts[0].names)) * len(counts) + which


def table_to_onnx(counts: Sequence[GroupCounts], graph: GraphBuilder, rows: str) -> str:
    """Add the choice of `table` by each of S counts; int64 [n, S].

    What it depends on are four numbers, of ids and pairs without rows and of ids with few. They
    are the digits of a place in a table of all cases, which a row then looks up.
    """
    first = counts[0]
    groups, ids = len(first.members), list(first.singles)
    if groups == 0:
        missing = np.zeros((0, len(counts)), np.float32)
        return graph.cast(graph.add("MatMul", rows, graph.constant(missing)), np.int64)
    none = graph.add("Equal", rows, graph.constant(np.zeros(1, np.float32)))
    below = graph.add("Less", rows, graph.constant(np.array([FEW_SHOT_ROWS], np.float32)))
    facts = graph.cast(graph.side_by_side(none, below), np.float32)
    cases, (by_missing, by_which, by_few, by_pair) = _cases(first)
    steps = np.zeros((2, groups, 1), np.float32)
    steps[0, ids, 0] = by_missing + by_which * np.arange(len(ids))
    steps[0, list(first.pairs), 0] = by_pair
    steps[1, ids, 0] = by_few
    apart = np.eye(len(counts), dtype=np.float32)
    weights = np.concatenate([np.kron(half, apart) for half in steps])
    place = graph.cast(graph.add("MatMul", facts, graph.constant(weights)), np.int64)
    return graph.rows_of(cases, place)


def _cases(counts: GroupCounts) -> tuple[Integers, tuple[int, int, int, int]]:
    """Return the table of every case, and how far apart the cases of each digit are.

    The digits are the ids without rows, the sum of their places, the ids with few, and the
    pairs without. MUST say the same as `GroupCounts.table`; every export proves it.
    """
    ids = len(counts.singles)
    shape = (ids + 1, ids * (ids - 1) // 2 + 1, ids + 1, len(counts.pairs) + 1)
    missing, which, few, new_pairs = np.indices(shape)
    several = 2 + ids
    known = np.where(few > 0, several + 1, np.minimum(new_pairs, 1))
    cases = np.where(missing == 0, known, np.where(missing == 1, which + 2, several))
    one, two, three, four = np.cumprod([1, *shape[:0:-1]])[::-1].tolist()
    return cases.reshape(-1).astype(np.int64), (one, two, three, four)


def distance_to_onnx(places: Sequence[Neighbourhood], graph: GraphBuilder, standard: str) -> str:
    """Add `distance` from each of S neighbourhoods to a graph; double [n, S]."""
    most = max(len(place.anchors) for place in places)
    # Anchors that come twice fill up the neighbourhoods that have fewer, and change nothing.
    anchors = np.concatenate(
        [place.anchors[np.arange(most) % len(place.anchors)] for place in places]
    )
    # The nearest anchor does not depend on the row's own length, which is added in the end.
    lengths = graph.constant((anchors**2).sum(axis=1))
    gap = graph.add("Gemm", standard, graph.constant(-2 * anchors.T), lengths)
    single = len(places) == 1
    if not single:
        shape = graph.constant(np.array([0, len(places), most], np.int64))
        gap = graph.add("Reshape", gap, shape)
    last = graph.constant(np.array([1 if single else 2], np.int64))
    nearest = graph.add("ReduceMin", gap, last, keepdims=int(single))
    own = graph.add("ReduceSumSquare", standard, graph.constant(np.array([1], np.int64)))
    nearest = graph.add("Add", nearest, own)
    root = graph.add("Sqrt", graph.add("Max", nearest, graph.constant(np.zeros(1))))
    return graph.add("Div", root, graph.constant(np.array([place.reach for place in places])))


def support(counts: GroupCounts, rows: Floats, distance: Floats, excess: Floats) -> Floats:
    """Return the support of each row, in [0, 1].

    It is a product: for each id, n / (n + 5) with its n training rows (a little more than 0
    for an id never seen), a factor that falls with the distance beyond the reach, and one that
    falls with the standard deviations beyond the range of the numbers.
    """
    singles = rows[:, counts.singles]
    known = ((singles + 0.25) / (singles + _HALF_SUPPORT_ROWS)).prod(axis=1)
    return np.asarray(known * np.exp(-np.maximum(distance - 1.0, 0.0) - excess))


def support_to_onnx(
    counts: GroupCounts, graph: GraphBuilder, rows: str, distance: str, excess: str
) -> str:
    """Add `support` to a graph from double [n, G], [n] and [n]; double [n]. MUST match it."""
    one, zero = graph.constant(np.ones(1)), graph.constant(np.zeros(1))
    far = graph.add("Max", graph.add("Sub", distance, one), zero)
    near = graph.add("Exp", graph.add("Neg", graph.add("Add", far, excess)))
    if not counts.singles:
        return near
    singles = graph.columns(rows, np.array(counts.singles))
    upper = graph.add("Add", singles, graph.constant(np.array([0.25])))
    lower = graph.add("Add", singles, graph.constant(np.array([_HALF_SUPPORT_ROWS])))
    shares = graph.add("Div", upper, lower)
    axes = graph.constant(np.array([1], np.int64))
    return graph.add("Mul", graph.add("ReduceProd", shares, axes, keepdims=0), near)


def _combined(codes: Integers, members: Sequence[int], sizes: Sequence[int]) -> Integers:
    index = codes[:, members[0]] + 1
    for member, size in zip(members[1:], sizes[1:], strict=True):
        index = index * size + codes[:, member] + 1
    return np.asarray(index)


def _any_unknown(shape: Sequence[int]) -> NDArray[np.bool_]:
    coordinates = np.unravel_index(np.arange(int(np.prod(shape))), shape)
    return np.asarray(np.any([axis == 0 for axis in coordinates], axis=0))
