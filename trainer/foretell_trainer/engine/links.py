"""Linked metrics: one that follows from another by an identity is derived, so they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foretell.schema import Link, Schema
from foretell_trainer.engine.inputs import Floats, InputMap

_TOLERANCE = 0.02
"""The median error, in logs, up to which the data is taken to obey a declared identity."""


@dataclass(frozen=True)
class Derived:
    """A metric that is computed: log(metric) = constant + power · log(source) + features."""

    metric: int
    source: int
    power: float
    constant: float
    numbers: tuple[tuple[int, float], ...]
    """(position in `numbers`, power)"""

    def offset(self, inputs: InputMap, numbers: Floats, categories: np.ndarray) -> Floats:
        """Return what is added to power · location of the source, [n]."""
        values, _ = inputs.joined(numbers, categories)
        values = np.where(np.isnan(values), inputs.typical, values)
        total = np.full(len(numbers), self.constant)
        for position, power in self.numbers:
            total += power * np.log(np.maximum(values[:, position], inputs.floor[position]))
        return total


def derived_metrics(schema: Schema, numbers: Floats, metrics: Floats) -> list[Derived]:
    """Return the metrics to derive: those whose declared identity holds in the data.

    A link is used when it names one other metric that is not derived itself, both are on a log
    scale, its features are never missing, and the rows that have both metrics obey it.
    """
    found: list[Derived] = []
    for link in schema.links:
        candidate = _candidate(schema, link)
        if candidate and _is_free(candidate, found) and _holds(candidate, numbers, metrics):
            found.append(candidate)
    return found


def _is_free(candidate: Derived, found: Sequence[Derived]) -> bool:
    """Return whether a metric can be derived beside those that already are."""
    derived, sources = {d.metric for d in found}, {d.source for d in found}
    return candidate.metric not in derived | sources and candidate.source not in derived


def _candidate(schema: Schema, link: Link) -> Derived | None:
    sources = [name for name in link.factors if name in schema.metric_names]
    names = [link.metric, *sources]
    if len(sources) != 1 or any(schema.metric(name).scale != "log" for name in names):
        return None
    return Derived(
        metric=schema.metric_names.index(link.metric),
        source=schema.metric_names.index(sources[0]),
        power=link.factors[sources[0]],
        constant=float(np.log(link.constant)),
        numbers=tuple(
            (schema.number_names.index(name), power)
            for name, power in link.factors.items()
            if name not in schema.metric_names
        ),
    )


def _holds(derived: Derived, numbers: Floats, metrics: Floats) -> bool:
    features = numbers[:, [position for position, _ in derived.numbers]]
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(metrics)
        right = derived.constant + derived.power * logs[:, derived.source]
        right = right + np.log(features) @ np.array([power for _, power in derived.numbers])
        error = np.abs(logs[:, derived.metric] - right)
    compared = error[np.isfinite(error)]
    complete = bool(np.isfinite(np.log(np.maximum(features, 1e-300))).all())
    return complete and len(compared) > 0 and float(np.median(compared)) <= _TOLERANCE
