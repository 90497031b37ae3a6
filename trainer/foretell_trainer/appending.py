"""Appending: a batch of observations into the open store, each id once."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from foretell_trainer.batches import Batch


@dataclass(frozen=True)
class Appended:
    """What an append did: observations that were new, and those that were known already."""

    stored: int
    duplicates: int
    flagged: int = 0
    """Of those that were new: how many cannot be, and are kept out of training."""


def append_batch(connection: duckdb.DuckDBPyConnection, batch: Batch) -> Appended:
    """Append a batch, within a transaction; an observation id that is known changes nothing."""
    fresh = _append_observations(connection, batch)
    flagged = _append_anomalies(connection, batch, fresh)
    _append_rejections(connection, batch)
    duplicates = len(batch.observations) - len(fresh)
    return Appended(stored=len(fresh), duplicates=duplicates, flagged=flagged)


_ALL_FRESH = "SELECT nextval('observation_number') AS number, * FROM marked"
# The first of two rows with one id wins, within a batch as between batches.
_SOME_FRESH = (
    "WITH known AS (SELECT number FROM observations SEMI JOIN marked USING (digest)),"
    " named AS (SELECT row, digest, workload, observation_id FROM batch JOIN marked USING (row)),"
    " unknown AS (SELECT * FROM named ANTI JOIN"
    "   (SELECT workload, observation_id FROM observations WHERE number IN (FROM known))"
    "   USING (workload, observation_id))"
    " SELECT nextval('observation_number') AS number, row, digest FROM ("
    "   FROM unknown"
    "   QUALIFY row_number() OVER (PARTITION BY workload, observation_id ORDER BY row) = 1"
    "   ORDER BY row)"
)


def _append_observations(connection: duckdb.DuckDBPyConnection, batch: Batch) -> pa.Table:
    """Append those of the batch that are new, and return which: their ``row`` and ``number``."""
    connection.register("batch", batch.observations)
    # Known ids are found by their digests: one pass over eight bytes per observation. An index
    # would have to be read from disk by each process that opens the file, which takes longer.
    marked: pa.Table = connection.sql(
        "SELECT row, md5_number_lower(workload || ' ' || observation_id) AS digest FROM batch"
    ).to_arrow_table()
    connection.register("marked", marked)
    known = connection.execute(
        "SELECT count(*) FROM observations SEMI JOIN marked USING (digest)"
    ).fetchall()
    # Nearly always none, and then nobody need compare ids.
    is_new = not known[0][0] and len(marked["digest"].unique()) == len(marked)
    fresh: pa.Table = connection.sql(_ALL_FRESH if is_new else _SOME_FRESH).to_arrow_table()
    if len(fresh):
        _insert(connection, batch, fresh)
    connection.unregister("marked")
    connection.unregister("batch")
    return fresh


def _insert(connection: duckdb.DuckDBPyConnection, batch: Batch, fresh: pa.Table) -> None:
    # Put together as Arrow, which takes less than to have the database join the same.
    rows = batch.observations.take(fresh["row"]).drop_columns(["row"])
    times = rows["observed_at"].cast(pa.timestamp("us"))
    rows = rows.drop_columns(["observed_at"]).append_column("observed_at", times)
    for name in ("number", "digest"):
        rows = rows.append_column(name, fresh[name])
    connection.register("fresh_observations", rows)
    connection.execute(
        "INSERT INTO observations BY NAME"
        " SELECT *, now() AT TIME ZONE 'UTC' AS received_at FROM fresh_observations"
    )
    connection.unregister("fresh_observations")
    connection.register("fresh_metrics", _numbered(batch.metrics, fresh, "observation"))
    connection.execute("INSERT INTO metrics BY NAME FROM fresh_metrics")
    connection.unregister("fresh_metrics")


def _numbered(table: pa.Table, fresh: pa.Table, name: str) -> pa.Table:
    """Return the rows of a table that belong to fresh ones, whose numbers are in column `name`."""
    places = pc.index_in(table["row"], value_set=fresh["row"])
    numbers = fresh["number"].take(places)
    found = table.drop_columns(["row"]).append_column(name, numbers)
    return found.filter(places.is_valid()) if places.null_count else found


def _append_anomalies(connection: duckdb.DuckDBPyConnection, batch: Batch, fresh: pa.Table) -> int:
    """Flag those of the batch that cannot be and are fresh; return how many."""
    if not len(batch.anomalies):
        return 0
    flagged = _numbered(batch.anomalies, fresh, "observation")
    connection.register("batch_anomalies", flagged)
    connection.execute(
        "INSERT INTO anomalies BY NAME SELECT *, now() AT TIME ZONE 'UTC' AS found_at"
        " FROM batch_anomalies"
    )
    connection.unregister("batch_anomalies")
    return len(flagged)


def _append_rejections(connection: duckdb.DuckDBPyConnection, batch: Batch) -> None:
    if len(batch.rejections):
        connection.register("batch_rejections", batch.rejections)
        connection.execute(
            "INSERT INTO rejected_observations (digest, workload, observation_id, source, line,"
            " reason, content, received_at)"
            " SELECT *, now() AT TIME ZONE 'UTC' FROM batch_rejections"
            " QUALIFY row_number() OVER (PARTITION BY digest) = 1"
            " ON CONFLICT DO NOTHING"
        )
        connection.unregister("batch_rejections")
