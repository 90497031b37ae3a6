"""From a file's table to a batch: which column is what, which rows can be used."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from foretell.columns import Column, category_column
from foretell.encoding import Encoder
from foretell.errors import InvalidInput, Violation
from foretell.observation import Outcome
from foretell.parsing import Value, parse_flag, shown
from foretell.schema import Schema
from foretell.table_columns import Rejection, columns_by_name, metric_values
from foretell_trainer.anomalies.identities import Identities
from foretell_trainer.batches import Batch, BatchBuilder, RejectedRow
from foretell_trainer.readers import Table

LOWER_BOUND = "lb:"
"""The prefix of a column that holds what a killed run's metric had reached."""

_ID_NAMES = ("observation_id", "id")
_TIME_NAMES = ("observed_at", "time", "timestamp")
_OUTCOMES = get_args(Outcome)


@dataclass(frozen=True)
class CheckedTable:
    """A table's batch, and what was noticed on the way.

    A measurement that cannot be, such as a duration of 0, is left out and said in
    ``batch.left_out``; its row is kept for what else it measured.
    """

    batch: Batch
    rows: int
    unused_columns: tuple[str, ...]
    """Columns that neither the schema nor the observation's form knows."""
    absent_columns: tuple[str, ...]
    """Columns that the schema knows and the table does not have."""


def check_table(schema: Schema, table: Table, default_time: datetime) -> CheckedTable:
    """Check every row of a table against the schema.

    A row without an id column gets the hash of its cells and of how often the same cells came
    before in this table: reading a file twice, or a file that has grown, doubles nothing.
    ``default_time`` is for tables without a time column.

    Raises:
        InvalidInput: the table has none of the metrics, or lacks a required feature.
    """
    named = columns_by_name(schema, table.columns)
    bounds = _lower_bounds(schema, table.columns)
    _refuse_unusable(schema, table, named, bounds)
    envelope = _Envelope.find(schema, table.columns)
    complaints, spoilt = _Complaints(len(table)), _Complaints(len(table))
    features = _features(schema, named, complaints)
    measured = _metrics(schema, named, spoilt)
    reached = _metrics(schema, bounds, spoilt)
    ids = envelope.ids(schema.workload, table, complaints)
    defaults: dict[str, Any] = {"observed_at": default_time}
    if "source" not in envelope.found:
        defaults["source"] = table.source
    meta = envelope.rows(len(table), defaults, complaints)
    builder = BatchBuilder(schema.workload, Identities(schema).complaint)
    for row in range(len(table)):
        completed = meta[row].get("outcome", "completed") == "completed"
        if complaints.why[row] or not (measured[row] or reached[row]):
            complaints.why[row] += spoilt.why[row]
            spoilt.why[row] = []
        if not complaints.why[row] and completed and not measured[row]:
            complaints.add(row, "a completed run measures at least one metric")
        if not complaints.why[row]:
            builder.add(ids[row], features=features(row), metrics=measured[row],
                        lower_bounds=reached[row], **meta[row])  # fmt: skip
    rejected = (*table.rejected, *_rejected_rows(table, ids, complaints))
    left_out = _rejected_rows(table, ids, spoilt)
    known = {f.source_column for f in schema.features} | {m.source_column for m in schema.metrics}
    used = known | set(schema.number_names) | set(schema.category_names) | set(bounds)
    used |= set(schema.metric_names) | envelope.columns | _bound_columns(schema)
    return CheckedTable(
        batch=builder.build(rejected, left_out),
        rows=len(table) + len(table.rejected),
        unused_columns=tuple(name for name in table.columns if name not in used),
        absent_columns=_absent_columns(schema, named, bounds),
    )


def _absent_columns(
    schema: Schema, named: Mapping[str, Column], bounds: Mapping[str, Column]
) -> tuple[str, ...]:
    columns = {f.name: f.source_column for f in schema.features if f.derive is None}
    columns |= {m.name: m.source_column for m in schema.metrics}
    return tuple(
        column for name, column in columns.items() if name not in named and name not in bounds
    )


