"""Plain observations: of the kind that nearly all are, and with nothing wrong.

Many are looked at together, one column after the other, by functions that loop in C: it takes a
tenth of the time of a look at each. What is not plain has a closer look taken at it, which
decides; so this look may be too strict, and never too lenient.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from math import isnan
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from foretell.schema import Feature, Schema

_FIELDS = ("id", "workload", "time", "outcome", "lower_bounds", "features", "metrics")
LONGEST_ID = 200


class _Readable(NamedTuple):
    """Which values can surely be read: of these types, numbers from ``low`` to ``high``."""

    types: frozenset[type]
    required: bool
    low: float | None = None
    high: float = 0.0

    def all_of(self, values: Sequence[Any]) -> bool:
        """Return whether all values, at least one, can surely be read."""
        if not self.types.issuperset(map(type, values)):
            return False
        if self.low is None:
            return not self.required or "" not in values
        return self.low <= min(values) and max(values) <= self.high and not any(map(isnan, values))


def _readable(feature: Feature) -> _Readable:
    """Return which values to look no closer at; MUST be some of those that `Encoder` reads."""
    if feature.kind == "category":
        return _Readable(frozenset((str,)), feature.required)
    if feature.kind == "flag":
        return _Readable(frozenset((bool,)), feature.required)
    most = sys.float_info.max
    low, high = max(feature.lower_limit, -most), min(feature.upper_limit, most)
    return _Readable(frozenset((float, int)), feature.required, low, high)


class Plain:
    """Tells whether observations of one schema are plain.

    Args:
        schema: what the observations are of.
        metrics: between which values there is surely nothing wrong with a metric.
        before: a time that is surely not too far in the future.
    """

    def __init__(
        self, schema: Schema, metrics: Mapping[str, tuple[float, float]], before: datetime
    ) -> None:
        self._workload = {schema.workload}
        self._features = {f.name: _readable(f) for f in schema.inputs if f.derive is None}
        self._metrics = {
            name: _Readable(frozenset((float, int)), required=False, low=low, high=high)
            for name, (low, high) in metrics.items()
        }
        self._before = before

    def holds(self, observations: Sequence[Any]) -> bool:
        """Return whether all of them are; each is an `Observation`, or a mapping like it."""
        if not observations:
            return True
        getter = itemgetter if isinstance(observations[0], Mapping) else attrgetter
        # A column each, and no tuple for each row: those would have to be collected.
        ids, workloads, times, outcomes, bounds, features, metrics = (
            list(map(getter(name), observations)) for name in _FIELDS
        )
        return (
            set(workloads) == self._workload
            and set(outcomes) == {"completed"}
            and not any(bounds)
            and min(map(len, ids)) > 0
            and max(map(len, ids)) <= LONGEST_ID
            and set(map(type, times)) == {datetime}
            and max(times) <= self._before
            and _all_fine(features, self._features)
            and _all_fine(metrics, self._metrics)
        )


def _all_fine(rows: Sequence[Mapping[str, Any]], wanted: Mapping[str, _Readable]) -> bool:
    """Return whether all rows have values, and only such as are wanted."""
    if not all(rows):
        return False
    names = set(chain.from_iterable(rows))
    if not names <= wanted.keys():
        return False
    for name, readable in wanted.items():
        values = [row[name] for row in rows if name in row] if name in names else []
        if readable.required and len(values) < len(rows):
            return False
        if values and not readable.all_of(values):
            return False
    return True
