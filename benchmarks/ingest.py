"""Ingest: how many observations per second reach DuckDB.

    python -m benchmarks.ingest --rows 60000 --batch 1000,5000

For each size of message: one process checks and stores batches by itself (`store`), then a
sender hands messages to a real broker from which a real worker stores them (`queue`), then one
client reports them to a server, through gRPC (`report`). Both from the first message that is sent
to the last row that is committed; client, server, broker and worker share the processors. The
client's messages are made before. What each of them takes of a processor says what to expect of
processors that have nothing else to do.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import grpc
import psutil
from rich.console import Console
from rich.table import Table

from foretell import logs
from foretell.broker import EmbeddedBroker
from foretell.celery_settings import INGEST_QUEUE, INGEST_TASK, make_app
from foretell.client.channel import Stubs
from foretell.client.reports import report_requests
from foretell.parcel import pack
from foretell.schema_file import load_schema
from foretell.settings import Settings
from foretell.stack.folder import StateFolder
from foretell.stack.running import Stack
from foretell.v1 import observation_pb2
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
                app.send_task(
                    INGEST_TASK, kwargs={"workload": WORKLOAD, "observations": pack(message)}
                )
            _await_stored(Store(settings.data), rows)
            return rows / (time.perf_counter() - began)


@dataclass(frozen=True)
class Reported:
    """One client's reports, through server, broker and worker."""

    rate: float
    """Observations per second."""
    cpu_us: Mapping[str, float]
    """Microseconds of a processor that each part takes for one observation."""


def report(folder: Path, sent: Sequence[Message]) -> Reported:
    """Return what one client sees, and what it costs."""
    whole, rows = sum(map(len, sent)), sum(map(len, sent[1:]))
    first, *requests = [_request(message) for message in sent]
    settings = Settings(port=0, log_level="error", drain_seconds=1.0)
    state = StateFolder(folder)
    options = [("grpc.max_send_message_length", -1)]
    with (
        Stack(state, settings) as stack,
        grpc.insecure_channel(stack.address, options=options) as channel,
    ):
        stubs, store = Stubs(channel), Store(state.data)
        # With the first message, libraries are loaded and the store is made.
        stubs.observation.Report(first)
        _await_stored(store, whole - rows)
        before, own = _cpu_s(stack), time.process_time()
        began = time.perf_counter()
        # The next batch is on its way before the one before it is acknowledged.
        for response in stubs.observation.ReportStream(iter(requests)):
            wrong = [a for a in response.acknowledgements if a.HasField("rejection")]
            if wrong:
                raise click.ClickException(wrong[0].rejection.message)
        client = time.process_time() - own
        _await_stored(store, whole)
        seconds = time.perf_counter() - began
        spent = {part: after - before[part] for part, after in _cpu_s(stack).items()}
        spent["client"] = client
        return Reported(rows / seconds, {part: 1e6 * s / rows for part, s in spent.items()})


def _cpu_s(stack: Stack) -> dict[str, float]:
    """Return the processor's seconds that each part has taken so far."""
    found = {}
    for part, pid in stack.pids().items():
        first = psutil.Process(pid)
        times = [p.cpu_times() for p in (first, *first.children(recursive=True))]
        found[part] = sum(t.user + t.system for t in times)
    return found


@click.command(help=__doc__)
@click.option("--rows", default=60_000, show_default=True, help="Observations to store.")
@click.option("--batch", default="1000,5000", show_default=True, help="Observations per message.")
def main(rows: int, batch: str) -> None:
    logs.configure("error")
    names = ("observations per message", "store: rows/s", "queue: rows/s", "report: rows/s")
    table = Table(*names, "report: µs of a processor each")
    for size in map(int, batch.split(",")):
        sent = messages(rows, size)
        with tempfile.TemporaryDirectory() as scratch:
            alone = store_rate(Path(scratch) / "alone", sent)
            queued = queue_rate(Path(scratch) / "queued", sent)
            reported = report(Path(scratch) / "reported", sent)
        costs = ", ".join(f"{part} {us:.0f}" for part, us in sorted(reported.cpu_us.items()))
        rates = [f"{rate:,.0f}" for rate in (alone, queued, reported.rate)]
        table.add_row(f"{size:,}", *rates, costs)
    Console(width=140).print(table)


def _request(message: Message) -> observation_pb2.ReportRequest:
    whole = observation_pb2.ReportRequest()
    for part in report_requests(message):
        whole.MergeFrom(part)
    return whole


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
        # As many digits as measurements have.
        "metrics": {"duration_s": math.exp(number % 997 / 100), "memory_kb": 1e3 + number % 9973},
    }


def _await_stored(store: Store, rows: int) -> None:
    while _stored(store) < rows:
        time.sleep(0.25)


def _stored(store: Store) -> int:
    with store.open() as connection:
        return int(connection.execute("SELECT count(*) FROM observations").fetchall()[0][0])


if __name__ == "__main__":
    main()
