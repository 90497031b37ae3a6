"""Snapshots: the exact rows that a bundle is fitted on, as one Parquet file.

One row per observation: ``observation_id``, ``observed_at`` (UTC), ``source``, ``tag``,
``outcome``, then ``f:<name>`` for each feature and each catalog fact (as sent), ``m:<metric>``
for what was measured and ``lb:<metric>`` for the value that a killed run had reached.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foretell.schema import Feature, Schema
from foretell_trainer.anomalies.ledger import KEPT_OUT
from foretell_trainer.ingest import IngestReport, ingest_file, merge_reports
from foretell_trainer.store import Store, sync_folder

FEATURE, METRIC, LOWER_BOUND = "f:", "m:", "lb:"

KEPT_OF_EACH = 20
"""So many of the newest of each id are in a window, however old: what is rare is not forgotten."""


@dataclass(frozen=True)
class Snapshot:
    """One Parquet file of observations and what a manifest says about it.

    ``time_range`` is (first, last) observation time, None when there are no rows; ``sources``
    are the distinct sources, sorted.
    """

    path: Path
    workload: str
    sha256: str
    rows: int
    time_range: tuple[datetime, datetime] | None
    sources: tuple[str, ...]


def write_part(whole: Snapshot, table: pa.Table, rows: NDArray[np.int64], folder: Path) -> Snapshot:
    """Write the snapshot of some of the rows of another, of its `table`, into a folder."""
    path = folder / f"{whole.workload}.parquet"
    pq.write_table(table.take(pa.array(rows)), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(whole, path=path, sha256=digest, rows=len(rows))


@dataclass(frozen=True)
class Columns:
    """A snapshot as arrays, in the order of the store.

    ``features`` maps each feature and fact name to n values: float64 with NaN for plain numbers
    and flags (0 or 1), else an object array of str with None. ``metrics`` and ``lower_bounds``
    are float64 [n, M] in schema order, NaN where there is none. ``time`` is datetime64[us] in
    UTC; ``ids``, ``sources``, ``tags`` and ``outcomes`` are object arrays of str.
    """

    features: Mapping[str, NDArray[Any]]
    metrics: NDArray[np.float64]
    lower_bounds: NDArray[np.float64]
    time: NDArray[np.datetime64]
    ids: NDArray[np.object_]
    sources: NDArray[np.object_]
    tags: NDArray[np.object_]
    outcomes: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: NDArray[np.int64]) -> Columns:
        """Return some of the rows, in the order given."""
        return Columns(
            features={name: values[rows] for name, values in self.features.items()},
            metrics=self.metrics[rows],
            lower_bounds=self.lower_bounds[rows],
            time=self.time[rows],
            ids=self.ids[rows],
            sources=self.sources[rows],
            tags=self.tags[rows],
            outcomes=self.outcomes[rows],
        )


def sent_features(schema: Schema) -> tuple[Feature, ...]:
    """Return what a caller may send: features that are not derived, then the catalogs' facts."""
    return tuple(feature for feature in schema.inputs if feature.derive is None)


def take_snapshot(
    store: Store,
    schema: Schema,
    folder: Path,
    *,
    simulated: bool = False,
    window: int | None = None,
) -> Snapshot:
    """Write the observations of a workload to a Parquet file in ``folder``.

    Simulated observations are left out unless asked for, anomalies until they are confirmed. The
    store is held for the copy alone; the file appears under its name when it is complete.
    With a `window`, only so many of the newest are copied, and beside them the newest
    `KEPT_OF_EACH` of each id (a category that is a group of its own).
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=folder) as incoming:
        written = Path(incoming) / "snapshot.parquet"
        with store.open() as connection:
            statement = _copy_statement(schema, written, simulated=simulated, window=window)
            connection.execute(statement)
        snapshot = _described(written, schema.workload, folder)
        written.rename(snapshot.path)
    sync_folder(folder)
    _record(store, snapshot)
    return snapshot


def snapshot_from_files(
    schema: Schema, files: Sequence[Path], folder: Path
) -> tuple[Snapshot, IngestReport]:
    """Make a snapshot of data files, without a store of one's own.

    The files go through the same checks, and rows with the same id are one row. Rejected rows
    are in the report.

    Raises:
        InvalidInput: a file as a whole cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        store = Store(Path(scratch))
        report = merge_reports([ingest_file(store, schema, path) for path in files])
        return take_snapshot(store, schema, folder), report


def read_snapshot(snapshot: Snapshot | Path, schema: Schema) -> Columns:
    """Read a snapshot into arrays; features that it does not have are missing throughout."""
    path = snapshot.path if isinstance(snapshot, Snapshot) else snapshot
    table = pq.read_table(path)
    return Columns(
        features={f.name: _feature_array(table, f) for f in sent_features(schema)},
        metrics=_matrix(table, [METRIC + m.name for m in schema.metrics]),
        lower_bounds=_matrix(table, [LOWER_BOUND + m.name for m in schema.metrics]),
        time=table["observed_at"].to_numpy(),
        ids=_texts(table, "observation_id"),
        sources=_texts(table, "source"),
        tags=_texts(table, "tag"),
        outcomes=_texts(table, "outcome"),
    )


