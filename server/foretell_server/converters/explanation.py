"""Between messages and plain values, for explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foretell.v1 import prediction_pb2
from foretell_server.converters.prediction import TIERS, value_message

if TYPE_CHECKING:
    from foretell.explain import Explanation, MetricExplanation, Neighbour

DEFAULT_NEIGHBOURS = 5

_KINDS = {
    "factor": prediction_pb2.EFFECT_KIND_FACTOR,
    "addend": prediction_pb2.EFFECT_KIND_ADDEND,
}


def explanation(found: Explanation) -> prediction_pb2.ExplainResponse:
    """Return the explanation of one item."""
    units = {metric.metric: metric.unit for metric in found.metrics.values()}
    return prediction_pb2.ExplainResponse(
        metrics=map(_metric, found.metrics.values()),
        neighbours=[_neighbour(one, units) for one in found.neighbours],
        provenance=prediction_pb2.Provenance(
            workload=found.workload,
            bundle_version=found.bundle_version,
            tier=TIERS[found.tier],
            groups=[
                prediction_pb2.GroupRows(features=names, training_rows=rows)
                for names, rows in found.groups
            ],
            unknown_features=found.unknown_features,
            correction=found.correction,
        ),
        support=found.support,
        exact=found.exact,
        background_rows=found.background_rows,
    )


def _metric(m: MetricExplanation) -> prediction_pb2.MetricExplanation:
    return prediction_pb2.MetricExplanation(
        metric=m.metric,
        unit=m.unit,
        kind=_KINDS[m.kind],
        typical=m.typical,
        effects=[
            prediction_pb2.FeatureEffect(feature=one.feature, effect=one.effect)
            for one in m.contributions
        ],
        calibration=m.calibration,
        median=m.median,
    )


def _neighbour(one: Neighbour, units: dict[str, str]) -> prediction_pb2.Neighbour:
    return prediction_pb2.Neighbour(
        features={name: value_message(value) for name, value in one.features.items()},
        measured=[
            prediction_pb2.MeasuredMetric(metric=name, unit=units[name], value=value)
            for name, value in one.measured.items()
        ],
        training_rows=one.training_rows,
        distance=one.distance,
    )
