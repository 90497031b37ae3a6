"""One group's answers about one metric: how they did lately, and what is wrong with them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any, Literal, get_args

from river.drift import ADWIN, PageHinkley

from foretell.live import LiveScore
from foretell_trainer.watch.scored import Score

Alarm = Literal["drift", "bias", "coverage"]
ALARMS: tuple[Alarm, ...] = get_args(Alarm)

NEWEST = 200
"""So many outcomes, the newest, are what live scores are of."""
FEWEST = 20
"""Fewer outcomes say nothing."""
LEVEL = 0.9
"""Of the interval whose coverage is watched."""

RAISED_AT, CLEARED_AT = 1e-4, 0.02
"""An alarm begins when chance explains an outcome's number with less, and ends above that."""
BIAS_OF_NOTE = 0.05
"""A median error below 5 % (of a standard deviation, on a linear scale) disturbs nobody."""

# In standard deviations of the forecast. The test of Page (1954) runs about exp(2 · delta ·
# threshold) / (2 · delta²) = two million outcomes before it cries wolf; a shift of one deviation
# takes it about 33 outcomes, one of five about 5.
PAGE_DELTA, PAGE_THRESHOLD, PAGE_FEWEST = 0.25, 25.0, 10
ADWIN_DELTA = 1e-5
_LARGEST_Z = 5.0


@dataclass
class Watched:
    """The newest outcomes of a group; one thread adds to them."""

    metric: str
    group: dict[str, str]
    log: bool
    """Whether errors are of logarithms."""
    newest: deque[Score] = field(default_factory=lambda: deque(maxlen=NEWEST))
    alarms: set[Alarm] = field(default_factory=set)
    # Any: the package's compiled classes have no types.
    _adwin: Any = field(default_factory=lambda: ADWIN(delta=ADWIN_DELTA, clock=8))  # type: ignore[no-untyped-call]  # river has no types
    _page: Any = field(
        default_factory=lambda: PageHinkley(
            min_instances=PAGE_FEWEST, delta=PAGE_DELTA, threshold=PAGE_THRESHOLD
        )
    )

    def add(self, score: Score) -> bool:
        """Take an outcome into account; return whether errors are distributed otherwise now."""
        self.newest.append(score)
        z = max(-_LARGEST_Z, min(score.z, _LARGEST_Z))
        self._adwin.update(z)
        self._page.update(z)
        return bool(self._adwin.drift_detected or self._page.drift_detected)

    def score(self, version: str, *, is_shadow: bool = False) -> LiveScore:
        """Return how the newest outcomes were forecast."""
        scores = self.newest
        middle = median(score.ratio for score in scores)
        return LiveScore(
            metric=self.metric,
            group=self.group,
            bundle_version=version,
            is_shadow=is_shadow,
            outcomes=len(scores),
            coverage=fmean(score.inside for score in scores),
            median_ratio=math.exp(min(middle, 700.0)) if self.log else 1.0 + middle,
            median_error=median(score.relative for score in scores),
            crps=fmean(score.crps for score in scores),
            alarms=tuple(sorted(self.alarms)),
        )

    def judge(self) -> list[tuple[Alarm, bool]]:
        """Bring the alarms on bias and coverage up to date; return which began or ended."""
        if len(self.newest) < FEWEST:
            return []
        outside = sum(not score.inside for score in self.newest)
        above = sum(score.ratio > 0 for score in self.newest)
        count = len(self.newest)
        chances: dict[Alarm, float] = {
            "coverage": _at_least(outside, count, 1 - LEVEL),
            "bias": 2 * _at_least(max(above, count - above), count, 0.5),
        }
        if abs(median(s.ratio if self.log else s.z for s in self.newest)) < BIAS_OF_NOTE:
            chances["bias"] = 1.0
        return list(self._changes(chances.items()))

    def _changes(self, chances: Iterable[tuple[Alarm, float]]) -> Iterable[tuple[Alarm, bool]]:
        for alarm, chance in chances:
            if alarm not in self.alarms and chance < RAISED_AT:
                self.alarms.add(alarm)
                yield alarm, True
            elif alarm in self.alarms and chance > CLEARED_AT:
                self.alarms.discard(alarm)
                yield alarm, False


def _at_least(count: int, of: int, chance: float) -> float:
    """Return the probability of at least so many successes of a binomial distribution."""
    odds = chance / (1 - chance)
    term = total = 1.0
    # Terms relative to the one at `count`, upwards; then that one's own probability.
    for k in range(count, of):
        term *= (of - k) / (k + 1) * odds
        total += term
    log_first = (
        math.lgamma(of + 1)
        - math.lgamma(count + 1)
        - math.lgamma(of - count + 1)
        + count * math.log(chance)
        + (of - count) * math.log1p(-chance)
    )
    return min(1.0, total * math.exp(log_first))
