"""What was seen, as nodes: training rows behind a row, its calibration table, its support."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foretell_trainer.engine.graph import GraphBuilder
from foretell_trainer.engine.inputs import Integers
from foretell_trainer.engine.nodes.look_ups import LookUps, Places
from foretell_trainer.engine.scale import DISTANCE_STEPS, FARTHEST
from foretell_trainer.engine.seen import (
    FEW_SHOT_ROWS,
    GroupCounts,
    Neighbourhood,
    known_share,
)


class Counts:
    """Rows by group in each of S sets of training rows: of all metrics, then of single ones."""

    def __init__(
        self, counts: Sequence[GroupCounts], categories: int, look_ups: LookUps, places: Places
    ) -> None:
        self._counts = counts
        first = counts[0]
        if first.names:
            self._rows = places.add(*_combinations(first, categories))
        if first.singles:
            ids = [first.members[g][0] for g in first.singles]
            shares = [np.log(known_share(first.counts[g]))[:, None] for g in first.singles]
            self._shares = look_ups.add(1, dict(zip(ids, shares, strict=True)))
            digits = [digit.astype(np.float64) for digit in _digits(counts)]
            self._digits = look_ups.add(len(counts), dict(zip(ids, digits, strict=True)))

    def rows(self, graph: GraphBuilder, places: Sequence[str]) -> str | None:
        """Add rows and their logs; float [n, G · 2 · S], those of a group side by side."""
        first = self._counts[0]
        if not first.names:
            return None
        tables = []
        for g in range(len(first.names)):
            rows = np.column_stack([own.counts[g] for own in self._counts])
            tables.append(np.hstack([rows, np.log(rows + 1.0)]).astype(np.float32))
        found = graph.rows_of(np.concatenate(tables), places[self._rows])
        shape = graph.constant(np.array([-1, len(first.names) * 2 * len(self._counts)], np.int64))
        return graph.add("Reshape", found, shape)

    def logs(self, which: int) -> Integers:
        """Return where the logs of one of the sets stand in what `rows` gives, [G]."""
        count = len(self._counts)
        return np.arange(len(self._counts[0].names)) * 2 * count + count + which

    def behind(self, graph: GraphBuilder, rows: str | None, like: str) -> str:
        """Add the rows behind an answer; float [n, G]. `like` is any double [n, k]."""
        groups = len(self._counts[0].names)
        if rows is None:
            return graph.cast(graph.columns(like, np.zeros(0, np.int64)), np.float32)
        return graph.columns(rows, np.arange(groups) * 2 * len(self._counts))

    def tables(self, graph: GraphBuilder, rows: str | None, found: Sequence[str]) -> str | None:
        """Add which calibration table holds by each of the sets; int64 [n, S]; None: the first."""
        first, sets = self._counts[0], len(self._counts)
        if rows is None:
            return None
        case = graph.cast(found[self._digits], np.float32) if first.singles else None
        if first.pairs:
            # Each pair that was seen takes one from the number of new ones.
            weights = np.zeros((len(first.names), 2, sets, sets), np.float32)
            weights[first.pairs, 0] = -np.eye(sets)
            flat = graph.constant(weights.reshape(-1, sets))
            seen = graph.add("MatMul", graph.add("Sign", rows), flat)
            start = graph.constant(np.array([len(first.pairs)], np.float32))
            case = graph.add("Add", seen, start if case is None else case)
        if case is None:
            return None
        return graph.rows_of(_cases(first), graph.cast(case, np.int64))

    def support(self, graph: GraphBuilder, found: Sequence[str], distance: str, excess: str) -> str:
        """Add the support from distance and excess, [n, 1] each; double [n, 1]."""
        one, zero = graph.constant(np.ones(1)), graph.constant(np.zeros(1))
        far = graph.add("Add", graph.add("Max", graph.add("Sub", distance, one), zero), excess)
        if not self._counts[0].singles:
            return graph.add("Exp", graph.add("Neg", far))
        return graph.add("Exp", graph.add("Sub", found[self._shares], far))


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

    A case is a number whose digits, from the last, are the pairs without rows, the ids with few,
    the sum of the places of the ids without rows, and their number: what
    `GroupCounts.table` goes by.
    """
    ids = len(counts.singles)
    missing, which, few, new_pairs = np.indices(_digit_sizes(counts))
    several = 2 + ids
    known = np.where(few > 0, several + 1, np.minimum(new_pairs, 1))
    cases = np.where(missing == 0, known, np.where(missing == 1, which + 2, several))
    return cases.reshape(-1).astype(np.int64)


def _digit_sizes(counts: GroupCounts) -> tuple[int, int, int, int]:
    ids = len(counts.singles)
    return (ids + 1, ids * (ids - 1) // 2 + 1, ids + 1, len(counts.pairs) + 1)


def _digits(counts: Sequence[GroupCounts]) -> list[Integers]:
    """Return what each id adds to the case, [V + 1, S]; the first also that all pairs are new."""
    first = counts[0]
    _, whichs, fews, pairs = _digit_sizes(first)
    by_few, by_which, by_missing = pairs, pairs * fews, pairs * fews * whichs
    found = []
    for place, g in enumerate(first.singles):
        rows = np.column_stack([own.counts[g] for own in counts])
        added = (rows == 0) * (by_missing + place * by_which) + (rows < FEW_SHOT_ROWS) * by_few
        found.append(added.astype(np.int64))
    found[0] += len(first.pairs)
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
    root = graph.add("Sqrt", graph.add("Max", nearest, graph.constant(np.zeros(1))))
    return graph.add("Div", root, graph.constant(np.array([place.reach for place in places])))


def steps_to_onnx(graph: GraphBuilder, distance: str) -> str:
    """Add distances as `scale_features` counts them; double [n, S]."""
    near = graph.add("Min", distance, graph.constant(np.array([FARTHEST])))
    steps = graph.add("Mul", near, graph.constant(np.array([DISTANCE_STEPS])))
    return graph.add("Floor", graph.add("Add", steps, graph.constant(np.array([0.5]))))
