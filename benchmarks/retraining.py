"""A training run beside predictions: what fails, and what it does to latency.

    python -m benchmarks.retraining --rows 21000 --rate 1000

`foretell up` in small: broker, worker and server on the same processors, and a store of made-up
runs. Single predictions, all different, are asked for at a steady rate, first with nothing beside
them, then from the request for a training run until its bundle answers. A call's latency counts
from the moment at which it was due.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import numpy as np

from benchmarks.serving import load
from foretell.client import Client
from foretell.schema_file import load_schema
from foretell.settings import Settings
from foretell.stack.folder import StateFolder
from foretell.stack.running import Stack
from foretell.v1 import prediction_pb2
from foretell_trainer.ingest import ingest_messages
from foretell_trainer.store import Store

WORKLOAD = "serverless"
FUNCTIONS, NODES = 40, 8
PATH = "/foretell.v1.PredictionService/Predict"
TURN_S = 4.0
BODIES = 20_000
AT_ONCE = 5000


def fill(store: Store, rows: int) -> None:
    """Store runs of functions on nodes, whose durations follow a law with noise."""
    rng = np.random.default_rng(0)
    speed, slow = rng.normal(0, 1, FUNCTIONS), rng.normal(0, 0.4, NODES)
    schema, start = load_schema(WORKLOAD), datetime.now(UTC) - timedelta(days=1)
    for first in range(0, rows, AT_ONCE):
        batch = []
        for i in range(first, min(first + AT_ONCE, rows)):
            f, n = int(rng.integers(FUNCTIONS)), int(rng.integers(NODES))
            size = float(np.exp(rng.uniform(0, 6)))
            law = speed[f] + slow[n] + 0.8 * np.log(size)
            batch.append(
                {
                    "id": f"run {i}",
                    "workload": WORKLOAD,
                    "time": (start + timedelta(seconds=i)).isoformat(),
                    "features": {"function": f"f{f}", "node": f"n{n}", "argument": size},
                    "metrics": {
                        "duration_s": float(np.exp(law + rng.normal(0, 0.15))),
                        "memory_kb": float(1000 * np.exp(0.3 * law + rng.normal(0, 0.1))),
                    },
                }
            )
        ingest_messages(store, schema, batch)


def bodies(count: int) -> list[bytes]:
    """Return requests that differ, so that no cache answers them."""
    found = []
    for i in range(count):
        request = prediction_pb2.PredictRequest(workload=WORKLOAD)
        request.features["function"].text = f"f{i % FUNCTIONS}"
        request.features["node"].text = f"n{i % NODES}"
        request.features["argument"].number = 1.0 + i / 10
        found.append(request.SerializeToString())
    return found


def ask(port: int, rate: float) -> tuple[list[float], int]:
    """Return latencies and failures of a few seconds, asked for by a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.retraining",
        "--ask",
        str(port),
        "--rate",
        str(rate),
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seen = json.loads(said)
    return seen["latencies"], seen["failed"]


def _ask_here(port: int, rate: float) -> None:
    target = load.Target(port, PATH)
    offset = int(time.time() * 1000) % BODIES
    asked = bodies(BODIES)
    seen = load.unary_at_rate(target, asked[offset:] + asked[:offset], rate=rate, seconds=TURN_S)
    click.echo(json.dumps({"latencies": list(seen.latencies_s), "failed": seen.failed}))


def _say(what: str) -> None:
    click.echo(what, err=True)


def _percentile(seconds: list[float], share: float) -> float:
    return float(np.quantile(seconds, share)) * 1000


@click.command(help=__doc__)
@click.option("--rows", default=21_000, show_default=True)
@click.option("--rate", default=1000.0, show_default=True, help="Predictions per second.")
@click.option("--turns", default=5, show_default=True, help="Turns of 4 s with nothing beside.")
@click.option("--family", default="lightgbm", show_default=True)
@click.option("--most-s", default=600.0, show_default=True, help="A training run may take.")
@click.option("--ask", "port", type=int, hidden=True)
def main(rows: int, rate: float, turns: int, family: str, most_s: float, port: int | None) -> None:
    if port is not None:
        _ask_here(port, rate)
        return
    _say(f"stores {rows:,} runs, and fits a first bundle to them")
    with tempfile.TemporaryDirectory(prefix="foretell-retraining-") as scratch:
        folder = StateFolder(Path(scratch))
        fill(Store(folder.data), rows)
        settings = Settings(port=0, log_level="error", drain_seconds=1.0)
        with Stack(folder, settings) as stack, Client(stack.address) as client:
            client.retrain(WORKLOAD, wait=True, family="ridge", timeout=most_s)
            alone, failed = [], 0
            for turn in range(turns):
                _say(f"predictions with nothing beside them: {turn + 1} of {turns}")
                latencies, lost = ask(stack.port, rate)
                alone += latencies
                failed += lost
            beside: list[float] = []
            lost_beside = 0
            began = time.perf_counter()
            job = client.retrain(WORKLOAD, family=family, skip_gate="a benchmark")
            while not (now := client.job(job.id)).done:
                seconds = time.perf_counter() - began
                if seconds > most_s:
                    client.cancel(job.id)
                    click.echo(f"the training run was cancelled: {most_s:.0f} s are over")
                    break
                _say(f"predictions beside a training run, {seconds:.0f} s: {now}")
                latencies, lost = ask(stack.port, rate)
                beside += latencies
                lost_beside += lost
            else:
                click.echo(f"{now.outcome} ({time.perf_counter() - began:.0f} s)")
    click.echo("| beside | calls | failed | p50 ms | p99 ms |")
    click.echo("|---|---|---|---|---|")
    for name, seen, lost in (("nothing", alone, failed), ("a training run", beside, lost_beside)):
        p50, p99 = _percentile(seen, 0.5), _percentile(seen, 0.99)
        click.echo(f"| {name} | {len(seen):,} | {lost} | {p50:.2f} | {p99:.2f} |")


if __name__ == "__main__":
    main()