def _copy_statement(schema: Schema, path: Path, *, simulated: bool, window: int | None) -> str:
    features = sent_features(schema)
    paths = ", ".join(_path(f.name) for f in features)
    cells = [_cell(position, feature) for position, feature in enumerate(features, start=1)]
    metrics = [
        f"max(value) FILTER (metric = {_text(metric.name)} AND {condition})"
        f" AS {_name(prefix + metric.name)}"
        for prefix, condition in ((METRIC, "NOT lower_bound"), (LOWER_BOUND, "lower_bound"))
        for metric in schema.metrics
    ]
    kept = "" if simulated else " AND NOT simulated"
    kept += f" AND number NOT IN ({KEPT_OUT})"
    if window is not None:
        kept += f" QUALIFY {' OR '.join(_newest(schema, window))}"
    # Every name and text below is quoted by _name and _text: nothing here is left to inject.
    return (
        f"COPY (SELECT observation_id, observed_at, source, tag, outcome, {', '.join(cells)},"  # noqa: S608
        f" measured.* EXCLUDE (observation)"
        f" FROM (SELECT *, json_extract_string(features, [{paths}]) AS sent FROM observations"
        f"   WHERE workload = {_text(schema.workload)}{kept}) o"
        f" LEFT JOIN (SELECT observation, {', '.join(metrics)} FROM metrics"
        f"   GROUP BY observation) measured ON measured.observation = o.number"
        f" ORDER BY o.number)"
        f" TO {_text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
    )


def _newest(schema: Schema, window: int) -> list[str]:
    """Return the conditions of which an observation in a window meets one."""
    sent = {feature.name for feature in sent_features(schema)}
    ids = [g[0] for g in schema.groups if len(g) == 1 and g[0] in sent]
    parts = [("", window)] + [
        (f"PARTITION BY json_extract_string(features, {_path(name)})", KEPT_OF_EACH) for name in ids
    ]
    return [
        f"row_number() OVER ({part} ORDER BY observed_at DESC, number DESC) <= {most}"
        for part, most in parts
    ]


def _cell(position: int, feature: Feature) -> str:
    kind = _column_type(feature)
    value = f"sent[{position}]"
    cast = value if kind == "VARCHAR" else f"TRY_CAST({value} AS {kind})"
    return f"{cast} AS {_name(FEATURE + feature.name)}"


def _column_type(feature: Feature) -> str:
    if feature.kind == "flag":
        return "BOOLEAN"
    # "43.9 MB" and "1x3x512x512" stay as sent: the encoder reads them, here as in serving.
    return "DOUBLE" if feature.kind == "number" and feature.format == "plain" else "VARCHAR"


def _described(path: Path, workload: str, folder: Path) -> Snapshot:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    table = pq.read_table(path, columns=["observed_at", "source"])
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return Snapshot(
        path=folder / f"{workload}-{stamp}-{digest[:8]}.parquet",
        workload=workload,
        sha256=digest,
        rows=table.num_rows,
        time_range=_time_range(table),
        sources=tuple(sorted(pc.unique(table["source"]).to_pylist())),
    )


def _time_range(table: pa.Table) -> tuple[datetime, datetime] | None:
    if not table.num_rows:
        return None
    extremes = pc.min_max(table["observed_at"])
    first, last = (extremes[end].as_py().replace(tzinfo=UTC) for end in ("min", "max"))
    return first, last


def _record(store: Store, snapshot: Snapshot) -> None:
    first, last = snapshot.time_range or (None, None)
    with store.open() as connection:
        connection.execute(
            "INSERT INTO snapshots BY NAME SELECT nextval('snapshot_number') AS number,"
            " ? AS workload, ? AS sha256, ? AS path, ? AS rows, ? AS first_at, ? AS last_at,"
            " ?::VARCHAR[] AS sources, now() AT TIME ZONE 'UTC' AS taken_at",
            [
                snapshot.workload,
                snapshot.sha256,
                str(snapshot.path),
                snapshot.rows,
                first and first.replace(tzinfo=None),
                last and last.replace(tzinfo=None),
                list(snapshot.sources),
            ],
        )


def _feature_array(table: pa.Table, feature: Feature) -> NDArray[Any]:
    name = FEATURE + feature.name
    numeric = _column_type(feature) != "VARCHAR"
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan) if numeric else np.full(table.num_rows, None, object)
    return _numbers(table, name) if numeric else _texts(table, name)


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    filled = pc.fill_null(pc.cast(table[name], pa.float64()), np.nan)
    return np.asarray(filled.to_numpy(), dtype=np.float64)


def _texts(table: pa.Table, name: str) -> NDArray[np.object_]:
    return np.asarray(table[name].to_pylist(), dtype=object)


def _matrix(table: pa.Table, names: Sequence[str]) -> NDArray[np.float64]:
    return np.column_stack([_numbers(table, name) for name in names])


def _path(name: str) -> str:
    return _text(f"$.{json.dumps(name)}")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
