"""What was seen, as nodes: training rows behind a row, its calibration table, its support."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Floats, Integers
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
        first = counts[0]
        if first.names:
            self._rows = places.add(*_combinations(first, categories))
        if first.singles:
            ids = [first.members[g][0] for g in first.singles]
            shares = [np.log(known_share(first.counts[g]))[:, None] for g in first.singles]
            # Distances below 1 do not count, so 1 is what is taken off at least.
            shares[0] = shares[0] + 1.0
            self._shares = look_ups.add(1, dict(zip(ids, shares, strict=True)))

    def looked_up(self, graph: GraphBuilder, places: Sequence[str]) -> list[str]:
        """Add rows, their logs, digits of the case and spreads; a float [n, G · (3 · S + M)].

        Those of a group stand side by side. Nothing where there are no groups.
        """
        if not self._counts[0].names:
            return []
        digits = _digits(self._counts)
        tables = []
        for g, digit in enumerate(digits):
            rows = np.column_stack([own.counts[g] for own in self._counts])
            spreads = [spread.of_group(self._counts[0], g)[:, None] for spread in self._spreads]
            columns = [rows, np.log(rows + 1.0), digit, *spreads]
            tables.append(np.hstack(columns).astype(np.float32))
        found = graph.rows_of(np.concatenate(tables), places[self._rows])
        shape = graph.constant(np.array([-1, len(digits) * self._width], np.int64))
        return [graph.add("Reshape", found, shape)]

    def logs(self, which: int) -> Integers:
        """Return where the logs of one of the sets stand in what was looked up, [G]."""
        return self._columns(1) + which

    @property
    def _width(self) -> int:
        """How many numbers are looked up of each group."""
        return 3 * len(self._counts) + len(self._spreads)

    def _columns(self, kind: int) -> Integers:
        groups = np.arange(len(self._counts[0].names))
        return groups * self._width + kind * len(self._counts)

    def spread(self, graph: GraphBuilder, looked_up: Sequence[str], trees: str) -> str:
        """Add the spreads to the logs of scales, of M locations and then M scales; float."""
        metrics = len(self._spreads)
        if not looked_up or not any(one.any() for s in self._spreads for one in s.logs):
            return trees
        weights = np.zeros((len(self._counts[0].names), self._width, 2 * metrics), np.float32)
        weights[:, -metrics:, metrics:] = np.eye(metrics)
        flat = graph.constant(weights.reshape(-1, 2 * metrics))
        return graph.add("Add", trees, graph.add("MatMul", looked_up[0], flat))

    def behind(self, graph: GraphBuilder, looked_up: Sequence[str], like: str) -> str:
        """Add the rows behind an answer; float [n, G]. `like` is any double [n, k]."""
        if not looked_up:
            return graph.cast(graph.columns(like, np.zeros(0, np.int64)), np.float32)
        return graph.columns(looked_up[0], self._columns(0))

    def tables(
        self, graph: GraphBuilder, looked_up: Sequence[str], sets: Integers, like: str
    ) -> str:
        """Add which calibration table holds by some of the sets; int64 [n, len(sets)].

        `like` is any double [n, 1].
        """
        if not looked_up:
            first = graph.add("Mul", like, graph.constant(np.zeros((1, len(sets)))))
            return graph.cast(first, np.int64)
        weights = np.zeros((len(self._counts[0].names) * self._width, len(sets)))
        for place, which in enumerate(sets):
            weights[self._columns(2) + which, place] = 1.0
        case = graph.add("MatMul", looked_up[0], graph.constant(weights.astype(np.float32)))
        return graph.rows_of(_cases(self._counts[0]), graph.cast(case, np.int64))

    def support(self, graph: GraphBuilder, found: Sequence[str], distance: str, excess: str) -> str:
        """Add the support from distance and excess, [n, 1] each; double [n, 1]."""
        far = graph.add("Max", distance, graph.constant(np.ones(1)))
        far = graph.add("Add", far, excess)
        share = found[self._shares] if self._counts[0].singles else graph.constant(np.ones(1))
        return graph.add("Exp", graph.add("Sub", share, far))


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
    root = graph.add("Sqrt", graph.add("Max", nearest, graph.constant(np.array([NEAREST]))))
    return graph.add("Div", root, graph.constant(np.array([place.reach for place in places])))
