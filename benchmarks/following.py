"""How long after a report answers have changed: client, server, broker, worker, store and back.

    python -m benchmarks.following --changes 30

`foretell up` in small: broker, worker, and a server of two processes. A kind of work becomes
twice as slow, and then again as fast as before, in turn. Each time, eight outcomes say so in one
call, and from its acknowledgement on each process is asked until its answers have followed.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click
import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from foretell.client.channel import Stubs
from foretell.settings import Settings
from foretell.stack.folder import StateFolder
from foretell.stack.running import Stack
from foretell.v1 import common_pb2, observation_pb2, prediction_pb2
from tests.bundles import WORKLOAD, publish_tiny

SERVERS = 2
ITEM = {"size": common_pb2.Value(number=10.0), "kind": common_pb2.Value(text="big")}
GIVEN_UP_AFTER_S = 30.0


def connect(address: str, stack: ExitStack) -> list[Stubs]:
    """Return a way to speak to each process of a server."""
    found: dict[str, Stubs] = {}
    while len(found) < SERVERS:
        # Without a pool of its own, each channel would take the connection that is there.
        options = [("grpc.use_local_subchannel_pool", 1)]
        stubs = Stubs(stack.enter_context(grpc.insecure_channel(address, options=options)))
        # The ids of one process's answers begin alike.
        found.setdefault(ask(stubs).prediction_id.partition("-")[0], stubs)
    return list(found.values())


def ask(stubs: Stubs) -> prediction_pb2.PredictResponse:
    """Return a forecast of the work that changes."""
    request = prediction_pb2.PredictRequest(workload=WORKLOAD, features=ITEM)
    answer: prediction_pb2.PredictResponse = stubs.prediction.Predict(request, timeout=30)
    return answer


def follow(processes: list[Stubs], number: int) -> float:
    """Report a change, and return after how many seconds all processes answer otherwise."""
    slow = number % 2 == 0
    before = [_seconds(stubs) for stubs in processes]
    now = Timestamp()
    now.GetCurrentTime()
    outcomes = [
        observation_pb2.Observation(
            id=f"run {number} {i}",
            workload=WORKLOAD,
            observe_time=now,
            features=ITEM,
            metrics={"seconds": (20.0 if slow else 10.0) + 0.1 * i},
        )
        for i in range(8)
    ]
    processes[0].observation.Report(observation_pb2.ReportRequest(observations=outcomes))
    began = time.perf_counter()
    waiting = list(zip(processes, before, strict=True))
    while waiting:
        if time.perf_counter() - began > GIVEN_UP_AFTER_S:
            raise click.ClickException(f"answers did not follow change {number}")
        waiting = [
            (stubs, old) for stubs, old in waiting if not _moved(_seconds(stubs), old, slow=slow)
        ]
        time.sleep(0.002)
    return time.perf_counter() - began


def _seconds(stubs: Stubs) -> float:
    return ask(stubs).metrics[0].median


def _moved(now: float, before: float, *, slow: bool) -> bool:
    return now > 1.2 * before if slow else now < before / 1.2


@click.command(help=__doc__)
@click.option("--changes", default=30, show_default=True)
def main(changes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="foretell-following-") as scratch, ExitStack() as stack:
        folder = StateFolder(Path(scratch))
        publish_tiny(folder.registry, Path(scratch))
        settings = Settings(port=0, workers=SERVERS, drain_seconds=1.0, log_level="error")
        running = stack.enter_context(Stack(folder, settings))
        processes = connect(running.address, stack)
        took = [follow(processes, number) for number in range(changes)]
    click.echo("| changes | median s | 90 % s | most s |")
    click.echo("|---|---|---|---|")
    worst = statistics.quantiles(took, n=10)[-1]
    click.echo(f"| {changes} | {statistics.median(took):.2f} | {worst:.2f} | {max(took):.2f} |")


if __name__ == "__main__":
    main()
