"""Metric families: what the metrics page shows, as values that travel between processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from foretell_server.telemetry.meters import Across, Distribution

Kind = Literal["counter", "gauge", "histogram"]
_WAYS: Mapping[Across, Callable[[Sequence[float]], float]] = {"sum": sum, "min": min, "max": max}

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the page: the name's end, labels and the value."""

    labels: Labels
    value: float
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its lines."""

    name: str
    kind: Kind
    help: str
    samples: tuple[Sample, ...]
    across: Across = "sum"


def labelled(**labels: str) -> Labels:
    """Return labels in the order given."""
    return tuple(labels.items())


def histogram(labels: Labels, distribution: Distribution) -> Iterator[Sample]:
    """Yield the lines of a distribution: cumulative counts by upper bound, count and sum."""
    ends = [*(f"{bound:.12g}" for bound in distribution.bounds), "+Inf"]
    counts = list(accumulate(distribution.counts))
    for end, count in zip(ends, counts, strict=True):
        yield Sample((*labels, ("le", end)), count, "_bucket")
    yield Sample(labels, counts[-1], "_count")
    yield Sample(labels, distribution.total, "_sum")


def merged(parts: Iterable[Sequence[Family]]) -> list[Family]:
    """Return the families of several processes as those of one."""
    families: dict[str, Family] = {}
    values: dict[str, dict[tuple[Labels, str], list[float]]] = {}
    for family in (family for part in parts for family in part):
        families.setdefault(family.name, family)
        lines = values.setdefault(family.name, {})
        for sample in family.samples:
            lines.setdefault((sample.labels, sample.suffix), []).append(sample.value)
    return [
        Family(
            name,
            first.kind,
            first.help,
            tuple(
                Sample(labels, _WAYS[first.across](found), suffix)
                for (labels, suffix), found in values[name].items()
            ),
            first.across,
        )
        for name, first in families.items()
    ]


def counters_of(families: Iterable[Family]) -> list[Family]:
    """Return what still counts when its process has ended: everything but the gauges."""
    return [family for family in families if family.kind != "gauge"]


def to_json(families: Iterable[Family]) -> bytes:
    """Return families as bytes; see `from_json`."""
    return json.dumps(
        [
            [f.name, f.kind, f.help, f.across, [[s.labels, s.value, s.suffix] for s in f.samples]]
            for f in families
        ]
    ).encode()


def from_json(data: bytes) -> list[Family]:
    """Return the families that `to_json` wrote."""
    return [
        Family(name, kind, text, tuple(_sample(line) for line in lines), across)
        for name, kind, text, across, lines in json.loads(data)
    ]


def _sample(line: Any) -> Sample:  # noqa: ANN401 -- from JSON
    labels, value, suffix = line
    return Sample(tuple((name, text) for name, text in labels), value, suffix)
