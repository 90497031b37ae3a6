"""What was seen, as nodes: training rows behind a row, its calibration table, its support."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats, Integers
from foretell_trainer.engine.nodes.forms import Forms, distances
from foretell_trainer.engine.nodes.look_ups import LookUps, Places
from foretell_trainer.engine.seen import (
    FEW_SHOT_ROWS,
    NEAREST,
    GroupCounts,
    Neighbourhood,
    known_share,
)
from foretell_trainer.engine.spread import Spread


class Counts:
    """Rows by group in each of S sets of training rows: of all metrics, then of single ones.

    Beside them stands the spread of each of M metrics.
    """

    def __init__(
        self,
        counts: Sequence[GroupCounts],
        spreads: Sequence[Spread],
        categories: int,
        look_ups: LookUps,
        places: Places,
    ) -> None:
        self._counts = counts
        self._spreads = spreads
        self.shares: int | None = None
        """The position, in what is looked up, of the logs of what ids make of the support."""
        first = counts[0]
        if first.names:
            self._rows = places.add(*_combinations(first, categories))
        if first.singles:
            ids = [first.members[g][0] for g in first.singles]
            shares = [np.log(known_share(first.counts[g]))[:, None] for g in first.singles]
            self.shares = look_ups.add(1, dict(zip(ids, shares, strict=True)))

    def looked_up(self, graph: GraphBuilder, places: Sequence[str]) -> list[str]:
        """Add rows, their logs, digits of the case, whether there are any, and spreads.

        They are float [n, G · (4 · S + M)], those of a group side by side; nothing where there
        are no groups.
        """
        if not self._counts[0].names:
            return []
        digits = _digits(self._counts)
        tables = []
        for g, digit in enumerate(digits):
            rows = np.column_stack([own.counts[g] for own in self._counts])
            spreads = [spread.of_group(self._counts[0], g)[:, None] for spread in self._spreads]
            columns = [rows, np.log(rows + 1.0), digit, rows > 0, *spreads]
            tables.append(np.hstack(columns).astype(np.float32))
        found = graph.rows_of(np.concatenate(tables), places[self._rows])
        return [graph.add("Reshape", found, graph.constant(np.array([-1, self.width], np.int64)))]

    @property
    def width(self) -> int:
        """How many numbers are looked up."""
        return len(self._counts[0].names) * self._each

    @property
    def _each(self) -> int:
        """How many numbers are looked up of each group."""
        return 4 * len(self._counts) + len(self._spreads)

    def _columns(self, kind: int) -> Integers:
        groups = np.arange(len(self._counts[0].names))
        return groups * self._each + kind * len(self._counts)

    def logs(self, which: int) -> Integers:
        """Return where the logs of one of the sets stand in what was looked up, [G]."""
        return self._columns(1) + which

    def known(self, which: int, category: int) -> int:
        """Return where it stands whether an id has rows in one of the sets."""
        return int(self._columns(3)[self._counts[0].members.index((category,))]) + which

    def spreads(self) -> Floats:
        """Return the weights that make the logs of spreads of what was looked up, [width, M]."""
        metrics = len(self._spreads)
        weights = np.zeros((len(self._counts[0].names), self._each, metrics))
        weights[:, -metrics:] = np.eye(metrics)
        return weights.reshape(-1, metrics)

    def behind(self) -> Floats:
        """Return the weights that make the rows behind an answer of it, [width, G]."""
        return np.eye(self.width)[:, self._columns(0)]

    def digits(self, sets: Integers) -> Floats:
        """Return the weights that make a case by each of some of the sets, [width, k]."""
        weights = np.zeros((self.width, len(sets)))
        for place, which in enumerate(sets):
            weights[self._columns(2) + which, place] = 1.0
        return weights

    def tables(self, graph: GraphBuilder, cases: str) -> str:
        """Add which calibration table holds in each case; float to int64 [n, k]."""
        return graph.rows_of(_cases(self._counts[0]), graph.cast(cases, np.int64))


def _combinations(counts: GroupCounts, categories: int) -> tuple[Integers, Integers]:
    """Return where the combinations of a row stand in the tables of all groups, one below another.

    MUST number combinations as `GroupCounts` does.
    """
    steps = np.zeros((categories, len(counts.names)), np.int64)
    starts = np.zeros(len(counts.names), np.int64)
    start = 0
    for g, (members, sizes) in enumerate(zip(counts.members, counts.sizes, strict=True)):
        for position, member in enumerate(members):
            steps[member, g] += int(np.prod(sizes[position + 1 :]))
        starts[g] = start + steps[list(set(members)), g].sum()
        start += len(counts.counts[g])
    return steps, starts


def _cases(counts: GroupCounts) -> Integers:
    """Return the table of every case.

    A case is a number whose digits, from the last, are the pairs without rows, the sum of the
    places of the ids with few, their number, and the same two of the ids without rows: what
    `GroupCounts.table` goes by.
    """
    ids = len(counts.singles)
    missing, which, few, which_few, new_pairs = np.indices(_digit_sizes(counts))
    known = np.where(few == 0, np.minimum(new_pairs, 1), 3 + 2 * ids)
    known = np.where(few == 1, 3 + ids + which_few, known)
    cases = np.where(missing == 0, known, np.where(missing == 1, which + 2, 2 + ids))
    return cases.reshape(-1).astype(np.int64)


def _digit_sizes(counts: GroupCounts) -> tuple[int, ...]:
    ids = len(counts.singles)
    digits = (ids + 1, ids * (ids - 1) // 2 + 1)
    return (*digits, *digits, len(counts.pairs) + 1)


def _digits(counts: Sequence[GroupCounts]) -> list[Floats]:
    """Return what each group adds to the case, [cells, S] each."""
    first = counts[0]
    steps = np.cumprod(_digit_sizes(first)[:0:-1])[::-1].tolist()
    by_missing, by_which, by_few, by_which_few = steps
    found = []
    for g in range(len(first.names)):
        rows = np.column_stack([own.counts[g] for own in counts])
        if g in first.singles:
            place = first.singles.index(g)
            unseen, few = by_missing + place * by_which, by_few + place * by_which_few
            found.append((rows == 0) * unseen + (rows < FEW_SHOT_ROWS) * float(few))
        else:
            found.append((rows == 0) * 1.0)
    return found


class Distances:
    """How far a row is from each of S neighbourhoods, in their reaches."""

    def __init__(self, places: Sequence[Neighbourhood], forms: Forms) -> None:
        self.count = len(places)
        self._most = max(len(place.anchors) for place in places)
        self._reaches = np.array([place.reach for place in places])
        # Anchors that come twice fill up the neighbourhoods that have fewer, and change nothing.
        anchors = [place.anchors[np.arange(self._most) % len(place.anchors)] for place in places]
        weights = np.repeat(self._reaches**-2.0, self._most)[:, None]
        self._squares = forms.add(*distances(np.concatenate(anchors), weights))

    def to_onnx(self, graph: GraphBuilder, forms: Sequence[str]) -> str:
        """Add `Neighbourhood.distance` of each; double [n, S]."""
        squares, axis = forms[self._squares], 1
        if self.count > 1:
            shape = graph.constant(np.array([0, self.count, self._most], np.int64))
            squares, axis = graph.add("Reshape", squares, shape), 2
        last = graph.constant(np.array([axis], np.int64))
        nearest = graph.add("ReduceMin", squares, last, keepdims=int(self.count == 1))
        least = graph.constant(NEAREST / self._reaches**2)
        return graph.add("Sqrt", graph.add("Max", nearest, least))

    def first(self, graph: GraphBuilder, distance: str) -> str:
        """Return the distance from the first neighbourhood; double [n, 1]."""
        return distance if self.count == 1 else graph.columns(distance, np.zeros(1, np.int64))