class _Complaints:
    """What is wrong with each row."""

    def __init__(self, rows: int) -> None:
        self.why: list[list[str]] = [[] for _ in range(rows)]

    def add(self, row: int, message: str) -> None:
        self.why[row].append(message)

    def add_all(self, rejections: Sequence[Rejection]) -> None:
        for rejection in rejections:
            self.why[rejection.row] += [_reason(v) for v in rejection.violations]


def _reason(violation: Violation) -> str:
    value = f" (the value is {violation.value})" if violation.value not in violation.message else ""
    return f"{violation}{value}"


def _refuse_unusable(
    schema: Schema, table: Table, named: Mapping[str, Column], bounds: Mapping[str, Column]
) -> None:
    has = ", ".join(table.columns)
    violations = [
        Violation(f.source_column, "", f"{table.source} lacks this required column; it has: {has}")
        for f in schema.features
        if f.required and f.name not in named
    ]
    if not bounds and not any(name in named for name in schema.metric_names):
        wanted = ", ".join(metric.source_column for metric in schema.metrics)
        violations.append(
            Violation("metrics", "", f"{table.source} has none of {wanted}; it has: {has}")
        )
    if violations:
        raise InvalidInput(violations)


def _bound_columns(schema: Schema) -> set[str]:
    names = {m.name for m in schema.metrics} | {m.source_column for m in schema.metrics}
    return {LOWER_BOUND + name for name in names}


def _lower_bounds(schema: Schema, columns: Mapping[str, Column]) -> dict[str, Column]:
    return {
        metric.name: columns[LOWER_BOUND + name]
        for metric in schema.metrics
        for name in (metric.name, metric.source_column)
        if LOWER_BOUND + name in columns
    }


def _features(
    schema: Schema, named: Mapping[str, Column], complaints: _Complaints
) -> Callable[[int], dict[str, Value]]:
    """Check the features and return the function that gives a row's, without missing ones."""
    encoded, rejections = Encoder(schema, {}).encode_table(named, named="name")
    complaints.add_all(rejections)
    cells: dict[str, Sequence[Value]] = {}
    for feature in schema.inputs:
        if feature.name not in named:
            continue
        if feature.kind == "number" and feature.format != "plain":
            # Kept as text, so that a schema that changes the unit still reads it right.
            cells[feature.name] = [_plain(value) for value in named[feature.name]]
        elif feature.is_numeric:
            numbers = encoded.numbers[:, schema.number_names.index(feature.name)].tolist()
            read = _flag if feature.kind == "flag" else _number
            cells[feature.name] = [read(number) for number in numbers]
        else:
            cells[feature.name] = category_column(named[feature.name])[0]
    return lambda row: {
        name: values[row] for name, values in cells.items() if values[row] is not None
    }


def _plain(value: Value) -> Value:
    if value is None or isinstance(value, (str, bool, int)):
        return value or None if isinstance(value, str) else value
    return _number(float(value))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _flag(value: float) -> bool | None:
    return None if math.isnan(value) else bool(value)


def _metrics(
    schema: Schema, named: Mapping[str, Column], complaints: _Complaints
) -> list[dict[str, float]]:
    rows = len(complaints.why)
    if not any(name in named for name in schema.metric_names):
        return [{} for _ in range(rows)]
    values, rejections = metric_values(schema, named, named="name")
    complaints.add_all(rejections)
    return [
        {
            name: value
            for name, value in zip(schema.metric_names, row, strict=True)
            if not math.isnan(value)
        }
        for row in values.tolist()
    ]


