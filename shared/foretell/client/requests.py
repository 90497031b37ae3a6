"""From what callers ask to the messages of PredictionService."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np

from foretell.errors import InvalidInput, Violation
from foretell.v1 import common_pb2, prediction_pb2

if TYPE_CHECKING:
    from google.protobuf.internal.containers import MessageMap

Features = Mapping[str, Any]
"""Feature names to numbers, texts, flags; None is the same as leaving the feature out."""


class Cost(NamedTuple):
    """What each unit costs that a reservation is below, and above, the outcome."""

    under: float
    over: float


class Ask(TypedDict, total=False):
    """What to answer: the keyword arguments of `predict`, `predict_many` and `stream`."""

    metrics: Sequence[str]
    """Names of the metrics wanted; all of the workload's without it."""
    quantiles: Sequence[float]
    """Levels wanted beside the median, each in (0, 1)."""
    interval_level: float
    """Share of outcomes that the interval holds; 0.8 without it."""
    confidence_tolerance: float
    """The relative error that confidence is about; 0.2 without it."""
    deadlines: Mapping[str, float | Sequence[float]]
    """Metric to the value or values whose P(metric <= value) is wanted."""
    costs: Mapping[str, Cost | tuple[float, float] | Sequence[Cost | tuple[float, float]]]
    """Metric to the (under, over) cost or costs whose cheapest reservation is wanted."""
    support_floor: float
    """Support below which the answer abstains, in [0, 1]."""
    bundle_version: str
    """The bundle that has to answer; the workload's current one without it."""


def forecast_options(ask: Ask) -> prediction_pb2.ForecastOptions:
    """Return the message for what is asked; TypeError for a keyword that does not exist."""
    for name in ask:
        if name not in Ask.__annotations__:
            allowed = ", ".join(Ask.__annotations__)
            raise TypeError(f"unexpected keyword argument {name!r}; one of {allowed}")
    options = prediction_pb2.ForecastOptions(
        metrics=ask.get("metrics", ()),
        quantiles=ask.get("quantiles", ()),
        support_floor=ask.get("support_floor", 0.0),
        interval_level=ask.get("interval_level"),
        confidence_tolerance=ask.get("confidence_tolerance"),
    )
    for metric, values in ask.get("deadlines", {}).items():
        for value in [values] if isinstance(values, int | float) else values:
            options.deadlines.add(metric=metric, value=value)
    for metric, costs in ask.get("costs", {}).items():
        for under, over in _pairs(costs):
            options.costs.add(metric=metric, under_cost=under, over_cost=over)
    return options


def builder(workload: str, ask: Ask) -> Callable[[Features], prediction_pb2.PredictRequest]:
    """Return what builds the request for one item; it names each feature that cannot be sent."""
    same = prediction_pb2.PredictRequest(
        workload=workload,
        options=forecast_options(ask),
        bundle_version=ask.get("bundle_version", ""),
    )

    def build(features: Features) -> prediction_pb2.PredictRequest:
        request = prediction_pb2.PredictRequest()
        request.CopyFrom(same)
        refuse(fill_features(request.features, features, "features"))
        return request

    return build


def fill_features(
    target: MessageMap[str, common_pb2.Value], features: Features, path: str
) -> list[Violation]:
    """Write features into a map of Value messages; returns what could not be written."""
    violations = []
    for name, given in features.items():
        value = given.item() if isinstance(given, np.generic) else given
        if value is None:
            continue
        try:
            target[name].MergeFrom(_value(value))
        except (TypeError, ValueError) as error:
            violations.append(Violation(f"{path}[{name}]", repr(given), str(error)))
    return violations


def _value(value: object) -> common_pb2.Value:
    # A bool is an int too, so it is asked for first.
    if isinstance(value, bool):
        return common_pb2.Value(flag=value)
    if isinstance(value, int | float):
        try:
            return common_pb2.Value(number=float(value))
        except OverflowError:
            raise ValueError("too large for a 64-bit floating-point number") from None
    if isinstance(value, str):
        return common_pb2.Value(text=value)
    raise TypeError(f"{type(value).__name__} is not allowed; one of number, text, flag")


def _pairs(costs: Sequence[Any]) -> Sequence[tuple[float, float]]:
    """Return one (under, over) pair as a list of one, several as they are."""
    return [(costs[0], costs[1])] if isinstance(costs[0], int | float) else costs


def refuse(violations: Sequence[Violation]) -> None:
    """Raise InvalidInput if there are any violations."""
    if violations:
        raise InvalidInput(violations)
