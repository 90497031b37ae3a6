"""Ingest: how many observations per second reach DuckDB.

    python -m benchmarks.ingest --rows 60000 --batch 1000,5000

For each size of message: one process checks and stores batches by itself (`store`), then a
sender hands messages to a real broker from which a real worker stores them (`queue`, from the
first message that is sent to the last row that is committed; the sender shares the processors).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from foretell import logs
from foretell.broker import EmbeddedBroker
from foretell.celery_settings import INGEST_QUEUE, INGEST_TASK, make_app
from foretell.schema_file import load_schema
from foretell.settings import Settings
from foretell_trainer.ingest import ingest_messages
from foretell_trainer.processes import WorkerProcesses
from foretell_trainer.store import Store

WORKLOAD = "serverless"

Message = list[dict[str, Any]]


def messages(rows: int, batch: int) -> list[Message]:
    """Return `rows` observations in messages of `batch`."""
    return [
        [_observation(number) for number in range(start, min(start + batch, rows))]
        for start in range(0, rows, batch)
    ]


def store_rate(folder: Path, sent: Sequence[Message]) -> float:
    """Return observations per second when this process checks and stores them."""
    store, schema = Store(folder, keep=lambda: True), load_schema(WORKLOAD)
    began = time.perf_counter()
    stored = sum(ingest_messages(store, schema, message).stored for message in sent)
    seconds = time.perf_counter() - began
    store.close()
    return stored / seconds


def queue_rate(folder: Path, sent: Sequence[Message]) -> float:
    """Return observations per second through a broker and a worker."""
    rows = sum(map(len, sent))
    with EmbeddedBroker(folder / "broker") as broker:
        settings = Settings(
            registry=folder / "registry",
            data=folder / "data",
            broker_url=broker.url,
            log_level="error",
        )
        with WorkerProcesses(settings, [INGEST_QUEUE]), make_app(broker.url) as app:
            began = time.perf_counter()
            for message in sent:
                app.send_task(INGEST_TASK, kwargs={"workload": WORKLOAD, "observations": message})
            while _stored(Store(settings.data)) < rows:
                time.sleep(0.25)
            return rows / (time.perf_counter() - began)


@click.command(help=__doc__)
@click.option("--rows", default=60_000, show_default=True, help="Observations to store.")
@click.option("--batch", default="1000,5000", show_default=True, help="Observations per message.")
def main(rows: int, batch: str) -> None:
    logs.configure("error")
    table = Table("observations per message", "store: rows/s", "queue: rows/s")
    for size in map(int, batch.split(",")):
        sent = messages(rows, size)
        with tempfile.TemporaryDirectory() as scratch:
            alone = store_rate(Path(scratch) / "alone", sent)
            queued = queue_rate(Path(scratch) / "queued", sent)
        table.add_row(f"{size:,}", f"{alone:,.0f}", f"{queued:,.0f}")
    Console().print(table)


def _observation(number: int) -> dict[str, Any]:
    return {
        "id": f"o-{number}",
        "workload": WORKLOAD,
        "time": "2026-01-01T00:00:00Z",
        "source": "benchmark",
        "features": {
            "function": f"function-{number % 50}",
            "node": f"node-{number % 7}",
            "argument": number + 1.0,
            "payload_bytes": 100,
        },
        "metrics": {"duration_s": 0.1, "memory_kb": 1000.0},
    }


def _stored(store: Store) -> int:
    with store.open() as connection:
        return int(connection.execute("SELECT count(*) FROM observations").fetchall()[0][0])


if __name__ == "__main__":
    main()
