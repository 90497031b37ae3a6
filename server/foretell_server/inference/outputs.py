"""Outputs: what a client of the Open Inference Protocol may ask about each row, by name.

For each metric: `<metric>`, the median; `<metric>_lower` and `<metric>_upper`, the ends of the
interval; `<metric>_confidence`; and any quantile, such as `<metric>_p95` or `<metric>_p99.9`.
For the row: `support`, `tier`, `abstained`, and `unknown_features` with commas between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from numpy.typing import NDArray

from foretell.errors import InvalidInput, Violation, listing
from foretell_server.answers import Answers, MetricAnswer

Values = NDArray[Any] | Sequence[str]

_QUANTILE = re.compile(r"(?P<metric>.+)_p(?P<percent>\d{1,2}(\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Output:
    """One thing to answer, [n]."""

    name: str
    datatype: str
    read: Callable[[Answers], Values]
    metric: str = ""
    """The metric that it is about; empty when it is about the row."""
    quantile: float | None = None
    """The level, when it is a quantile."""


@lru_cache(maxsize=64)
def outputs_of(metrics: tuple[str, ...]) -> Mapping[str, Output]:
    """Return what a workload with these metrics answers unless asked for something else.

    Metrics come first: what else would have the name of a metric is not offered.
    """
    found = [_of_metric(metric, "", "median") for metric in metrics]
    for metric in metrics:
        found += [_of_metric(metric, f"_{part}", part) for part in ("lower", "upper", "confidence")]
    found += [
        Output("support", "FP64", lambda answers: answers.support),
        Output("tier", "BYTES", lambda answers: answers.tiers),
        Output("abstained", "BOOL", lambda answers: answers.abstained),
        Output("unknown_features", "BYTES", lambda a: [",".join(names) for names in a.unknown]),
    ]
    offered: dict[str, Output] = {}
    for output in found:
        offered.setdefault(output.name, output)
    return offered


def chosen(names: Sequence[str], metrics: tuple[str, ...]) -> tuple[Output, ...]:
    """Return the outputs of these names, all of them when there are none.

    Raises InvalidInput for a name that stands for nothing.
    """
    offered = outputs_of(metrics)
    if not names:
        return tuple(offered.values())
    found = [offered.get(name) or _quantile(name, metrics) for name in names]
    violations = [
        Violation(
            f"outputs[{name}]",
            name,
            f"there is no output {name!r}; known: {listing(list(offered), 40)}, and quantiles such "
            f"as {metrics[0]}_p95",
        )
        for name, output in zip(names, found, strict=True)
        if output is None
    ]
    if violations:
        raise InvalidInput(violations)
    return tuple(output for output in found if output is not None)


def _quantile(name: str, metrics: Sequence[str]) -> Output | None:
    match = _QUANTILE.fullmatch(name)
    if match is None or match["metric"] not in metrics:
        return None
    metric, level = match["metric"], float(match["percent"]) / 100
    return Output(
        name, "FP64", lambda a: dict(_about(a, metric).quantiles)[level], metric, quantile=level
    )


def _of_metric(metric: str, ending: str, part: str) -> Output:
    def read(answers: Answers) -> Values:
        values: Values = getattr(_about(answers, metric), part)
        return values

    return Output(f"{metric}{ending}", "FP64", read, metric)


def _about(answers: Answers, metric: str) -> MetricAnswer:
    return next(answer for answer in answers.metrics if answer.metric.name == metric)
