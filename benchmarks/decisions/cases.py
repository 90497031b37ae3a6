"""Cases: one item of work, measured in several configurations, and what each really took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmarks.datasets import Loaded
from foretell.decide import Candidate
from foretell_trainer.engine.inputs import Floats, Integers

PLACE = "hardware"


@dataclass(frozen=True)
class About:
    """What a data set is asked."""

    objective: str
    """The metric that the choice is for."""
    limited: str
    """The metric that limits are put on."""
    item: tuple[str, ...]
    """The features of the item; all others are the candidate's."""
    limited_item: tuple[str, ...]
    """The same where a limit is to bind: the batch size is part of the choice."""


ABOUT: Mapping[str, About] = MappingProxyType(
    {
        "vision_models": About(
            "throughput_per_s", "latency_ms", ("model", "image_size"), ("model",)
        ),
        "llm_models": About(
            "throughput_tok_s", "latency_s", ("model", "tokens", "batch_size"), ("model", "tokens")
        ),
    }
)


@dataclass(frozen=True)
class Case:
    """One item and its candidates; equal configurations that were measured twice are one."""

    features: dict[str, Any]
    candidates: tuple[Candidate, ...]
    truth: Floats
    """[candidates, M], means of what was measured; NaN where it was not."""


def cases(loaded: Loaded, rows: Integers, item: tuple[str, ...], metric: int) -> Iterator[Case]:
    """Yield the items that were measured on two pieces of hardware or more."""
    flags = {f.name for f in loaded.schema.features if f.kind == "flag"}
    columns = {
        name: [_plain(value, flag=name in flags) for value in values[rows].tolist()]
        for name, values in loaded.columns.features.items()
    }
    metrics = loaded.columns.metrics[rows]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i in np.flatnonzero(np.isfinite(metrics[:, metric])).tolist():
        groups.setdefault(tuple(columns[name][i] for name in item), []).append(i)
    for key, members in groups.items():
        measured: dict[tuple[Any, ...], list[int]] = {}
        rest = [name for name in columns if name not in item]
        for i in members:
            own = tuple((n, columns[n][i]) for n in rest if columns[n][i] is not None)
            measured.setdefault(own, []).append(i)
        if len({dict(own)[PLACE] for own in measured}) > 1:
            features = {n: v for n, v in zip(item, key, strict=True) if v is not None}
            truth = np.array([metrics[found].mean(axis=0) for found in measured.values()])
            yield Case(features, tuple(_candidate(dict(own)) for own in measured), truth)


def _candidate(own: dict[str, Any]) -> Candidate:
    return Candidate(own.pop(PLACE), own)


def _plain(value: Any, *, flag: bool) -> Any:  # noqa: ANN401 -- a cell
    if isinstance(value, float) and np.isnan(value):
        return None
    return bool(value) if flag and value is not None else value
