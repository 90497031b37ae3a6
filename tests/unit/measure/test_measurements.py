"""What is written can be read by the store, and means the same in each file."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyarrow import parquet

from foretell.measure.measurements import COLUMNS, Measurement, Measurements
from foretell.measure.nodes import NODES
from foretell.measure.tasks import TASKS, compile_text
from foretell.measure.wasm_features import features_of
from foretell.schema_file import builtin_schemas

TIME = datetime(2026, 3, 1, 12, 30, 0, 250_000, tzinfo=UTC)


def completed(argument: int, duration_s: float) -> Measurement:
    return Measurement(
        "a1", TIME, "sieve", "cranelift-speed", argument, "completed",
        duration_s=duration_s, cpu_s=0.4, memory_kb=30_000.0, compile_s=0.002, pace_s=0.0005,
    )  # fmt: skip


CENSORED = Measurement(
    "a2", TIME, "sieve", "cranelift-none", 9, "timeout",
    lower_bounds={"duration_s": 10.1, "memory_kb": 40_000.0}, reason="killed after 10 s",
)  # fmt: skip


def written(folder: Path, *runs: Measurement) -> Path:
    function = {"function": "sieve", **features_of(compile_text(TASKS["sieve"].path)).as_row()}
    node = NODES["cranelift-speed"].facts()
    Measurements(runs, (function,), (node,), {"simulated": False}).write(folder / "new" / "deep")
    return folder / "new" / "deep"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_parquet_keeps_types_and_missing_values(tmp_path: Path) -> None:
    """Times stay times in UTC, what was not measured is null, lower bounds are columns."""
    folder = written(tmp_path, completed(5, 0.5), CENSORED)
    first, second = parquet.read_table(folder / "observations.parquet").to_pylist()
    assert tuple(first) == tuple(COLUMNS)
    assert first["time"] == TIME
    assert (first["duration_s"], first["memory_kb"], first["lb:duration_s"]) == (0.5, 30_000, None)
    assert (second["duration_s"], second["lb:duration_s"]) == (None, 10.1)
    assert second["outcome"] == "timeout"
    assert first["simulated"] is False
    assert first["source"] == "measure wasm"


def test_csv_says_the_same_as_parquet(tmp_path: Path) -> None:
    """Numbers are written in full, missing ones as nothing, times with their zone."""
    folder = written(tmp_path, completed(5, 0.1 + 0.2), CENSORED)
    first, second = rows_of(folder / "observations.csv")
    assert list(first) == list(COLUMNS)
    assert float(first["duration_s"]) == 0.1 + 0.2
    assert first["time"] == "2026-03-01T12:30:00.250000+00:00"
    assert first["simulated"] == "false"
    assert (second["duration_s"], second["lb:duration_s"]) == ("", "10.1")


def test_no_runs_still_make_files_with_their_columns(tmp_path: Path) -> None:
    """A budget that was too short for anything leaves readable, empty tables."""
    folder = written(tmp_path)
    assert rows_of(folder / "observations.csv") == []
    assert parquet.read_table(folder / "observations.parquet").num_rows == 0


def test_files_match_the_built_in_schema(tmp_path: Path) -> None:
    """Required features, metrics and nearly all facts of `serverless` are columns of that name."""
    schema = builtin_schemas()["serverless"]
    folder = written(tmp_path, completed(5, 0.5))
    columns = set(rows_of(folder / "observations.csv")[0])
    assert {f.name for f in schema.features if f.required} | {"argument"} <= columns
    assert {m.name for m in schema.metrics} <= columns
    for catalog in schema.catalogs:
        row = rows_of(folder / f"{catalog.name}.csv")[0]
        assert row[catalog.key]
        assert {fact.name for fact in catalog.facts} <= set(row)


def test_about_is_json(tmp_path: Path) -> None:
    """Where the numbers come from lies beside them."""
    folder = written(tmp_path, completed(5, 0.5))
    assert json.loads((folder / "about.json").read_text(encoding="utf-8")) == {"simulated": False}


def test_repeat_noise_is_the_median_relative_deviation() -> None:
    """Runs without a repeat and runs that did not complete do not take part."""
    runs = (*(completed(5, d) for d in (0.9, 1.0, 1.2)), completed(6, 77.0), CENSORED)
    assert Measurements(runs, (), (), {}).repeat_noise() == pytest.approx(0.1)
    assert Measurements(runs[3:], (), (), {}).repeat_noise() is None
