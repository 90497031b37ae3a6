"""Regressions: groups that take longer, or cost more, for the same work than they did.

Compared are not the measurements, which differ with the work, but what they were relative to the
forecast. Where observations carry the version of what ran, the newest version is compared with
those before; else the moment is sought that divides the outcomes best.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.live import Regression

Floats = NDArray[np.float64]

FEWEST_BEFORE, FEWEST_SINCE = 20, 10
SURE = 5.0
"""Standard errors by which before and since have to differ; the best division is chosen among
many, which by chance alone differs by three."""
_SIGMA_OF_MAD = 1.4826
_OUTLIER = 5.0


class Run(NamedTuple):
    """One outcome of a group, relative to its forecast."""

    at: datetime
    """UTC, unmarked."""
    tag: str
    worse: float
    """Log of measured / forecast; above 0 is worse, whichever way the metric is better."""
    ids: tuple[tuple[str, str], ...] = ()
    """The categories that are groups by themselves, each with the run's value."""


@dataclass(frozen=True)
class Change:
    """That a group became worse: by how much, since when, and between which versions."""

    ratio: float
    since: datetime
    tag: str
    baseline_tag: str
    outcomes: int
    baseline: int

    def regression(self, metric: str, group: dict[str, str]) -> Regression:
        """Return the change as what is told of a group's metric."""
        return Regression(
            metric=metric,
            group=group,
            ratio=self.ratio,
            since=self.since.replace(tzinfo=UTC),
            tag=self.tag,
            baseline_tag=self.baseline_tag,
            outcomes=self.outcomes,
            baseline=self.baseline,
        )


def find_regression(runs: Sequence[Run], percent: float) -> Change | None:
    """Return how a group became worse by at least so many percent; None if it did not."""
    ordered = sorted(runs, key=lambda run: run.at)
    if len(ordered) < FEWEST_BEFORE + FEWEST_SINCE:
        return None
    worse = np.array([run.worse for run in ordered])
    split = _first_of_newest_tag(ordered)
    if split is None:
        split = _best_split(worse)
    before, since = worse[:split], worse[split:]
    shift = float(np.median(since) - np.median(before))
    if shift < math.log1p(percent / 100) or shift < SURE * _standard_error(before, since):
        return None
    tags = (_usual(ordered[split:]), _usual(ordered[:split]))
    return Change(
        ratio=math.exp(shift),
        since=ordered[split].at,
        tag=tags[0],
        baseline_tag=tags[1],
        outcomes=len(since),
        baseline=len(before),
    )


def _first_of_newest_tag(ordered: Sequence[Run]) -> int | None:
    """Return where the newest version began; None without versions, or with too few runs."""
    newest = ordered[-1].tag
    split = next(i for i, run in enumerate(ordered) if run.tag == newest)
    enough = split >= FEWEST_BEFORE and len(ordered) - split >= FEWEST_SINCE
    return split if newest and enough else None


def _best_split(worse: Floats) -> int:
    """Return the division where the means before and after differ most, for their spread."""
    middle = np.median(worse)
    spread = _OUTLIER * max(_SIGMA_OF_MAD * float(np.median(np.abs(worse - middle))), 1e-3)
    calm = np.clip(worse, middle - spread, middle + spread)
    count = len(calm)
    splits = np.arange(FEWEST_BEFORE, count - FEWEST_SINCE + 1)
    sums = np.cumsum(calm)
    before = sums[splits - 1] / splits
    since = (sums[-1] - sums[splits - 1]) / (count - splits)
    return int(splits[np.argmax((since - before) * np.sqrt(splits * (count - splits)))])


def _standard_error(before: Floats, since: Floats) -> float:
    parts = (float(np.median(np.abs(p - np.median(p)))) for p in (before, since))
    variance = sum(
        (_SIGMA_OF_MAD * mad) ** 2 / len(part)
        for mad, part in zip(parts, (before, since), strict=True)
    )
    return max(math.sqrt(variance), 1e-6)


def _usual(runs: Sequence[Run]) -> str:
    return Counter(run.tag for run in runs).most_common(1)[0][0]
