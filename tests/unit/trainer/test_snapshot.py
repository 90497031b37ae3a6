"""Snapshots."""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from foretell.encoding import Encoder
from foretell.schema import Schema
from foretell.table_columns import build_vocabulary
from foretell_trainer.batches import BatchBuilder
from foretell_trainer.snapshot import read_snapshot, snapshot_from_files, take_snapshot
from foretell_trainer.store import Store

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with a full, a sparse, a killed and a simulated observation, and a stranger's."""
    builder = BatchBuilder("runs")
    builder.add(
        "full",
        NOON,
        {"task": "fib'x", "size": 10, "image": "2 GB", "warm": True, "code_bytes": 5},
        {"duration_s": 1.5, "memory_kb": 100.0},
        {},
        source="lab",
        tag="v1",
    )
    builder.add("sparse", NOON, {"task": 'so"rt'}, {"duration_s": 2.5}, {})
    builder.add(
        "killed", LATER, {"task": "fib"}, {}, {"duration_s": 30.0}, source="lab", outcome="timeout"
    )
    builder.add("made up", NOON, {"task": "fib"}, {"duration_s": 9.0}, {}, simulated=True)
    store.append(builder.build())
    other = BatchBuilder("others")
    other.add("full", NOON, {"task": "fib"}, {"duration_s": 7.0}, {})
    store.append(other.build())
    return store


def test_snapshot_describes_its_rows(filled: Store, schema: Schema, tmp_path: Path) -> None:
    """A snapshot names its hash, its rows, the times they span and where they come from."""
    snapshot = take_snapshot(filled, schema, tmp_path / "snapshots")
    assert snapshot.rows == 3
    assert snapshot.sha256 == hashlib.sha256(snapshot.path.read_bytes()).hexdigest()
    assert snapshot.time_range == (NOON, LATER)
    assert snapshot.sources == ("", "lab")
    assert list(snapshot.path.parent.iterdir()) == [snapshot.path]
    with filled.open() as connection:
        rows = connection.execute("SELECT workload, sha256, rows FROM snapshots").fetchall()
    assert rows == [("runs", snapshot.sha256, 3)]


def test_snapshot_is_wide(filled: Store, schema: Schema, tmp_path: Path) -> None:
    """One row per observation, with a column for each feature, fact, metric and lower bound."""
    snapshot = take_snapshot(filled, schema, tmp_path)
    rows = pq.read_table(snapshot.path).to_pylist()
    assert rows[0] == {
        "observation_id": "full",
        "observed_at": NOON.replace(tzinfo=None),
        "source": "lab",
        "tag": "v1",
        "outcome": "completed",
        "f:task": "fib'x",
        "f:size": 10.0,
        "f:image": "2 GB",
        "f:warm": True,
        "f:code_bytes": 5.0,
        "f:language": None,
        "m:duration_s": 1.5,
        "m:memory_kb": 100.0,
        "lb:duration_s": None,
        "lb:memory_kb": None,
    }
    assert rows[2]["m:duration_s"] is None
    assert rows[2]["lb:duration_s"] == 30.0
    assert rows[2]["outcome"] == "timeout"


def test_simulated_observations_only_when_asked(
    filled: Store, schema: Schema, tmp_path: Path
) -> None:
    """Simulated observations are kept in the store but enter a snapshot only on request."""
    assert take_snapshot(filled, schema, tmp_path, simulated=True).rows == 4


def test_read_snapshot_gives_arrays(filled: Store, schema: Schema, tmp_path: Path) -> None:
    """A snapshot reads back as arrays by name, with NaN and None for what is missing."""
    columns = read_snapshot(take_snapshot(filled, schema, tmp_path), schema)
    assert len(columns) == 3
    assert columns.features["task"].tolist() == ["fib'x", 'so"rt', "fib"]
    np.testing.assert_equal(columns.features["size"], [10.0, math.nan, math.nan])
    np.testing.assert_equal(columns.features["warm"], [1.0, math.nan, math.nan])
    assert columns.features["image"].tolist() == ["2 GB", None, None]
    np.testing.assert_equal(columns.metrics, [[1.5, 100], [2.5, math.nan], [math.nan, math.nan]])
    np.testing.assert_equal(columns.lower_bounds[2], [30.0, math.nan])
    assert columns.time[2] == np.datetime64(LATER.replace(tzinfo=None))
    assert columns.ids.tolist() == ["full", "sparse", "killed"]


def test_snapshot_feeds_the_encoder(filled: Store, schema: Schema, tmp_path: Path) -> None:
    """What a snapshot holds goes through the encoder without a rejected row."""
    columns = read_snapshot(take_snapshot(filled, schema, tmp_path), schema)
    vocabulary = build_vocabulary(schema, columns.features, named="name")
    encoded, rejections = Encoder(schema, vocabulary).encode_table(columns.features, named="name")
    assert rejections == []
    image = schema.number_names.index("image")
    assert encoded.numbers[0, image] == 2000.0


def test_an_older_snapshot_reads_with_a_newer_schema(
    filled: Store, schema: Schema, tmp_path: Path
) -> None:
    """A feature that the schema got after the snapshot was taken is missing throughout."""
    snapshot = take_snapshot(filled, schema, tmp_path)
    added = schema.features[2].model_copy(update={"name": "threads"})
    newer = schema.model_copy(update={"features": (*schema.features, added)})
    columns = read_snapshot(snapshot.path, Schema.model_validate(newer.model_dump()))
    assert np.isnan(columns.features["threads"]).all()


def test_empty_store_gives_an_empty_snapshot(store: Store, schema: Schema, tmp_path: Path) -> None:
    """A workload without observations has a snapshot of no rows and no time range."""
    snapshot = take_snapshot(store, schema, tmp_path)
    assert (snapshot.rows, snapshot.time_range, snapshot.sources) == (0, None, ())
    assert read_snapshot(snapshot, schema).metrics.shape == (0, 2)


def test_snapshot_from_files_counts_and_merges(schema: Schema, tmp_path: Path) -> None:
    """Files make a snapshot without a store: bad rows are reported, a file given twice is one."""
    data = tmp_path / "runs.csv"
    data.write_text("binary,size,seconds\nfib,1,0.5\nfib,none at all,0.5\nfib,2,0.7\n")
    snapshot, report = snapshot_from_files(schema, [data, data], tmp_path / "out")
    assert snapshot.rows == report.stored == 2
    assert (report.rows, report.duplicates) == (6, 2)
    assert {str(row)[:11] for row in report.rejected} == {"runs.csv:3: "[:11]}
    assert snapshot.sources == ("runs.csv",)


def test_a_snapshot_is_a_data_file(filled: Store, schema: Schema, tmp_path: Path) -> None:
    """A snapshot given as data makes the same columns again, lower bounds included."""
    first = take_snapshot(filled, schema, tmp_path)
    second, report = snapshot_from_files(schema, [first.path], tmp_path / "out")
    assert report.rejected == ()
    assert second.sha256 == first.sha256
