"""Kills: each part is ended by SIGKILL at random moments while outcomes are reported.

    python -m benchmarks.kills --seconds 60 --seeds 10

`foretell up` in small: broker, worker and server, started again as they die. Clients report batch
after batch; one that was not acknowledged they report again, or sometimes never. Killed are broker,
server, the worker, and the process of the worker that stores. When all is calm, the ids in the
store are compared with those that were acknowledged: none may be missing, and none doubled.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import click
import grpc
import numpy as np
import psutil
from google.protobuf.timestamp_pb2 import Timestamp

from foretell.client.channel import Stubs
from foretell.errors import Unavailable
from foretell.registry import FolderRegistry
from foretell.settings import Settings
from foretell.stack.folder import StateFolder
from foretell.stack.running import Stack
from foretell.v1 import common_pb2, observation_pb2
from foretell_trainer.store import Store

VICTIMS = ("broker", "server", "worker", "storing")
BATCH = 50
REPORTERS = 2
QUIET_S = 60.0
"""What was not stored after nothing else was for so long, never will be."""
WORKLOAD = "serverless"
LONGEST_PEACE_S = 2.0


@dataclass
class Reported:
    """What the clients sent: ids by whether they were acknowledged."""

    acknowledged: set[str] = field(default_factory=set)
    sent: int = 0
    calls_failed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, names: list[str], *, acknowledged: bool) -> None:
        """Count one call."""
        with self._lock:
            self.sent += len(names)
            if acknowledged:
                self.acknowledged.update(names)
            else:
                self.calls_failed += 1


@dataclass(frozen=True)
class Outcome:
    """What a storm left."""

    acknowledged: int
    calls_failed: int
    kills: dict[str, int]
    stored: int
    missing: int
    """Acknowledged, and not in the store."""
    doubled: int
    """In the store more than once, as observations or as metrics."""


def storm(folder: StateFolder, seconds: float, seed: int) -> Outcome:
    """Report for so long while parts are killed, each at least once, and compare ids."""
    settings = Settings(port=0, drain_seconds=1.0, log_level="warning")
    FolderRegistry(folder.registry)
    reported, over = Reported(), threading.Event()
    with Stack(folder, settings) as stack, _watched(stack):
        reporters = [
            threading.Thread(target=_report, args=(stack.address, reported, over, 100 * seed + i))
            for i in range(REPORTERS)
        ]
        for reporter in reporters:
            reporter.start()
        try:
            kills = _kill(stack, seconds, np.random.default_rng(seed))
        finally:
            over.set()
            for reporter in reporters:
                reporter.join()
        stored = _await_calm(Store(folder.data), reported.acknowledged)
    doubled = sum(times > 1 for times in stored.values())
    missing = len(reported.acknowledged - stored.keys())
    return Outcome(
        len(reported.acknowledged), reported.calls_failed, kills, len(stored), missing, doubled
    )


@contextmanager
def _watched(stack: Stack) -> Iterator[None]:
    stop = threading.Event()
    watcher = threading.Thread(target=stack.watch, args=(stop,))
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _report(address: str, reported: Reported, over: threading.Event, seed: int) -> None:
    chance = np.random.default_rng(seed)
    # Connected again soon: a client that waits longer each time would miss most of the storm.
    options = [("grpc.max_reconnect_backoff_ms", 200), ("grpc.enable_retries", 0)]
    with grpc.insecure_channel(address, options=options) as channel:
        report = Stubs(channel).observation.Report
        number = 0
        while not over.is_set():
            names = [f"run {seed} {number} {i}" for i in range(BATCH)]
            number += 1
            request = observation_pb2.ReportRequest(observations=map(_observation, names))
            while not over.is_set():
                try:
                    report(request, timeout=10)
                except grpc.RpcError:
                    reported.add(names, acknowledged=False)
                    time.sleep(0.05)
                    if chance.random() < 0.1:
                        break
                else:
                    reported.add(names, acknowledged=True)
                    break


def _observation(name: str) -> observation_pb2.Observation:
    return observation_pb2.Observation(
        id=name,
        workload=WORKLOAD,
        observe_time=Timestamp(seconds=1_770_000_000),
        features={
            "function": common_pb2.Value(text="f"),
            "node": common_pb2.Value(text="n"),
            "argument": common_pb2.Value(number=3.0),
        },
        metrics={"duration_s": 0.5},
    )


def _kill(stack: Stack, seconds: float, chance: np.random.Generator) -> dict[str, int]:
    """Kill parts until the time is over and each was killed; return how often each was."""
    kills = dict.fromkeys(VICTIMS, 0)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends or not all(kills.values()):
        time.sleep(chance.uniform(0.2, LONGEST_PEACE_S))
        spared = [victim for victim, times in kills.items() if not times]
        late = spared and time.monotonic() > ends
        victim = str(chance.choice(spared if late else VICTIMS))
        pid = _pid_of(stack, victim)
        with suppress(ProcessLookupError):
            if pid:
                os.kill(pid, signal.SIGKILL)
                kills[victim] += 1
    return kills


def _pid_of(stack: Stack, victim: str) -> int:
    """Return the process to kill; 0 when it does not run at this moment."""
    try:
        if victim != "storing":
            process = psutil.Process(stack.pids()[victim])
            # One that has just died may have lent its number to somebody else.
            ours = process.ppid() == os.getpid() and process.status() != psutil.STATUS_ZOMBIE
            return process.pid if ours else 0
        worker = psutil.Process(stack.pids()["worker"])
        storing = [
            child
            for child in worker.children(recursive=True)
            if "ingest" in child.cmdline() and child.parent() != worker
        ]
        return storing[0].pid if storing else 0
    except (psutil.Error, Unavailable):
        return 0


def _await_calm(store: Store, acknowledged: set[str]) -> dict[str, int]:
    """Return how often each id is stored, once all that were acknowledged are, or never will be."""
    ends = time.monotonic() + QUIET_S
    stored: dict[str, int] = {}
    while time.monotonic() < ends and not acknowledged <= stored.keys():
        with suppress(Unavailable):
            now = _stored(store)
            if len(now) > len(stored):
                ends = time.monotonic() + QUIET_S
            stored = now
        # Who looks has the store meanwhile.
        time.sleep(2.0)
    return stored


def _stored(store: Store) -> dict[str, int]:
    with store.open() as connection:
        rows = connection.execute(
            "SELECT observation_id, greatest(count(DISTINCT number), count(*))"
            " FROM observations JOIN metrics ON observation = number"
            " WHERE workload = ? GROUP BY observation_id",
            [WORKLOAD],
        ).fetchall()
    return {str(name): int(times) for name, times in rows}


@click.command(help=__doc__)
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--seeds", default=10, show_default=True)
@click.option("--first", default=0, show_default=True, help="The first seed.")
def main(seconds: float, seeds: int, first: int) -> None:
    click.echo(
        f"| seed | kills: {', '.join(VICTIMS)} | calls failed | acknowledged | missing | doubled |"
    )
    click.echo("|---|---|---|---|---|---|")
    for seed in range(first, first + seeds):
        with tempfile.TemporaryDirectory(prefix="foretell-kills-") as scratch:
            found = storm(StateFolder(Path(scratch)), seconds, seed)
        kills = ", ".join(str(times) for times in found.kills.values())
        click.echo(
            f"| {seed} | {kills} | {found.calls_failed} | {found.acknowledged:,}"
            f" | {found.missing} | {found.doubled} |"
        )


if __name__ == "__main__":
    main()
