"""What can be asked of a decider. Plain values: the same in-process, on the client and behind gRPC.

A *quantity* is anything that can be weighed: a metric of the workload, a numeric fact of the
candidate's catalog, or one of `cost` (price of the time that a unit of work takes), `energy`
(power times that time, in J) and `price_per_hour`. The schema's own names come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, overload

from foretell.parsing import Value

COST, ENERGY, PRICE = "cost", "energy", "price_per_hour"

DEFAULT_LEVEL = 0.8
DEFAULT_PROBABILITY = 0.95
DEFAULT_RESULTS = 10

Features = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Accounting:
    """What cost and energy are counted with. Only needed where the schema leaves a choice."""

    work_metric: str = ""
    """The metric, a time or a rate, that says how long a unit of work takes."""
    power: str = ""
    """The metric or the numeric fact that says what power is drawn meanwhile."""


@dataclass(frozen=True, slots=True)
class Term:
    """One part of an objective: `weight` for every `reference` of a quantity.

    Where less is better, a term costs weight · value / reference; where more is better, it
    costs weight · reference / value on a log scale (a rate becomes the time per unit of work)
    and -weight · value / reference on a linear one.
    """

    quantity: str
    weight: float = 1.0
    reference: float = 1.0
    """The value that counts as one, above 0, in the quantity's unit."""
    unit: str = ""
    """The unit that `reference` is meant in; checked against the quantity's own."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What shall be as small as possible: the sum of the terms, over all that may happen."""

    terms: tuple[Term, ...]
    risk: float = 0.0
    """In [0, 1): the mean over the worst 1 - risk of what may happen; 0 is the expectation."""
    quantile: float | None = None
    """In (0, 1): rank by this quantile instead of by a mean."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound that a quantity shall keep with a probability. Exactly one bound is set."""

    quantity: str
    at_most: float | None = None
    at_least: float | None = None
    at_most_fact: str = ""
    """A fact of the candidate that is the bound, such as the memory of the hardware."""
    share: float = 1.0
    """How much of that fact may be used, in (0, 1]."""
    probability: float = DEFAULT_PROBABILITY
    """With what probability the bound shall hold, in (0, 1). Facts are certain."""
    unit: str = ""
    """The unit that the bound is meant in; checked against the quantity's own."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One choice: the value of the candidate feature, and what else comes with it."""

    name: str
    features: Features = field(default_factory=dict)
    """Features that go with this choice (a batch size), and facts for a name not known yet."""
    price_per_hour: float | None = None
    """What an hour of it costs, in any currency, the same for all candidates."""
    available: int | None = None
    """How many of it are free; None is unlimited."""


class CandidateSet(Sequence[Candidate]):
    """Candidates that never change: what a decider makes of one set, it makes once.

    Sets are told apart as objects, whatever is in them.
    """

    __slots__ = ("_given",)

    def __init__(self, given: Sequence[Candidate]) -> None:
        """Keep candidates."""
        self._given = tuple(given)

    @overload
    def __getitem__(self, index: int) -> Candidate: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Candidate, ...]: ...
    def __getitem__(self, index: int | slice) -> Candidate | tuple[Candidate, ...]:
        """Return one, or some."""
        return self._given[index]

    def __iter__(self) -> Iterator[Candidate]:
        """Go through them."""
        return iter(self._given)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._given)


@dataclass(frozen=True, slots=True)
class Recommend:
    """Which candidate is best for one item of work?"""

    features: Features
    objective: Objective
    candidates: Sequence[Candidate] = ()
    """A `CandidateSet`, where the same candidates are asked about more than once."""
    all_known: bool = False
    """Also every value of the candidate feature that the bundle knows."""
    candidate_feature: str = ""
    """The category that candidates are values of; `hardware`, else `node`, without it."""
    limits: tuple[Limit, ...] = ()
    pareto: tuple[str, ...] = ()
    """Quantities, two or more, of which the Pareto front is wanted."""
    max_results: int = DEFAULT_RESULTS
    interval_level: float = DEFAULT_LEVEL
    support_floor: float = 0.0
    """Candidates with less support are excluded for lack of evidence; in [0, 1]."""
    accounting: Accounting = Accounting()


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of a matrix: a feature and the values that it takes."""

    feature: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """What do all combinations of the axes' values take? The last axis varies fastest."""

    axes: tuple[Axis, ...]
    features: Features = field(default_factory=dict)
    """What is the same in every cell."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How do the metrics follow one number, everything else held?"""

    features: Features
    feature: str
    """The number feature that is swept."""
    values: tuple[float, ...] = ()
    """The points, increasing. Or `start`, `stop` and `points`."""
    start: float | None = None
    stop: float | None = None
    points: int = 0
    """How many, evenly spaced on the feature's own scale. A range from one whole number to another
    with room for so many between is of whole numbers, each once."""
    objective: Objective | None = None
    """What the best point minimises; without it none is named."""
    limits: tuple[Limit, ...] = ()
    price_per_hour: float | None = None
    interval_level: float = DEFAULT_LEVEL
    accounting: Accounting = Accounting()


