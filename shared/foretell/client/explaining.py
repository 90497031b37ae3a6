"""Explanations, to messages and from them, for both clients."""

from __future__ import annotations

from collections.abc import Sequence

from foretell.client.answers import TIERS
from foretell.client.requests import Features, fill_features, refuse
from foretell.errors import InvalidInput, Violation
from foretell.explain.results import Contribution, Explanation, Kind, MetricExplanation, Neighbour
from foretell.v1 import common_pb2, prediction_pb2

_MOST = 2**32 - 1


def explain_request(
    workload: str,
    features: Features,
    metrics: Sequence[str],
    neighbours: int,
    bundle_version: str,
) -> prediction_pb2.ExplainRequest:
    """Return the request; InvalidInput names each value that cannot be sent."""
    if not 0 <= neighbours <= _MOST:
        message = f"{neighbours} is not between 0 and {_MOST}"
        raise InvalidInput([Violation("neighbours", str(neighbours), message)])
    request = prediction_pb2.ExplainRequest(
        workload=workload, metrics=metrics, neighbours=neighbours, bundle_version=bundle_version
    )
    refuse(fill_features(request.features, features, "features"))
    return request


def explanation(message: prediction_pb2.ExplainResponse) -> Explanation:
    """Return the explanation that a message holds."""
    rests_on = message.provenance
    return Explanation(
        workload=rests_on.workload,
        bundle_version=rests_on.bundle_version,
        tier=TIERS.get(rests_on.tier, "unknown"),
        support=message.support,
        groups=tuple((tuple(g.features), g.training_rows) for g in rests_on.groups),
        unknown_features=tuple(rests_on.unknown_features),
        correction=rests_on.correction,
        metrics={m.metric: _metric(m) for m in message.metrics},
        neighbours=tuple(map(_neighbour, message.neighbours)),
        exact=message.exact,
        background_rows=message.background_rows,
    )


def _metric(m: prediction_pb2.MetricExplanation) -> MetricExplanation:
    kind: Kind = "factor" if m.kind == prediction_pb2.EFFECT_KIND_FACTOR else "addend"
    return MetricExplanation(
        metric=m.metric,
        unit=m.unit,
        kind=kind,
        typical=m.typical,
        contributions=tuple(Contribution(e.feature, e.effect) for e in m.effects),
        calibration=m.calibration,
        median=m.median,
    )


def _neighbour(n: prediction_pb2.Neighbour) -> Neighbour:
    return Neighbour(
        features={name: _value(value) for name, value in n.features.items()},
        measured={m.metric: m.value for m in n.measured},
        training_rows=n.training_rows,
        distance=n.distance,
    )


def _value(value: common_pb2.Value) -> float | bool | str:
    kind = value.WhichOneof("kind")
    if kind == "flag":
        return value.flag
    return value.text if kind == "text" else value.number
