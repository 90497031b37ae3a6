"""Export: one ONNX graph that answers every metric of a row, and the proof that it is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from foretell.columns import Codes, Numbers
from foretell.errors import BundleRejected
from foretell_trainer.engine.fitting import Fitted, derived_tables, left_out
from foretell_trainer.engine.inputs import Floats, Integers
from foretell_trainer.engine.nodes.answers import AnswerNodes
from foretell_trainer.engine.scale import scale_features
from foretell_trainer.engine.seen import support
from foretell_trainer.engine.trees import Nudged, Trees

TOLERANCE = 1e-4
"""How far the graph may be from the native models, relative to the metric."""

_EDGE = 1e-5
"""As near to a threshold a row may take either branch: sums in another order differ by less."""

_MOST_ON_EDGES = 0.001
"""The share of rows that may, but for the first."""


@dataclass(frozen=True)
class Answers:
    """What the native models say, in the graph's shapes."""

    location: Floats
    scale: Floats
    support: Floats
    table: NDArray[np.int64]
    rows: Floats

    def take(self, rows: Integers) -> Answers:
        """Return the answers for some of the rows."""
        return Answers(
            self.location[rows],
            self.scale[rows],
            self.support[rows],
            self.table[rows],
            self.rows[rows],
        )


@dataclass(frozen=True)
class Proof:
    """What was found when a graph was compared with the models it was made from."""

    worst: float
    """The largest error, relative to each metric."""
    on_edges: Integers
    """The rows that are so near to a threshold of the trees that they took another branch."""


def build_graph(fitted: Fitted) -> onnx.ModelProto:
    """Return the graph: inputs, bases, one forest for all locations and scales, support."""
    return AnswerNodes(fitted).graph()


def _seen_by(fitted: Fitted) -> NDArray[np.int64]:
    """Return, per metric, which of what was seen it goes by, [M]."""
    return np.array([fitted.seen_by[m] for m in range(len(fitted.seen_by))], dtype=np.int64)


def beside_edges(fitted: Fitted, numbers: Numbers, categories: Codes) -> Sequence[Answers]:
    """Return what the models say of rows that are moved a little, to one side and the other."""
    return [native(fitted, numbers, categories, nudge=by) for by in (-_EDGE, _EDGE)]


def native(fitted: Fitted, numbers: Numbers, categories: Codes, *, nudge: float = 0.0) -> Answers:
    """Return what the models that the graph was made from say.

    With a `nudge`, what the trees see is larger by so much, and by that share of it.
    """

    def moved(trees: Trees | None) -> Trees | None:
        return Nudged(trees, nudge) if trees is not None and nudge else trees

    training = fitted.training
    inputs = training.input_map(numbers, categories)
    rows = [seen.counts.rows(inputs.codes) for seen in fitted.seen]
    distance = [seen.neighbourhood.distance(inputs.standard) for seen in fitted.seen]
    location = np.zeros((len(numbers), len(training.schema.metrics)))
    scale = np.zeros_like(location)
    for m in fitted.metrics:
        own = fitted.seen_by[m.metric]
        features = scale_features(m.location.features(inputs), rows[own], distance[own])
        own_location = replace(m.location, trees=moved(m.location.trees))
        own_scale = replace(m.scale, trees=moved(m.scale.trees))
        location[:, m.metric] = own_location.predict(inputs) * m.unit
        scale[:, m.metric] = own_scale.predict(features, inputs) * m.unit
    for derived in fitted.derived:
        offset = derived.offset(training.input_map, numbers, categories)
        location[:, derived.metric] = derived.power * location[:, derived.source] + offset
        scale[:, derived.metric] = abs(derived.power) * scale[:, derived.source]
    lacking = inputs.missing @ left_out(fitted).max(axis=1)
    value = support(fitted.counts, rows[0], distance[0], inputs.excess + lacking)
    tables = np.column_stack([fitted.counts.table(own) for own in rows])
    return Answers(location, scale, value, tables[:, _seen_by(fitted)], rows[0])


def quantile_values(fitted: Fitted) -> Floats:
    """Return the calibrated tables of all metrics, [T, M, Q]."""
    by_metric = {m.metric: m.tables for m in fitted.metrics}
    for derived in fitted.derived:
        by_metric[derived.metric] = derived_tables(by_metric[derived.source], derived.power)
    return np.stack([by_metric[m] for m in range(len(by_metric))], axis=1)


def prove(
    expected: Answers,
    found: Answers,
    units: Floats,
    beside: Callable[[Integers], Sequence[Answers]] = lambda _rows: (),
    version: str = "candidate",
) -> Proof:
    """Compare a graph's answers with those of the models.

    `beside` says of some rows, by their numbers, what the models say of them when moved a little:
    where a threshold of the trees lies between, either answer is right. Raises BundleRejected
    when the error is above the tolerance on any row.
    """
    errors = {name: _beyond([expected], found, units, name) for name in ("location", "scale")}
    # Of what is no number at all the comparison below is to speak.
    off = np.flatnonzero(np.any([e.max(axis=1) > TOLERANCE for e in errors.values()], axis=0))
    if 0 < len(off) <= max(1, int(_MOST_ON_EDGES * len(expected.support))):
        for name, error in errors.items():
            error[off] = _beyond([expected.take(off), *beside(off)], found.take(off), units, name)
    worst = 0.0
    for name, error in errors.items():
        worst = max(worst, float(error.max(initial=0.0)))
        if not np.isfinite(error).all() or worst > TOLERANCE:
            row = int(np.nanargmax(error.max(axis=1)))
            why = f"the graph's {name} differs by {worst:.2g} from the fitted model in row {row}"
            raise BundleRejected(version, why)
    if (expected.table != found.table).any() or (expected.rows != found.rows).any():
        raise BundleRejected(version, "the graph counts training rows differently")
    return Proof(worst, off)


def _beyond(alike: Sequence[Answers], found: Answers, units: Floats, name: str) -> Floats:
    """Return by how much the graph is out of the range of answers that are all right, [n, M]."""
    right = np.array([getattr(one, name) for one in alike])
    lowest, highest, answer = right.min(axis=0), right.max(axis=0), getattr(found, name)
    # The outputs are float32: far from 0, their rounding is no error of the graph.
    rounding = np.abs(right[0]) * np.finfo(np.float32).eps
    difference = np.maximum(answer - highest, lowest - answer)
    return np.asarray(np.maximum(difference - rounding, 0.0) / units)


def units_of(fitted: Fitted) -> Floats:
    """Return, per metric, what an error of the location is measured in, [M]."""
    units = np.ones(len(fitted.training.schema.metrics))
    for m in fitted.metrics:
        units[m.metric] = m.unit
    return units
