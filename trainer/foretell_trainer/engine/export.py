"""Export: one ONNX graph that answers every metric of a row, and the proof that it is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from foretell.columns import Codes, Numbers
from foretell.errors import BundleRejected
from foretell_trainer.engine.fitting import Fitted, derived_tables
from foretell_trainer.engine.inputs import Floats
from foretell_trainer.engine.nodes.answers import AnswerNodes
from foretell_trainer.engine.scale import scale_features
from foretell_trainer.engine.seen import support

TOLERANCE = 1e-4
"""How far the graph may be from the native models, relative to the metric."""


@dataclass(frozen=True)
class Answers:
    """What the native models say, in the graph's shapes."""

    location: Floats
    scale: Floats
    support: Floats
    table: NDArray[np.int64]
    rows: Floats


def build_graph(fitted: Fitted) -> onnx.ModelProto:
    """Return the graph: inputs, bases, one forest for all locations and scales, support."""
    return AnswerNodes(fitted).graph()


def _seen_by(fitted: Fitted) -> NDArray[np.int64]:
    """Return, per metric, which of what was seen it goes by, [M]."""
    return np.array([fitted.seen_by[m] for m in range(len(fitted.seen_by))], dtype=np.int64)


def native(fitted: Fitted, numbers: Numbers, categories: Codes) -> Answers:
    """Return what the models that the graph was made from say."""
    training = fitted.training
    inputs = training.input_map(numbers, categories)
    rows = [seen.counts.rows(inputs.codes) for seen in fitted.seen]
    distance = [seen.neighbourhood.distance(inputs.standard) for seen in fitted.seen]
    location = np.zeros((len(numbers), len(training.schema.metrics)))
    scale = np.zeros_like(location)
    for m in fitted.metrics:
        own = fitted.seen_by[m.metric]
        features = scale_features(m.location.features(inputs), rows[own], distance[own])
        location[:, m.metric] = m.location.predict(inputs) * m.unit
        scale[:, m.metric] = m.scale.predict(features, inputs) * m.unit
    for derived in fitted.derived:
        offset = derived.offset(training.input_map, numbers, categories)
        location[:, derived.metric] = derived.power * location[:, derived.source] + offset
        scale[:, derived.metric] = abs(derived.power) * scale[:, derived.source]
    value = support(fitted.counts, rows[0], distance[0], inputs.excess)
    tables = np.column_stack([fitted.counts.table(own) for own in rows])
    return Answers(location, scale, value, tables[:, _seen_by(fitted)], rows[0])


def quantile_values(fitted: Fitted) -> Floats:
    """Return the calibrated tables of all metrics, [T, M, Q]."""
    by_metric = {m.metric: m.tables for m in fitted.metrics}
    for derived in fitted.derived:
        by_metric[derived.metric] = derived_tables(by_metric[derived.source], derived.power)
    return np.stack([by_metric[m] for m in range(len(by_metric))], axis=1)


def prove(expected: Answers, found: Answers, units: Floats, version: str = "candidate") -> float:
    """Return the largest error of the graph, relative to each metric.

    Raises BundleRejected when it is above the tolerance on any row.
    """
    worst = 0.0
    for name in ("location", "scale"):
        mine = getattr(expected, name)
        # The outputs are float32: far from 0, their rounding is no error of the graph.
        rounding = np.abs(mine) * np.finfo(np.float32).eps
        difference = np.abs(mine - getattr(found, name))
        error = np.maximum(difference - rounding, 0.0) / units
        worst = max(worst, float(error.max(initial=0.0)))
        if not np.isfinite(error).all() or worst > TOLERANCE:
            row = int(np.nanargmax(error.max(axis=1)))
            why = f"the graph's {name} differs by {worst:.2g} from the fitted model in row {row}"
            raise BundleRejected(version, why)
    if (expected.table != found.table).any() or (expected.rows != found.rows).any():
        raise BundleRejected(version, "the graph counts training rows differently")
    return worst


def units_of(fitted: Fitted) -> Floats:
    """Return, per metric, what an error of the location is measured in, [M]."""
    units = np.ones(len(fitted.training.schema.metrics))
    for m in fitted.metrics:
        units[m.metric] = m.unit
    return units
