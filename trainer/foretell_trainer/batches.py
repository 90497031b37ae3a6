"""Batches: checked observations on their way into the store, as Arrow tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
from pydantic_core import to_json

from foretell.parsing import Value

OBSERVATION_COLUMNS = pa.schema(
    [
        ("row", pa.int64()),
        ("workload", pa.string()),
        ("observation_id", pa.string()),
        ("observed_at", pa.timestamp("us", tz="UTC")),
        ("source", pa.string()),
        ("tag", pa.string()),
        ("outcome", pa.string()),
        ("simulated", pa.bool_()),
        ("prediction_id", pa.string()),
        ("features", pa.string()),
        ("answered_by", pa.string()),
    ]
)
ANOMALY_COLUMNS = pa.schema([("row", pa.int64()), ("reason", pa.string())])
METRIC_COLUMNS = pa.schema(
    [
        ("row", pa.int64()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("lower_bound", pa.bool_()),
    ]
)
REJECTION_COLUMNS = pa.schema(
    [
        ("digest", pa.string()),
        ("workload", pa.string()),
        ("observation_id", pa.string()),
        ("source", pa.string()),
        ("line", pa.int64()),
        ("reason", pa.string()),
        ("content", pa.string()),
    ]
)

CONTENT_KEPT = 4000
"""How many characters of a rejected observation are kept."""


@dataclass(frozen=True)
class RejectedRow:
    """An observation that is not used, and why.

    ``source`` is the file, or what the observation said; ``line`` its place in the file,
    counted from 1, None when it came from elsewhere.
    """

    source: str
    line: int | None
    reason: str
    content: str = ""
    observation_id: str = ""

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {self.reason}"


@dataclass(frozen=True)
class Batch:
    """Arrow tables that enter the store in one transaction, and the rejections among them.

    ``observations`` has the columns `OBSERVATION_COLUMNS`; ``metrics`` has `METRIC_COLUMNS`
    and refers to them by ``row``; ``rejections`` is ``rejected`` and ``left_out`` as
    `REJECTION_COLUMNS`.
    """

    observations: pa.Table
    metrics: pa.Table
    rejections: pa.Table
    rejected: tuple[RejectedRow, ...]
    left_out: tuple[RejectedRow, ...] = ()
    """Values that are not used, of observations that are."""
    anomalies: pa.Table = field(default_factory=ANOMALY_COLUMNS.empty_table)
    """Which observations are flagged, by ``row``, as `ANOMALY_COLUMNS`."""


@dataclass
class BatchBuilder:
    """Collects the observations of one workload, column by column."""

    workload: str
    complaint: Callable[[Mapping[str, Value], Mapping[str, float]], str] | None = None
    """Says why an observation of these features and metrics cannot be; empty when it can."""
    _anomalies: list[tuple[int, str]] = field(default_factory=list)
    _observations: list[tuple[Any, ...]] = field(default_factory=list)
    _metrics: list[tuple[int, str, float, bool]] = field(default_factory=list)

    def add(
        self,
        observation_id: str,
        observed_at: datetime,
        features: Mapping[str, Value],
        metrics: Mapping[str, float],
        lower_bounds: Mapping[str, float],
        *,
        source: str = "",
        tag: str = "",
        outcome: str = "completed",
        simulated: bool = False,
        prediction_id: str = "",
        answered_by: str = "",
    ) -> None:
        """Add one observation that has been checked; its time carries an offset."""
        row = len(self._observations)
        # A fifth of the time of the standard library's.
        written = to_json(features, inf_nan_mode="constants").decode()
        self._observations.append(
            (row, self.workload, observation_id, observed_at, source, tag, outcome, simulated,
             prediction_id, written, answered_by)
        )  # fmt: skip
        if self.complaint is not None and (why := self.complaint(features, metrics)):
            self._anomalies.append((row, why))
        for name, value in metrics.items():
            self._metrics.append((row, name, value, False))
        for name, value in lower_bounds.items():
            self._metrics.append((row, name, value, True))

    def build(
        self, rejected: Sequence[RejectedRow] = (), left_out: Sequence[RejectedRow] = ()
    ) -> Batch:
        """Return what was added as Arrow tables, with the rejections beside it."""
        partly = [replace(r, reason=f"left out, the rest is stored: {r.reason}") for r in left_out]
        return Batch(
            observations=_table(self._observations, OBSERVATION_COLUMNS),
            metrics=_table(self._metrics, METRIC_COLUMNS),
            rejections=_table(
                [_rejection(self.workload, row) for row in (*rejected, *partly)], REJECTION_COLUMNS
            ),
            rejected=tuple(rejected),
            left_out=tuple(left_out),
            anomalies=_table(self._anomalies, ANOMALY_COLUMNS),
        )


def _rejection(workload: str, row: RejectedRow) -> tuple[Any, ...]:
    content = row.content[:CONTENT_KEPT]
    facts = (workload, row.observation_id, row.source, row.line, row.reason, content)
    digest = hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()
    return (digest, *facts)


def _table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [
        pa.array(column, type=kind) for column, kind in zip(columns, schema.types, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