@dataclass(frozen=True)
class _Envelope:
    """The columns that say which observation a row is: id, time, source and so on."""

    found: Mapping[str, Column]
    columns: set[str]

    @classmethod
    def find(cls, schema: Schema, columns: Mapping[str, Column]) -> _Envelope:
        taken = {f.source_column for f in schema.features} | {f.name for f in schema.inputs}
        taken |= {m.source_column for m in schema.metrics} | set(schema.metric_names)
        wanted = {
            "id": (schema.id_column,) if schema.id_column else _ID_NAMES,
            "time": (schema.time_column,) if schema.time_column else _TIME_NAMES,
            "source": ("source",),
            "tag": ("tag",),
            "outcome": ("outcome",),
            "simulated": ("simulated",),
            "prediction_id": ("prediction_id",),
        }
        explicit = {schema.id_column, schema.time_column}
        chosen = {
            role: name
            for role, names in wanted.items()
            for name in reversed(names)
            if name in columns and (name not in taken or name in explicit)
        }
        return cls({role: columns[name] for role, name in chosen.items()}, set(chosen.values()))

    def ids(self, workload: str, table: Table, complaints: _Complaints) -> list[str]:
        column = self.found.get("id")
        if column is None:
            return _content_ids(workload, table)
        texts, _ = category_column(column)
        for row, text in enumerate(texts):
            if text is None:
                complaints.add(row, "the id is missing")
        return [text or "" for text in texts]

    def rows(
        self, rows: int, defaults: Mapping[str, Any], complaints: _Complaints
    ) -> list[dict[str, Any]]:
        meta: list[dict[str, Any]] = [dict(defaults) for _ in range(rows)]
        readers: dict[str, tuple[str, Callable[[Any], Any]]] = {
            "time": ("observed_at", parse_time),
            "source": ("source", str),
            "tag": ("tag", str),
            "prediction_id": ("prediction_id", str),
            "outcome": ("outcome", _outcome),
            "simulated": ("simulated", _truth),
        }
        for role, (name, read) in readers.items():
            for row, value in enumerate(self.found.get(role, ())):
                if value is None or value == "":
                    continue
                try:
                    meta[row][name] = read(value)
                except ValueError as error:
                    complaints.add(row, f"{role}: {error}")
        return meta


def parse_time(value: object) -> datetime:
    """Read an RFC 3339 text, or seconds since 1970; without an offset it is UTC."""
    try:
        if isinstance(value, datetime):
            time = value
        else:
            number = _seconds(value)
            time = (
                datetime.fromisoformat(str(value))
                if number is None
                else datetime.fromtimestamp(number, UTC)
            )
    except (ValueError, OverflowError, OSError):
        msg = f"{shown(value)} is not a time such as 2026-01-31T12:00:00Z"
        raise ValueError(msg) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _seconds(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _outcome(value: object) -> str:
    if value not in _OUTCOMES:
        msg = f"{shown(value)} is not allowed; one of {', '.join(_OUTCOMES)}"
        raise ValueError(msg)
    return str(value)


def _truth(value: object) -> bool:
    try:
        return bool(parse_flag(str(value)))
    except ValueError:
        msg = f"{shown(value)} is not true or false"
        raise ValueError(msg) from None


def _content_ids(workload: str, table: Table) -> list[str]:
    names = list(table.columns)
    seen: Counter[str] = Counter()
    ids: list[str] = []
    for cells in zip(*table.columns.values(), strict=True):
        content = json.dumps([workload, names, cells], default=str)
        digest = hashlib.blake2b(content.encode(), digest_size=12).hexdigest()
        seen[digest] += 1
        ids.append(f"row-{digest}-{seen[digest]}")
    return ids


def _rejected_rows(table: Table, ids: Sequence[str], complaints: _Complaints) -> list[RejectedRow]:
    return [
        RejectedRow(
            source=table.source,
            line=table.lines[row],
            reason="; ".join(why),
            content=_content(table, row),
            observation_id=ids[row],
        )
        for row, why in enumerate(complaints.why)
        if why
    ]


def _content(table: Table, row: int) -> str:
    cells = {name: column[row] for name, column in table.columns.items() if column[row] is not None}
    return json.dumps(cells, default=str, ensure_ascii=False)
