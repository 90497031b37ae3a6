"""What can be asked about a decision beside the question itself, and the questions that makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from foretell.client.decision_requests import (
    CandidatesLike,
    ConfigurationsLike,
    LimitsLike,
    ObjectiveLike,
    candidates_of,
    configurations_of,
    limits_of,
    objective_of,
)
from foretell.client.requests import Features
from foretell.decide.questions import (
    Accounting,
    Axis,
    Curve,
    Item,
    Matrix,
    Node,
    Objective,
    Place,
    PlacementGoal,
    Recommend,
    Share,
    SharingGoal,
    WhatIf,
)


class Weigh(TypedDict, total=False):
    """What every decision that weighs can be told."""

    risk: float
    """In [0, 0.99]: weigh the mean over the worst 1 - risk of what may happen; 0 without it."""
    quantile: float
    """In (0, 1): weigh this quantile instead."""
    interval_level: float
    """Share of outcomes that each interval holds; 0.8 without it."""
    accounting: Accounting
    """What cost and energy are counted with, where the schema leaves a choice."""


class RecommendAsk(Weigh, total=False):
    """The keyword arguments of `recommend`."""

    candidates: CandidatesLike
    """Names, `Candidate`s, or by name the features and facts that go with it."""
    all_known: bool
    """Also everything that the bundle knows, from data or its catalog."""
    candidate_feature: str
    """The category that candidates are values of; `hardware`, else `node`, without it."""
    limits: LimitsLike
    """By quantity, the most that is allowed with a probability of 0.95; or `Limit`s."""
    pareto: Sequence[str]
    """Quantities, two or more, of which the Pareto front is wanted."""
    max_results: int
    """How many ranked candidates are wanted; 10 without it."""
    support_floor: float
    """Support below which a candidate is excluded for lack of evidence, in [0, 1]."""


class CurveAsk(Weigh, total=False):
    """The keyword arguments of `curve`."""

    values: Sequence[float]
    """The points, increasing. Or `start`, `stop` and `points`."""
    start: float
    stop: float
    points: int
    """How many, evenly spaced on the feature's own scale; 33 without it. A range from one whole
    number to another with room for so many between is of whole numbers, each once."""
    objective: ObjectiveLike
    """What the best point minimises; without it, none is named."""
    limits: LimitsLike
    """By quantity, the most that is allowed with a probability of 0.95; or `Limit`s."""
    price_per_hour: float
    """What an hour costs; needed where cost is weighed."""


class WhatIfAsk(Weigh, total=False):
    """The keyword arguments of `what_if`."""

    certainty: float
    """The probability from which a difference counts as certain; 0.95 without it."""


class PlaceAsk(TypedDict, total=False):
    """The keyword arguments of `place`."""

    goal: PlacementGoal
    """`makespan` (without it), `cost` or `deadline_misses`."""
    node_feature: str
    """The category that nodes are values of; `node`, else `hardware`, without it."""
    overflow_risk: float
    """Probability, at most, that a node's memory or power does not suffice; 0.01 without it."""
    may_wait: bool
    """Whether items may wait until others on their node are done; they may without it."""
    memory_metric: str
    """The metric that is packed, where the schema has several of memory."""
    accounting: Accounting
    """What durations, cost and power are counted with, where the schema leaves a choice."""
    seconds: float
    """How long to look for something better, from 0 to 60; 2 without it."""


class ShareAsk(TypedDict, total=False):
    """The keyword arguments of `share`."""

    goal: SharingGoal
    """`makespan` (without it), `mean_completion` or `memory`."""
    memory: float
    """What the device has, in the memory metric's unit; no limit without it."""
    overflow_risk: float
    """Probability, at most, that it does not suffice; 0.01 without it."""
    limits: LimitsLike
    """By metric of time, the most that is allowed with a probability of 0.95; or `Limit`s."""
    neighbour_feature: str
    """The category that names what runs beside an item; `neighbour`, if there is one."""
    item_feature: str
    """The category by which items are named there; the first id of the schema's groups."""
    slowdown: float
    """By what factor each item beside it slows an item down, without such a category."""
    batch_feature: str
    """The number feature that batches; `batch_size` without it."""
    batch_sizes: Sequence[float]
    """The sizes to choose from; powers of two up to 256 without it."""
    memory_metric: str
    """The metric of memory, where the schema has several."""
    accounting: Accounting
    """What durations are counted with, where the schema leaves a choice."""


def recommend_question(
    features: Features, objective: ObjectiveLike, ask: RecommendAsk
) -> Recommend:
    """Return the question; TypeError for a keyword that does not exist."""
    rest: dict[str, Any] = dict(ask)
    return Recommend(
        features,
        _objective(objective, rest),
        candidates_of(rest.pop("candidates", ())),
        limits=limits_of(rest.pop("limits", ())),
        pareto=tuple(rest.pop("pareto", ())),
        **rest,
    )


def matrix_question(axes: Mapping[str, Iterable[Any]], features: Features) -> Matrix:
    """Return the question; numbers of numpy become Python's."""
    return Matrix(
        tuple(Axis(name, tuple(map(_plain, values))) for name, values in axes.items()), features
    )


def curve_question(features: Features, feature: str, ask: CurveAsk) -> Curve:
    """Return the question; TypeError for a keyword that does not exist."""
    rest: dict[str, Any] = dict(ask)
    objective = rest.pop("objective", None)
    weighed = None if objective is None else _objective(objective, rest)
    return Curve(
        features,
        feature,
        tuple(float(value) for value in rest.pop("values", ())),
        objective=weighed,
        limits=limits_of(rest.pop("limits", ())),
        **rest,
    )


def what_if_question(
    configurations: ConfigurationsLike, objective: ObjectiveLike, ask: WhatIfAsk
) -> WhatIf:
    """Return the question; TypeError for a keyword that does not exist."""
    rest: dict[str, Any] = dict(ask)
    weighed = _objective(objective, rest)
    return WhatIf(configurations_of(configurations), weighed, **rest)


def place_question(items: Iterable[Item], nodes: Iterable[Node], ask: PlaceAsk) -> Place:
    """Return the question; TypeError for a keyword that does not exist."""
    return Place(tuple(items), tuple(nodes), **ask)


def share_question(items: Iterable[Item], ask: ShareAsk) -> Share:
    """Return the question; TypeError for a keyword that does not exist."""
    rest: dict[str, Any] = dict(ask)
    return Share(
        tuple(items),
        limits=limits_of(rest.pop("limits", ())),
        batch_sizes=tuple(rest.pop("batch_sizes", ())),
        **rest,
    )


def _objective(given: ObjectiveLike, rest: dict[str, Any]) -> Objective:
    return objective_of(given, rest.pop("risk", 0.0), rest.pop("quantile", None))


def _plain(value: Any) -> Any:  # noqa: ANN401 -- whatever an axis holds
    return value.item() if hasattr(value, "item") else value
