"""What a decider answers. Plain values: the same in-process, on the client and behind gRPC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

ExclusionReason = Literal["limit", "unavailable", "unknown", "evidence"]
"""Why a candidate is not ranked: a limit does not hold; none is free; a price or fact that the
objective or a limit needs is not known; support is below the floor asked for."""

Verdict = Literal["clear", "close", "insufficient_evidence", "infeasible"]
"""How far the first choice can be relied on: it is probably the best; another may well be; none
of it rests on enough evidence; there is none that keeps the limits."""


class Estimate(NamedTuple):
    """One metric of one configuration, in the metric's unit.

    An answer has dozens of them, and a frozen dataclass takes five times as long to make.
    """

    metric: str
    unit: str
    median: float
    lower: float
    upper: float
    interval_level: float
    confidence: float
    """P(|actual - median| ≤ 20 % of the median)."""


@dataclass(frozen=True, slots=True)
class LimitCheck:
    """How well one candidate keeps one limit."""

    limit: str
    """The limit, as text."""
    index: int
    """Its place in the question."""
    holds: bool
    probability: float | None
    """P(the bound holds); None where a fact that it needs is not known."""
    bound: float | None
    """In the quantity's unit; None where unknown."""
    needed: float | None
    """The bound that this candidate would keep with the probability asked for."""
    unit: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate that keeps every limit."""

    rank: int
    """From 1."""
    name: str
    index: int
    """Its place among the candidates of the question, then among those that are known."""
    objective: float
    """What it is ranked by, told in the objective's unit."""
    estimates: tuple[Estimate, ...]
    cost: float | None
    """Expected price of a unit of work; None without a price."""
    energy_j: float | None
    """Expected energy of a unit of work, in J; None without a power."""
    limits: tuple[LimitCheck, ...]
    probability_best: float
    """Probability that it turns out best of all that are ranked."""
    support: float
    tier: str
    unknown_features: tuple[str, ...]
    on_front: bool
    """Whether no other candidate is at least as good in all quantities of the Pareto front."""
    why: str


@dataclass(frozen=True, slots=True)
class Excluded:
    """A candidate that is not ranked, and why."""

    name: str
    index: int
    reason: ExclusionReason
    why: str
    limits: tuple[LimitCheck, ...]
    support: float
    tier: str


@dataclass(frozen=True, slots=True)
class Regret:
    """What choosing the first may cost, against knowing all outcomes beforehand."""

    probability_another_better: float
    expected: float
    """How much better the best with hindsight is on average, in the objective's unit; ≥ 0."""
    relative: float | None
    """The same as a share of the expected loss of the first; None for a loss not above 0."""


@dataclass(frozen=True, slots=True)
class Infeasible:
    """Why no candidate is ranked, and what comes nearest."""

    binding: int
    """The limit, by its place, that the fewest candidates keep; -1 if none is to blame."""
    kept_by: tuple[int, ...]
    """How many of the candidates that could be judged keep each limit."""
    nearest: str
    """The candidate whose worst miss is the least; "" if none could be judged."""
    nearest_index: int
    miss: float | None
    """That miss, as a share of its bound; None where there is none."""
    why: str


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The candidates, best first, and how sure that order is."""

    workload: str
    bundle_version: str
    objective: str
    objective_unit: str
    verdict: Verdict
    ranked: tuple[Ranked, ...]
    ranked_count: int
    """How many candidates keep every limit; `ranked` has as many of them as were asked for."""
    excluded: tuple[Excluded, ...]
    regret: Regret | None
    """None when nothing is ranked."""
    infeasible: Infeasible | None
    front: tuple[int, ...]
    """Places of the candidates on the Pareto front, best first; empty if none was asked for."""
    candidate_count: int
