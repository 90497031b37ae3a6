"""The DuckDB store."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from foretell.errors import Unavailable
from foretell_trainer import migrations
from foretell_trainer.appending import Appended
from foretell_trainer.batches import Batch, BatchBuilder, RejectedRow
from foretell_trainer.store import Store
from tests.disks import full_disk

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

HOLDER = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.readline()
"""


def batch(*ids: str, workload: str = "runs", rejected: tuple[RejectedRow, ...] = ()) -> Batch:
    builder = BatchBuilder(workload)
    for name in ids:
        builder.add(name, NOON, {"task": name}, {"duration_s": 1.0}, {"memory_kb": 5.0})
    return builder.build(rejected)


def counts(store: Store) -> tuple[int, int, int]:
    with store.open() as connection:
        rows = connection.execute(
            "SELECT (SELECT count(*) FROM observations), (SELECT count(*) FROM metrics),"
            " (SELECT count(*) FROM rejected_observations)"
        ).fetchall()
    observations, metrics, rejected = rows[0]
    return observations, metrics, rejected


@contextmanager
def held_by_a_stranger(path: Path) -> Iterator[None]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.stdin.close()


def test_append_is_idempotent(store: Store) -> None:
    """An observation id that is known changes nothing, in one batch as between batches."""
    assert store.append(batch("a", "b", "a")) == Appended(stored=2, duplicates=1)
    assert store.append(batch("b", "c")) == Appended(stored=1, duplicates=1)
    assert counts(store) == (3, 6, 0)


def test_ids_are_per_workload(store: Store) -> None:
    """The same id in another workload is another observation."""
    store.append(batch("a"))
    assert store.append(batch("a", workload="others")).stored == 1


def test_a_rejection_is_counted_once(store: Store) -> None:
    """A rejected observation that is delivered again is not doubled."""
    rejected = (RejectedRow("f.csv", 7, "size: too small", "{}"),)
    store.append(batch("a", rejected=rejected * 2))
    store.append(batch("a", rejected=rejected))
    assert counts(store)[2] == 1


def test_metrics_belong_to_their_observation(store: Store) -> None:
    """Metrics follow the number of their own observation, also after duplicates are dropped."""
    store.append(batch("a"))
    store.append(batch("b", "a", "c"))
    with store.open() as connection:
        rows = connection.execute(
            "SELECT observation_id, count(*) FROM observations"
            " JOIN metrics ON observation = number GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert rows == [("a", 2), ("b", 2), ("c", 2)]


def test_times_are_stored_in_utc(store: Store) -> None:
    """Observation times and the time of receipt are both UTC."""
    store.append(batch("a"))
    with store.open() as connection:
        rows = connection.execute("SELECT observed_at, received_at FROM observations").fetchall()
    observed, received = rows[0]
    assert observed == NOON.replace(tzinfo=None)
    assert abs(received - datetime.now(UTC).replace(tzinfo=None)).total_seconds() < 60


def test_an_append_that_fails_leaves_nothing(store: Store) -> None:
    """Observations, metrics and rejections enter in one transaction."""
    good = batch("a", "b")
    broken = Batch(
        good.observations,
        good.metrics.rename_columns(["row", "metric", "value", "nonsense"]),
        good.rejections,
        (),
    )
    with pytest.raises(duckdb.Error):
        store.append(broken)
    assert counts(store) == (0, 0, 0)
    assert store.append(good).stored == 2


def test_a_full_disk_stores_nothing_of_a_batch_and_harms_nothing(store: Store) -> None:
    """An append that the disk has no room for fails whole; with room it goes in, once."""
    store.append(batch("first"))
    large = batch(*(f"{number} {'x' * 200}" for number in range(5000)))
    with full_disk(store.path.stat().st_size + 10_000), pytest.raises(duckdb.Error, match="large"):
        store.append(large)
    assert counts(store)[0] == 1
    assert store.append(large) == Appended(stored=5000, duplicates=0)
    assert store.append(large) == Appended(stored=0, duplicates=5000)


def test_a_stranger_is_waited_for_and_then_named(store: Store) -> None:
    """Somebody else's hold on the file beyond the wait is Unavailable, and says who has it."""
    store.append(batch("a"))
    impatient = Store(store.folder, wait_s=0.2)
    with held_by_a_stranger(store.path), pytest.raises(Unavailable, match="lock is held"):
        impatient.append(batch("b"))
    assert impatient.append(batch("b")).stored == 1


def test_our_own_processes_wait_for_each_other(store: Store) -> None:
    """A second user of the store waits until the first lets go."""
    done = threading.Event()

    def append() -> None:
        Store(store.folder).append(batch("b"))
        done.set()

    with store.open() as connection:
        connection.execute("SELECT 1")
        other = threading.Thread(target=append)
        other.start()
        assert not done.wait(0.3)
    other.join()
    assert done.is_set()


def test_waiting_for_our_own_process_ends(store: Store) -> None:
    """A store that another Foretell process keeps beyond the wait is Unavailable."""
    with store.open(), pytest.raises(Unavailable, match="another Foretell process"):
        Store(store.folder, wait_s=0.1).append(batch("a"))


def test_a_kept_store_is_let_go_when_somebody_waits(tmp_path: Path) -> None:
    """A store that is kept open for more work is handed over after the current use."""
    keeper, other = Store(tmp_path, keep=lambda: True), Store(tmp_path)
    keeper.append(batch("a"))
    waiting = threading.Thread(target=lambda: other.append(batch("b")))
    waiting.start()
    for number in range(1000):
        keeper.append(batch(f"k{number}"))
        if not waiting.is_alive():
            break
    waiting.join()
    keeper.close()
    with other.open() as connection:
        rows = connection.execute("FROM observations WHERE observation_id = 'b'").fetchall()
    assert len(rows) == 1


def test_a_kept_store_is_let_go_when_idle(tmp_path: Path) -> None:
    """A store that was kept for work that never came is let go by itself."""
    Store(tmp_path, keep=lambda: True).append(batch("a"))
    assert Store(tmp_path, wait_s=20).append(batch("b")).stored == 1


def test_migrations_run_once_and_in_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of an older version gets the newer migrations when it is opened, once."""
    store.append(batch("a"))
    newer = (*migrations.MIGRATIONS, "ALTER TABLE observations ADD COLUMN colour VARCHAR")
    monkeypatch.setattr(migrations, "MIGRATIONS", newer)
    for _ in range(2):
        with store.open() as connection:
            rows = connection.execute("SELECT version FROM schema_version ORDER BY 1").fetchall()
            assert [row[0] for row in rows] == list(range(1, len(newer) + 1))
            assert connection.execute("SELECT colour FROM observations").fetchall() == [(None,)]


def test_a_failed_migration_leaves_the_version_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that fails changes nothing, and the store opens as it was."""
    store.append(batch("a"))
    broken = (*migrations.MIGRATIONS, "CREATE TABLE colours (x INTEGER); SELECT * FROM nowhere")
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", broken)
        with pytest.raises(duckdb.Error, match="nowhere"), store.open():
            pass
    assert counts(store) == (1, 2, 0)


def test_a_store_of_a_newer_version_is_refused(store: Store) -> None:
    """A store that a newer Foretell has migrated is not touched."""
    with store.open() as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, now()::TIMESTAMP)")
    with pytest.raises(Unavailable, match="schema version 99"), store.open():
        pass
