"""The DuckDB store: what was observed, what was rejected, and what was made of it.

A DuckDB file admits one process at a time. So the store is opened briefly, under a lock file
beside it: whoever of Foretell's own processes comes second waits; a stranger who holds the file
for longer than the wait is reported as `Unavailable`.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import duckdb

from foretell.errors import Unavailable
from foretell_trainer.appending import Appended, append_batch
from foretell_trainer.batches import Batch
from foretell_trainer.migrations import migrate

FILE_NAME = "foretell.duckdb"
KEPT_AT_MOST_S = 2.0


class Store:
    """The store in one folder; one thread at a time uses it.

    Args:
        folder: where `foretell.duckdb` and its lock files are, made when missing.
        wait_s: how long to wait for somebody else who has the file open.
        keep: asked after each use whether the file stays open for the next one, because more
            work waits. It is let go all the same as soon as another process wants it, or when
            it was not used for `KEPT_AT_MOST_S`.
        threads: how many threads a query may use; 0 for as many as there are processors.
    """

    def __init__(
        self,
        folder: Path,
        wait_s: float = 30.0,
        keep: Callable[[], bool] = lambda: False,
        threads: int = 0,
    ) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self.wait_s = wait_s
        self._keep = keep
        self._config = {"threads": str(threads)} if threads else {}
        self._using = threading.Lock()
        self._held: _Held | None = None
        self._timer: threading.Timer | None = None

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the store: lock, open, migrate; on leaving close and unlock.

        Raises:
            Unavailable: somebody else holds the file beyond ``wait_s``, or it cannot be opened.
        """
        with self._using:
            if self._timer is not None:
                self._timer.cancel()
            self._held = held = self._held or _Held.acquire(self.path, self.wait_s, self._config)
            keep = False
            try:
                yield held.connection
                keep = self._keep() and not held.wanted()
            finally:
                if keep:
                    self._timer = threading.Timer(KEPT_AT_MOST_S, self.close)
                    self._timer.daemon = True
                    self._timer.start()
                else:
                    self._release()

    def close(self) -> None:
        """Let go of the file, when it was kept open."""
        with self._using:
            self._release()

    def _release(self) -> None:
        if self._held is not None:
            self._held.release()
            self._held = None

    def append(self, batch: Batch) -> Appended:
        """Append a batch in one transaction; an observation id that is known changes nothing."""
        with self.open() as connection, transaction(connection):
            return append_batch(connection, batch)


@dataclass(frozen=True)
class _Held:
    """The file, open and locked.

    Whoever wants it takes its turn first and keeps that until it has the lock: so the one who
    has the lock can see that somebody waits, and two who wait come in order.
    """

    connection: duckdb.DuckDBPyConnection
    lock: IO[str]
    turn_path: Path

    @classmethod
    def acquire(cls, path: Path, wait_s: float, config: Mapping[str, str]) -> _Held:
        deadline = time.monotonic() + wait_s
        turn_path = path.with_suffix(".turn")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            turn, lock = turn_path.open("w"), path.with_suffix(".lock").open("w")
        except OSError as error:
            raise Unavailable(f"the store {path}", str(error)) from error
        with turn:
            try:
                _lock(turn, path, deadline)
                _lock(lock, path, deadline)
                return cls(_connect(path, deadline, config), lock, turn_path)
            except BaseException:
                lock.close()
                raise

    def wanted(self) -> bool:
        """Return whether another process waits for the file."""
        with self.turn_path.open("w") as turn:
            return not _try_lock(turn)

    def release(self) -> None:
        self.connection.close()
        self.lock.close()


def _lock(file: IO[str], path: Path, deadline: float) -> None:
    started = time.monotonic()
    for pause in _pauses(deadline):
        if _try_lock(file):
            return
        time.sleep(pause)
    waited = time.monotonic() - started
    raise Unavailable(f"the store {path}", f"another Foretell process held it for {waited:.0f} s")


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _connect(path: Path, deadline: float, config: Mapping[str, str]) -> duckdb.DuckDBPyConnection:
    why = ""
    for pause in _pauses(deadline):
        try:
            connection = duckdb.connect(str(path), config=dict(config))
        except duckdb.Error as error:
            why = str(error).splitlines()[0]
            # Anything but a foreign lock (no permission, a broken file) does not pass by waiting.
            if "lock" not in why:
                break
            time.sleep(pause)
        else:
            return _migrated(connection)
    raise Unavailable(f"the store {path}", why)


def _migrated(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    try:
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


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
        # A commit that fails, for want of room as an example, is rolled back already.
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise


def sync_folder(folder: Path) -> None:
    """Make the names of a folder's files durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
