"""The DuckDB store: what was observed, what was rejected, and what was made of it.

A DuckDB file admits one process at a time. So the store is opened briefly, under a lock file
beside it: whoever of Foretell's own processes comes second waits; a stranger who holds the file
for longer than the wait is reported as `Unavailable`.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa
from foretell.errors import Unavailable

from foretell_trainer.batches import Batch
from foretell_trainer.migrations import migrate

FILE_NAME = "foretell.duckdb"


@dataclass(frozen=True)
class Appended:
    """What an append did: rows that were new, rows that were there already, rows rejected."""

    stored: int
    duplicates: int
    rejected: int


class Store:
    """The store in one folder.

    Args:
        folder: where `foretell.duckdb` and its lock file are, made when missing.
        wait_s: how long to wait for somebody else who has the file open.
    """

    def __init__(self, folder: Path, wait_s: float = 30.0) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self.wait_s = wait_s

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the store: lock, open, migrate; on leaving close and unlock.

        Raises:
            Unavailable: somebody else holds the file beyond ``wait_s``, or it cannot be opened.
        """
        deadline = time.monotonic() + self.wait_s
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock_file = self.path.with_suffix(".lock").open("w")
        except OSError as error:
            raise Unavailable(f"the store {self.path}", str(error)) from error
        with lock_file:
            self._lock(lock_file, deadline)
            connection = self._connect(deadline)
            try:
                migrate(connection)
                yield connection
            finally:
                connection.close()

    def _lock(self, lock_file: IO[str], deadline: float) -> None:
        for pause in _pauses(deadline):
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(pause)
            else:
                return
        why = f"another Foretell process has held it for {self.wait_s:g} s"
        raise Unavailable(f"the store {self.path}", why)

    def _connect(self, deadline: float) -> duckdb.DuckDBPyConnection:
        why = ""
        for pause in _pauses(deadline):
            try:
                connection = duckdb.connect(str(self.path))
            except duckdb.IOException as error:
                why = str(error).splitlines()[0]
                # Anything but a foreign lock (no permission, disk full) does not pass by waiting.
                if "lock" not in why:
                    break
                time.sleep(pause)
            else:
                return connection
        raise Unavailable(f"the store {self.path}", why)

    def append(self, batch: Batch) -> Appended:
        """Append a batch in one transaction; an observation id that is known changes nothing."""
        with self.open() as connection, transaction(connection):
            before = batch.observations.num_rows
            stored = _append_observations(connection, batch)
            rejected = _append_rejections(connection, batch.rejections)
        return Appended(stored=stored, duplicates=before - stored, rejected=rejected)


def _pauses(deadline: float) -> Iterator[float]:
    """Yield pauses that double from 5 ms to 0.5 s until the deadline; at least one."""
    pause = 0.005
    yield pause
    while time.monotonic() < deadline:
        pause = min(2 * pause, 0.5)
        yield pause


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what happens inside, or roll all of it back."""
    connection.execute("BEGIN TRANSACTION")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _append_observations(connection: duckdb.DuckDBPyConnection, batch: Batch) -> int:
    connection.register("batch", batch.observations)
    connection.register("batch_metrics", batch.metrics)
    # The first of two rows with one id wins, within a batch as between batches.
    connection.execute(
        "CREATE TEMP TABLE fresh AS"
        " SELECT nextval('observation_number') AS number, * FROM ("
        "   SELECT b.* FROM batch b ANTI JOIN observations USING (workload, observation_id)"
        "   QUALIFY row_number() OVER (PARTITION BY workload, observation_id ORDER BY row) = 1"
        "   ORDER BY row)"
    )
    connection.execute(
        "INSERT INTO observations SELECT number, workload, observation_id, observed_at,"
        " now() AT TIME ZONE 'UTC', source, tag, outcome, simulated, prediction_id, features"
        " FROM fresh ORDER BY number"
    )
    connection.execute(
        "INSERT INTO metrics SELECT number, metric, value, lower_bound"
        " FROM batch_metrics JOIN fresh USING (row) ORDER BY number"
    )
    row = connection.execute("SELECT count(*) FROM fresh").fetchone()
    connection.execute("DROP TABLE fresh")
    return int(row[0]) if row else 0


def _append_rejections(connection: duckdb.DuckDBPyConnection, rejections: pa.Table) -> int:
    if rejections.num_rows:
        connection.register("batch_rejections", rejections)
        connection.execute(
            "INSERT INTO rejected_observations BY NAME"
            " SELECT *, now() AT TIME ZONE 'UTC' AS received_at FROM batch_rejections"
            " QUALIFY row_number() OVER (PARTITION BY digest) = 1"
            " ON CONFLICT DO NOTHING"
        )
    return int(rejections.num_rows)


def sync_folder(folder: Path) -> None:
    """Make the names of a folder's files durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
