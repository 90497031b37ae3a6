"""The numbered migrations of the DuckDB store.

A migration, once released, never changes: a new one is added at the end. Times are UTC in
columns of type TIMESTAMP, so that no time zone database is needed to read them.
"""

from __future__ import annotations

import duckdb

from foretell.errors import Unavailable

# INTEGER PRIMARY KEY has no auto-increment in DuckDB: numbers come from sequences.
_FIRST = """
CREATE SEQUENCE observation_number;
CREATE SEQUENCE rejection_number;
CREATE SEQUENCE snapshot_number;

CREATE TABLE observations (
    number BIGINT PRIMARY KEY DEFAULT nextval('observation_number'),
    workload VARCHAR NOT NULL,
    observation_id VARCHAR NOT NULL,
    observed_at TIMESTAMP NOT NULL,
    received_at TIMESTAMP NOT NULL,
    source VARCHAR NOT NULL,
    tag VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    simulated BOOLEAN NOT NULL,
    prediction_id VARCHAR NOT NULL,
    features VARCHAR NOT NULL,           -- a JSON object: name -> value, as sent
    digest UBIGINT NOT NULL              -- of workload and observation_id: finds known ids fast
);

CREATE TABLE metrics (
    observation BIGINT NOT NULL,         -- observations.number
    metric VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    lower_bound BOOLEAN NOT NULL         -- the run was killed when it had reached this value
);

CREATE TABLE rejected_observations (
    number BIGINT PRIMARY KEY DEFAULT nextval('rejection_number'),
    digest VARCHAR NOT NULL UNIQUE,      -- of what follows: a redelivery is counted once
    received_at TIMESTAMP NOT NULL,
    workload VARCHAR NOT NULL,
    observation_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,             -- a file, or what the observation said
    line BIGINT,                         -- in that file
    reason VARCHAR NOT NULL,
    content VARCHAR NOT NULL
);

CREATE TABLE catalogs (
    workload VARCHAR NOT NULL,
    catalog VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    facts VARCHAR NOT NULL,              -- a JSON object: name -> value
    source VARCHAR NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (workload, catalog, key)
);

CREATE TABLE jobs (
    job_id VARCHAR PRIMARY KEY,
    workload VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    spec VARCHAR NOT NULL,               -- a JSON object
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    snapshot_sha256 VARCHAR NOT NULL,
    bundle_version VARCHAR NOT NULL,
    error VARCHAR NOT NULL
);

CREATE TABLE snapshots (
    number BIGINT PRIMARY KEY DEFAULT nextval('snapshot_number'),
    workload VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    rows BIGINT NOT NULL,
    first_at TIMESTAMP,
    last_at TIMESTAMP,
    sources VARCHAR[] NOT NULL,
    taken_at TIMESTAMP NOT NULL
);
"""

# By observation: whether it is flagged, and what was decided. `answered_by` is the version of
# the bundle whose answer an outcome belongs to; empty where none is known.
_ANOMALIES = """
CREATE TABLE anomalies (
    observation BIGINT PRIMARY KEY,      -- observations.number
    reason VARCHAR NOT NULL,
    found_at TIMESTAMP NOT NULL,
    state VARCHAR NOT NULL DEFAULT 'open',   -- open, confirmed or discarded
    decided_at TIMESTAMP,
    decided_by VARCHAR NOT NULL DEFAULT '',
    decision_reason VARCHAR NOT NULL DEFAULT ''
);
ALTER TABLE observations ADD COLUMN answered_by VARCHAR DEFAULT '';
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _ANOMALIES)


def migrate(connection: duckdb.DuckDBPyConnection) -> int:
    """Bring the schema of an open store to the newest version, and return that version.

    Each migration and its row in ``schema_version`` are one transaction: a kill in between
    leaves the version before it.

    Raises:
        Unavailable: the file was written by a newer Foretell.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version"
        " (version INTEGER PRIMARY KEY, applied_at TIMESTAMP NOT NULL)"
    )
    rows = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchall()
    version = int(rows[0][0])
    if version > len(MIGRATIONS):
        why = f"it has schema version {version}; this Foretell knows {len(MIGRATIONS)}"
        raise Unavailable("the store", why)
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN TRANSACTION")
        try:
            connection.execute(statements)
            connection.execute(
                "INSERT INTO schema_version VALUES (?, now() AT TIME ZONE 'UTC')", [number]
            )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return len(MIGRATIONS)
