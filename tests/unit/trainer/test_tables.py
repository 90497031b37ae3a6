"""Checking a table's rows against a schema."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from foretell.errors import InvalidInput
from foretell.schema import Schema
from foretell_trainer.readers import Table
from foretell_trainer.tables import CheckedTable, check_table, parse_time

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def checked(schema: Schema, **columns: list[Any]) -> CheckedTable:
    named = {name.replace("lb_", "lb:"): values for name, values in columns.items()}
    rows = len(next(iter(named.values())))
    return check_table(schema, Table("f.csv", named, range(2, rows + 2)), NOON)


def stored(table: CheckedTable) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.batch.observations.to_pylist()
    return [{**row, "features": json.loads(row["features"])} for row in rows]


def test_text_becomes_what_the_schema_says(schema: Schema) -> None:
    """Numbers and flags are parsed, what stands for a number stays as sent, blanks are missing."""
    table = checked(
        schema,
        binary=["fib", "sort"],
        size=["10", ""],
        image=["43.9 MB", "NA"],
        warm=["yes", "0"],
        seconds=["1.5", "2"],
    )
    assert [row["features"] for row in stored(table)] == [
        {"task": "fib", "size": 10.0, "image": "43.9 MB", "warm": True},
        {"task": "sort", "image": "NA", "warm": False},
    ]
    assert table.batch.metrics.to_pylist() == [
        {"row": 0, "metric": "duration_s", "value": 1.5, "lower_bound": False},
        {"row": 1, "metric": "duration_s", "value": 2.0, "lower_bound": False},
    ]


def test_bad_rows_are_rejected_with_line_and_reason(schema: Schema) -> None:
    """Each bad row says where it is and everything that is wrong; the good ones are kept."""
    table = checked(
        schema,
        binary=["fib", "", "fib", "fib", "fib"],
        size=["ten", "1", "0.5", "2", "3"],
        seconds=["1", "1", "-1", "", "4"],
    )
    assert [row["features"]["size"] for row in stored(table)] == [3.0]
    assert table.rows == 5
    reasons = {row.line: row.reason for row in table.batch.rejected}
    assert list(reasons) == [2, 3, 4, 5]
    assert "size" in reasons[2]
    assert "'ten'" in reasons[2]
    assert "task" in reasons[3]
    assert "size" in reasons[4]
    assert "duration_s" in reasons[4]
    assert reasons[5] == "a completed run measures at least one metric"


def test_a_measurement_that_cannot_be_is_left_out(schema: Schema) -> None:
    """A memory of 0 on a log scale spoils itself, not the duration beside it; it is said, and
    kept with the rejections. A row of which nothing else is known is rejected."""
    table = checked(
        schema,
        binary=["fib", "fib", "fib"],
        seconds=["1.5", "2", ""],
        memory_kb=["0", "64", "0"],
    )
    kept = [tuple(row.values())[:3] for row in table.batch.metrics.to_pylist()]
    assert kept == [(0, "duration_s", 1.5), (1, "duration_s", 2.0), (1, "memory_kb", 64.0)]
    (left_out,) = table.batch.left_out
    assert str(left_out) == "f.csv:2: memory_kb: '0' must be above 0"
    (rejected,) = table.batch.rejected
    assert (rejected.line, rejected.reason) == (4, left_out.reason)
    reasons = table.batch.rejections.column("reason").to_pylist()
    assert reasons == [rejected.reason, f"left out, the rest is stored: {left_out.reason}"]


def test_table_without_a_required_column_is_refused(schema: Schema) -> None:
    """A table that lacks a required feature, or every metric, is refused and its columns named."""
    with pytest.raises(InvalidInput) as caught:
        checked(schema, name=["fib"], size=["1"])
    messages = [str(violation) for violation in caught.value.violations]
    assert "binary: f.csv lacks this required column; it has: name, size" in messages
    assert "metrics: f.csv has none of seconds, memory_kb; it has: name, size" in messages


def test_columns_that_are_not_used_are_named(schema: Schema) -> None:
    """A mistyped column shows up as unused, and the one that was meant as absent."""
    table = checked(schema, binary=["fib"], Size=["1"], seconds=["1"], tag=["v1"])
    assert table.unused_columns == ("Size",)
    assert "size" in table.absent_columns


def test_rows_without_ids_are_told_apart_by_content_and_count(schema: Schema) -> None:
    """The same cells twice are two observations; the same table again is the same observations."""
    columns: dict[str, list[Any]] = {"binary": ["a", "b", "a"], "seconds": ["1", "2", "1"]}
    first = [row["observation_id"] for row in stored(checked(schema, **columns))]
    again = [row["observation_id"] for row in stored(checked(schema, **columns))]
    grown = {name: [*values, "9"] for name, values in columns.items()}
    assert len(set(first)) == 3
    assert again == first
    assert [row["observation_id"] for row in stored(checked(schema, **grown))][:3] == first


def test_envelope_columns(schema: Schema) -> None:
    """Id, time, source, tag, outcome and simulated are read where a table has them."""
    table = checked(
        schema,
        id=["o1", "o2"],
        time=["2026-01-01T00:00:00+02:00", ""],
        source=["lab", None],
        tag=["v7", None],
        outcome=["completed", "timeout"],
        simulated=["true", "false"],
        binary=["a", "b"],
        seconds=["1", None],
        lb_duration_s=[None, "30"],
    )
    first, second = stored(table)
    assert first["observation_id"] == "o1"
    assert first["observed_at"] == datetime(2025, 12, 31, 22, tzinfo=UTC)
    assert (first["source"], first["tag"], first["simulated"]) == ("lab", "v7", True)
    assert (second["observed_at"], second["source"], second["outcome"]) == (
        NOON,
        "",
        "timeout",
    )
    assert table.batch.metrics.to_pylist()[1] == {
        "row": 1,
        "metric": "duration_s",
        "value": 30.0,
        "lower_bound": True,
    }


def test_envelope_values_are_checked(schema: Schema) -> None:
    """A time, an outcome or a flag that is none rejects its row and says what is allowed."""
    table = checked(
        schema,
        time=["yesterday", "2026-01-01T00:00:00Z"],
        outcome=["completed", "crashed"],
        binary=["a", "b"],
        seconds=["1", "1"],
    )
    assert "time: 'yesterday' is not a time" in table.batch.rejected[0].reason
    assert "outcome: 'crashed' is not allowed; one of completed" in table.batch.rejected[1].reason


def test_schema_may_use_an_envelope_name(schema: Schema) -> None:
    """A column that the schema claims is a feature, even when it is called time or source."""
    size = schema.features[2].model_copy(update={"column": "time"})
    claimed = schema.model_copy(update={"features": (*schema.features[:2], size)})
    table = checked(claimed, binary=["a"], time=["77"], seconds=["1"])
    assert stored(table)[0]["features"]["size"] == 77.0
    assert stored(table)[0]["observed_at"] == NOON


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31 12:00:00", NOON),
        ("2026-01-31T14:00:00+02:00", NOON),
        (1769860800, NOON),
        (NOON, NOON),
    ],
)
def test_times(text: object, expected: datetime) -> None:
    """RFC 3339 and seconds since 1970 are times; without an offset they are UTC."""
    assert parse_time(text) == expected
