"""What placing a batch answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from foretell.decide.questions import PlacementGoal

PlacementMethod = Literal["exact", "heuristic"]
"""How it was found: `exact` is proved to be the best that the goal's model has."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """An item and the node that it is placed on."""

    item: str
    index: int
    """Its place in the question."""
    node: str
    node_index: int
    start_s: float
    """When it is expected to begin, in seconds from now."""
    end_s: float
    """When it is expected to end."""
    median_s: float
    """How long it takes."""
    lower_s: float
    """The 10 % quantile of that."""
    upper_s: float
    """The 90 % quantile of that."""
    probability_late: float | None
    """P(it misses its deadline), waiting included; None without a deadline."""
    support: float
    tier: str


@dataclass(frozen=True, slots=True)
class Unplaced:
    """An item for which there is no room."""

    item: str
    index: int
    why: str


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """What a node has to bear; memory and power in their metrics' units."""

    node: str
    index: int
    item_count: int
    done_s: float
    """When it is expected to be done, in seconds from now; 0 without items."""
    memory_needed: float
    """What it has to have at its fullest moment so that the overflow risk is kept: a quantile of
    the joint distribution."""
    memory_worst_cases: float
    """What it would have to have then if every item reserved its own at the same risk."""
    memory_capacity: float | None
    overflow_probability: float
    power_needed: float
    power_capacity: float | None
    overload_probability: float


@dataclass(frozen=True, slots=True)
class Placement:
    """Where every item runs, what that costs, and how far it may be from the best."""

    workload: str
    bundle_version: str
    goal: PlacementGoal
    goal_unit: str
    value: float
    """The goal of this placement, by expected durations: s, price or number of misses."""
    bound: float | None
    """No placement of all items has a smaller goal; None where that could not be found."""
    gap: float | None
    """(value - bound) / value, from 0; None without a bound."""
    method: PlacementMethod
    makespan_s: float
    """The expected time until all is done: more than the largest of expected times."""
    makespan_lower_s: float
    """The 10 % quantile of that time."""
    makespan_upper_s: float
    """The 90 % quantile of that time."""
    cost: float | None
    """The expected price of all items; None when a node that is used has no price."""
    expected_misses: float
    memory_unit: str
    power_unit: str
    assigned: tuple[Assigned, ...]
    """In the order of the question's items."""
    unplaced: tuple[Unplaced, ...]
    nodes: tuple[NodeLoad, ...]
    """In the order of the question's nodes."""
