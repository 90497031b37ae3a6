"""Blame: whose a slowdown is, where several groups of the same runs see it.

A function that became slower slows the average of each node that it runs on, and a slow node that
of all its functions. So a group is asked what is left of its change without the runs of one other
id: where that is nothing, the change is the other's, or that of the pair.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from foretell_trainer.watch.regressions import FEWEST_SINCE, Change, Run, find_regression

Id = tuple[str, str]
"""The name of a category that is a group by itself, and a value."""
Key = tuple[str, tuple[str, ...], tuple[str, ...]]
"""Metric, names of the group's features, their values."""

SUSPECTS = 8
"""So many other ids, those with most runs since, are suspected."""


class Blame:
    """Judges changes of groups by the runs of all groups."""

    def __init__(self, runs: Mapping[Key, Sequence[Run]], percent: float) -> None:
        """Take the runs of each group, and by how many percent worse is a regression."""
        self._runs = runs
        self._percent = percent

    def change(self, key: Key) -> Change | None:
        """Return how a group became worse by itself; None if it did not, or another did."""
        found = find_regression(self._runs.get(key, ()), self._percent)
        metric, names, values = key
        if found is None or len(names) != 1:
            return found
        mine = (names[0], values[0])
        blamed = any(
            self._owes(metric, mine, other, found) and self._takes(metric, mine, other, found)
            for other in self._suspects(key, mine, found.since)
        )
        return None if blamed else found

    def _suspects(self, key: Key, mine: Id, since: datetime) -> list[Id]:
        runs = (run for run in self._runs[key] if run.at >= since)
        beside = Counter(one for run in runs for one in run.ids if one[0] != mine[0])
        return [one for one, _ in beside.most_common(SUSPECTS)]

    def _owes(self, metric: str, mine: Id, other: Id, change: Change) -> bool:
        """Return whether the change of an id is gone without the runs of another one."""
        left = self._shift(metric, mine, other, change.since)
        if left is not None:
            return left < math.log(change.ratio) / 2
        # Nothing else ran here; but the other may be slower elsewhere, too.
        theirs = self._found(metric, other)
        elsewhere = theirs and self._shift(metric, other, mine, theirs.since)
        return bool(theirs and elsewhere and elsewhere >= math.log(theirs.ratio) / 2)

    def _takes(self, metric: str, mine: Id, other: Id, change: Change) -> bool:
        """Return whether somebody else has the change: the pair, or the other id by itself."""
        for first, second in ((mine, other), (other, mine)):
            pair = (metric, (first[0], second[0]), (first[1], second[1]))
            if find_regression(self._runs.get(pair, ()), self._percent) is not None:
                return True
        theirs = self._found(metric, other)
        if theirs is None:
            return False
        # Each without the other is as before, and no group is of both: it is the one that shows
        # it most.
        is_mutual = self._owes(metric, other, mine, theirs)
        return not is_mutual or (theirs.ratio, other) > (change.ratio, mine)

    def _found(self, metric: str, one: Id) -> Change | None:
        return find_regression(self._of(metric, one), self._percent)

    def _of(self, metric: str, one: Id) -> Sequence[Run]:
        return self._runs.get((metric, (one[0],), (one[1],)), ())

    def _shift(self, metric: str, one: Id, without: Id, since: datetime) -> float | None:
        """Return by how much an id's runs became worse, less those of another; None if too few."""
        left = [run for run in self._of(metric, one) if without not in run.ids]
        before = [run.worse for run in left if run.at < since]
        after = [run.worse for run in left if run.at >= since]
        if min(len(before), len(after)) < FEWEST_SINCE:
            return None
        return float(np.median(after) - np.median(before))
