"""What a caller wants to know about each metric, and the plan that reads it from forecasts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from foretell.errors import InvalidInput, Violation, listing
from foretell.schema import Metric, Schema

DEFAULT_INTERVAL_LEVEL = 0.8
DEFAULT_TOLERANCE = 0.2
MEDIAN = 0.5

STRICTLY = "strictly between 0 and 1"

MOST_QUESTIONS = 64
"""How many metrics, quantiles, deadlines or costs one request may list."""


@dataclass(frozen=True, slots=True)
class DeadlineQuestion:
    """With what probability is the metric at most this value, in the metric's unit?"""

    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class CostQuestion:
    """How much to reserve, when each unit too little and each unit too much cost this?"""

    metric: str
    under_cost: float
    over_cost: float

    @property
    def level(self) -> float:
        """The probability that the cheapest reservation suffices."""
        return self.under_cost / (self.under_cost + self.over_cost)


@dataclass(frozen=True, slots=True)
class Options:
    """What to answer; see `ForecastOptions` in the protos. Hashable, so that plans are kept."""

    metrics: tuple[str, ...] = ()
    """Empty means all of the workload's."""
    quantiles: tuple[float, ...] = ()
    interval_level: float = DEFAULT_INTERVAL_LEVEL
    confidence_tolerance: float = DEFAULT_TOLERANCE
    deadlines: tuple[DeadlineQuestion, ...] = ()
    costs: tuple[CostQuestion, ...] = ()
    support_floor: float = 0.0
    """Below this the answer abstains; 0 never does."""


DEFAULT_OPTIONS = Options()


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """What to read about one metric; the numbers are places in `Plan.levels`."""

    metric: Metric
    index: int
    """The metric's column in the forecasts."""
    quantiles: tuple[int, ...]
    deadlines: tuple[float, ...]
    costs: tuple[CostQuestion, ...]
    reservations: tuple[int, ...]
    """One for each of `costs`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Options compiled against one schema, so that a request only reads and computes."""

    options: Options
    levels: tuple[float, ...]
    """Each quantile level that any answer needs, once. The first three: median, lower, upper."""
    metrics: tuple[MetricPlan, ...]

    @property
    def cells(self) -> int:
        """How many numbers about its metrics one row's answer has."""
        # Median, both ends of the interval, and confidence are always there.
        return sum(
            4 + len(m.quantiles) + len(m.deadlines) + len(m.reservations) for m in self.metrics
        )


def compile_plan(options: Options, schema: Schema) -> Plan:
    """Return the plan of these options; InvalidInput names every option that cannot be met."""
    violations = list(_violations(options, schema.metric_names))
    if violations:
        raise InvalidInput(violations)
    low = (1 - options.interval_level) / 2
    asked = [*options.quantiles, *(cost.level for cost in options.costs)]
    # The ends of the interval come second and third, whatever else is asked.
    levels = (MEDIAN, low, 1 - low, *dict.fromkeys(asked))
    place = {level: i for i, level in enumerate(levels)}
    return Plan(
        options,
        levels,
        tuple(
            _metric_plan(options, schema, name, place)
            for name in options.metrics or schema.metric_names
        ),
    )


def _metric_plan(
    options: Options, schema: Schema, name: str, place: dict[float, int]
) -> MetricPlan:
    costs = tuple(cost for cost in options.costs if cost.metric == name)
    return MetricPlan(
        metric=schema.metric(name),
        index=schema.metric_names.index(name),
        quantiles=tuple(place[level] for level in options.quantiles),
        deadlines=tuple(d.value for d in options.deadlines if d.metric == name),
        costs=costs,
        reservations=tuple(place[cost.level] for cost in costs),
    )


def _violations(options: Options, known: Sequence[str]) -> Iterator[Violation]:
    yield from _too_many(options)
    wanted = options.metrics or known
    for i, name in enumerate(options.metrics):
        if name not in known:
            message = f"the workload has no metric {name!r}; known: {listing(known)}"
            yield Violation(f"options.metrics[{i}]", name, message)
        elif name in options.metrics[:i]:
            yield Violation(f"options.metrics[{i}]", name, f"{name!r} is listed twice")
    for i, level in enumerate(options.quantiles):
        yield from _unless(_is_share, f"options.quantiles[{i}]", level, STRICTLY)
    yield from _unless(_is_share, "options.interval_level", options.interval_level, STRICTLY)
    yield from _unless(
        _is_positive, "options.confidence_tolerance", options.confidence_tolerance, "above 0"
    )
    yield from _unless(
        lambda floor: 0 <= floor <= 1, "options.support_floor", options.support_floor, "in [0, 1]"
    )
    for i, deadline in enumerate(options.deadlines):
        field = f"options.deadlines[{i}]"
        if deadline.metric not in wanted:
            yield _not_asked(f"{field}.metric", deadline.metric, wanted)
        yield from _unless(math.isfinite, f"{field}.value", deadline.value, "a finite number")
    for i, cost in enumerate(options.costs):
        field = f"options.costs[{i}]"
        if cost.metric not in wanted:
            yield _not_asked(f"{field}.metric", cost.metric, wanted)
        yield from _unless(_is_positive, f"{field}.under_cost", cost.under_cost, "above 0")
        yield from _unless(_is_positive, f"{field}.over_cost", cost.over_cost, "above 0")
        if _is_positive(cost.under_cost) and _is_positive(cost.over_cost):
            yield from _unless(_is_share, field, cost.level, "costs of comparable size")


def _too_many(options: Options) -> Iterator[Violation]:
    for name in ("metrics", "quantiles", "deadlines", "costs"):
        count = len(getattr(options, name))
        if count > MOST_QUESTIONS:
            message = f"lists {count}; at most {MOST_QUESTIONS} are allowed"
            yield Violation(f"options.{name}", str(count), message)


def _unless(
    holds: Callable[[float], bool], field: str, value: float, allowed: str
) -> Iterator[Violation]:
    if not holds(value):
        yield Violation(field, f"{value:g}", f"{value:g} is not {allowed}")


def _not_asked(field: str, name: str, asked: Sequence[str]) -> Violation:
    return Violation(field, name, f"{name!r} is not among the metrics asked: {listing(asked)}")


def _is_share(level: float) -> bool:
    return 0 < level < 1


def _is_positive(number: float) -> bool:
    return 0 < number < math.inf
