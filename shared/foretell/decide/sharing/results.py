"""What sharing a device answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from foretell.decide.questions import SharingGoal

StrategyName = Literal["parallel", "sequential", "batched"]


@dataclass(frozen=True, slots=True)
class Segment:
    """One item on the timeline of a strategy."""

    item: str
    start_s: float
    end_s: float
    slowdown: float
    """How much longer it runs than it would alone; 1 where it runs alone."""
    batch_size: float | None
    """The batch size that is used; None where the item's own features say it."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to share the device."""

    name: StrategyName
    feasible: bool
    """Whether memory suffices with the risk allowed, and every limit holds."""
    value: float
    """The goal of this strategy: expected seconds, or memory."""
    makespan_s: float
    """Expected time until all is done."""
    makespan_lower_s: float
    """The 10 % quantile of that time."""
    makespan_upper_s: float
    """The 90 % quantile of that time."""
    mean_completion_s: float
    """Expected time until an item is done, on average over the items."""
    memory_needed: float | None
    """What the device has to have so that the risk is kept; None without a metric of memory."""
    overflow_probability: float | None
    """P(the device's memory does not suffice); None where its memory is not given."""
    timeline: tuple[Segment, ...]
    """By expected durations."""
    why: str


@dataclass(frozen=True, slots=True)
class Sharing:
    """The strategies, best first: those that are feasible before those that are not."""

    workload: str
    bundle_version: str
    goal: SharingGoal
    goal_unit: str
    memory_unit: str
    strategies: tuple[Strategy, ...]
    left_out: tuple[str, ...]
    """Strategies that could not be judged, and why."""