@dataclass(frozen=True, slots=True)
class Configuration:
    """One side of a comparison."""

    name: str
    features: Features
    price_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Is one configuration really better than another? The first is what others are held to."""

    configurations: tuple[Configuration, ...]
    objective: Objective
    certainty: float = DEFAULT_PROBABILITY
    """The probability from which a difference counts as certain, in [0.5, 1)."""
    interval_level: float = DEFAULT_LEVEL
    accounting: Accounting = Accounting()


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a batch that is to be placed."""

    name: str
    features: Features
    deadline_s: float | None = None
    """When it shall be done, in seconds from now; None is never."""
    work: float = 1.0
    """How many units of work it is, where the work metric is a rate; runs, where it is a time."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node that items can be placed on."""

    name: str
    kind: str = ""
    """The value of the node feature; the name itself without it. Equal nodes share a kind."""
    features: Features = field(default_factory=dict)
    """What else comes with it: facts for a kind that is not known yet."""
    memory: float | None = None
    """What its items may take together, in the memory metric's unit; None is no limit."""
    power: float | None = None
    """What its items may draw together, in the power metric's unit; None is no limit."""
    slots: int | None = None
    """How many items may run at the same time; None is no limit."""
    free_in_s: float = 0.0
    """When it can begin, in seconds from now."""
    price_per_hour: float | None = None


PlacementGoal = Literal["makespan", "cost", "deadline_misses"]


@dataclass(frozen=True, slots=True)
class Place:
    """Which item shall run on which node?"""

    items: tuple[Item, ...]
    nodes: tuple[Node, ...]
    goal: PlacementGoal = "makespan"
    node_feature: str = ""
    """The category that nodes are values of; `node`, else `hardware`, without it."""
    overflow_risk: float = 0.01
    """Probability, at most, that what runs together on a node takes more than the node has."""
    may_wait: bool = True
    """Whether an item may wait until others on its node are done; else all begin at once, and
    what does not fit so is not placed."""
    memory_metric: str = ""
    """Only needed when the schema has several metrics of memory."""
    accounting: Accounting = Accounting()
    seconds: float = 2.0
    """How long to look for something better, from 0 (the first that fits) to 60."""


SharingGoal = Literal["makespan", "mean_completion", "memory"]


@dataclass(frozen=True, slots=True)
class Share:
    """How shall several items share one device: in parallel, one after another, or batched?"""

    items: tuple[Item, ...]
    """Two or more; their features name the device."""
    goal: SharingGoal = "makespan"
    memory: float | None = None
    """What the device has, in the memory metric's unit; None is no limit."""
    overflow_risk: float = 0.01
    """Probability, at most, that what is on the device at the same time takes more than it has."""
    limits: tuple[Limit, ...] = ()
    """Upper limits on metrics that are times, for every item."""
    neighbour_feature: str = ""
    """The category that names what runs beside an item; `neighbour`, if there is one."""
    item_feature: str = ""
    """The category by which items are named there; the first id of the schema's groups."""
    slowdown: float | None = None
    """By what factor each item beside it slows an item down; without it, as forecast."""
    batch_feature: str = "batch_size"
    batch_sizes: tuple[float, ...] = ()
    """What may be batched together; powers of two up to 256 without it."""
    memory_metric: str = ""
    """Only needed when the schema has several metrics of memory."""
    accounting: Accounting = Accounting()
