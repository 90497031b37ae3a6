"""Two sides, measured in turns: on a machine that others use too, only ratios mean something."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Better = str
"""`more` or `less`: which way the measure is better."""


@dataclass(frozen=True)
class Sample:
    """One turn of one side."""

    value: float
    """Per second, or in milliseconds, as the duel says."""
    cpu_us: float | None = None
    """Processor time of the server per answer (per row, for batches), in microseconds."""
    failed: int = 0


Turn = Callable[[], Sample]


@dataclass(frozen=True)
class Duel:
    """What is compared, and what the ratio ought to be."""

    name: str
    unit: str
    ours: Turn
    against: str
    theirs: Turn
    at_least: float | None = None
    """What the ratio ours / theirs should reach."""
    at_most: float | None = None
    faster: bool = False
    """Whether the ratio is theirs / ours: how many times faster ours is."""


@dataclass(frozen=True)
class Result:
    """The medians of all turns."""

    duel: Duel
    ours: float
    theirs: float
    ratios: tuple[float, ...]
    ours_cpu_us: float | None
    theirs_cpu_us: float | None
    failed: int

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool | None:
        """Whether the ratio is what it ought to be; None when nothing is asked."""
        if self.duel.at_least is not None:
            return self.ratio >= self.duel.at_least
        return None if self.duel.at_most is None else self.ratio <= self.duel.at_most


def fight(duel: Duel, rounds: int) -> Result:
    """Let both sides take turns; who begins changes with every round."""
    ours: list[Sample] = []
    theirs: list[Sample] = []
    for number in range(rounds):
        turns = [(ours, duel.ours), (theirs, duel.theirs)]
        for samples, turn in turns if number % 2 == 0 else reversed(turns):
            samples.append(turn())
    ratios = [a.value / b.value for a, b in zip(ours, theirs, strict=True)]
    return Result(
        duel,
        _median([sample.value for sample in ours]),
        _median([sample.value for sample in theirs]),
        tuple(1 / ratio if duel.faster else ratio for ratio in ratios),
        _cpu(ours),
        _cpu(theirs),
        sum(sample.failed for sample in (*ours, *theirs)),
    )


def _cpu(samples: Sequence[Sample]) -> float | None:
    known = [sample.cpu_us for sample in samples if sample.cpu_us is not None]
    return _median(known) if known else None


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)
