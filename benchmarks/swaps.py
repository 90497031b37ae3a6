"""Hot swaps under continuous load: what fails, and what memory it costs.

    python -m benchmarks.swaps --swaps 100
    python -m benchmarks.swaps --swaps 30 --pause 2                   # latency around a swap
    python -m benchmarks.swaps --swaps 1000 --requests 1000000        # memory; minutes

A server process answers clients that never pause, while bundles of the size of a real one are
published, one after the other. Each swap is over when an answer names the new bundle. Memory is
the server's resident set, before (after some swaps, and requests that fill the cache) and after all
swaps and requests; of these, what is left after the last swap is asked by a client that costs less
than gRPC's own. With a pause between swaps, the latency of the second around each is compared with
the rest.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
import grpc
import psutil

from benchmarks.serving.load import Target, unary
from benchmarks.serving.turns import PREDICTION
from foretell.client.channel import Stubs
from foretell.ports import free_port
from foretell.v1 import prediction_pb2
from tests.bundles import publish_tiny

WARM_UP_SWAPS = 10
WARM_UP_REQUESTS = 60_000
"""As many as fill the cache of answers; asked where requests are counted."""
BALLAST = 500_000
"""Numbers in each graph: 2 MB, as a boosted ensemble of several metrics has."""
MIB = 1024 * 1024


@dataclass
class Load:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    """When each of these calls began."""
    failures: list[str] = field(default_factory=list)
    _cheap: int = 0
    _bodies: list[bytes] = field(default_factory=list)
    _versions: set[str] = field(default_factory=set)
    _news: threading.Condition = field(default_factory=threading.Condition)
    _over: threading.Event = field(default_factory=threading.Event)

    def ask(self, address: str) -> None:
        """Predict without a pause; a failed call is counted and not repeated."""
        # Without the client's own retries: they would hide what fails.
        with grpc.insecure_channel(address, options=[("grpc.enable_retries", 0)]) as channel:
            predict = Stubs(channel).prediction.Predict
            size = 1.0
            while not self._over.is_set():
                size += 1
                request = _request(size)
                began = time.perf_counter()
                try:
                    answer = predict(request, timeout=30)
                except grpc.RpcError as error:
                    self.failures.append(str(error))
                    continue
                self.seconds.append(time.perf_counter() - began)
                self.moments.append(began)
                version = answer.provenance.bundle_version
                if version not in self._versions:
                    with self._news:
                        self._versions.add(version)
                        self._news.notify_all()

    def ask_cheaply(self, address: str, requests: int) -> None:
        """Go on until so many calls were answered, most of them by a client that costs less."""
        target = Target(int(address.rpartition(":")[2]), f"{PREDICTION}/Predict")
        while self.answered < requests:
            self._bodies = self._bodies or [_request(i).SerializeToString() for i in range(50_000)]
            seen = unary(target, self._bodies, in_flight=32, seconds=5)
            self._cheap += seen.answers - seen.failed
            self.failures += ["the call ended without an answer"] * seen.failed

    @property
    def answered(self) -> int:
        """How many calls were answered so far."""
        return len(self.seconds) + self._cheap

    def wait_for(self, version: str) -> None:
        """Wait until some answer names this bundle."""
        with self._news:
            if not self._news.wait_for(lambda: version in self._versions, 60):
                raise click.ClickException(f"{version} does not answer")

    def end(self) -> None:
        """Tell the clients to stop."""
        self._over.set()


def _request(size: float) -> prediction_pb2.PredictRequest:
    request = prediction_pb2.PredictRequest(workload="toy")
    request.features["kind"].text = "big"
    request.features["size"].number = size
    return request


@dataclass(frozen=True)
class Result:
    """One run's numbers."""

    swaps: int
    requests: int
    failed: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    p99_around_ms: float | None
    """Of calls in the second around a swap; None without a pause between swaps."""
    p99_apart_ms: float | None
    """Of all other calls."""
    swap_p50_ms: float
    """From publishing to the first answer by the new bundle."""
    swap_max_ms: float
    rss_before_mib: float
    rss_after_mib: float
    growth: float
    """Of the resident memory, over the swaps after the warm-up."""


def measure(swaps: int, clients: int, pause_s: float = 0.0, requests: int = 0) -> Result:
    """Run one server through so many swaps, and at least so many requests."""
    folder = Path(tempfile.mkdtemp(prefix="foretell-swaps-"))
    load, took, rss = Load(), [], []
    over: list[float] = []
    try:
        registry = folder / "registry"
        publish_tiny(registry, folder, ballast=BALLAST)
        with _server(registry) as (process, address):
            _await_serving(address)
            askers = [threading.Thread(target=load.ask, args=(address,)) for _ in range(clients)]
            began = time.perf_counter()
            for asker in askers:
                asker.start()
            try:
                for i in range(WARM_UP_SWAPS + swaps):
                    if i == WARM_UP_SWAPS:
                        load.ask_cheaply(address, min(requests, WARM_UP_REQUESTS))
                        rss.append(process.memory_info().rss)
                    took.append(_swap(registry, folder, load, i))
                    over.append(time.perf_counter())
                    time.sleep(pause_s)
                load.ask_cheaply(address, requests)
                rss.append(process.memory_info().rss)
            finally:
                load.end()
                for asker in askers:
                    asker.join()
            elapsed = time.perf_counter() - began
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    around, apart = _split(load, over) if pause_s else ([], load.seconds)
    return Result(
        swaps=swaps,
        requests=load.answered + len(load.failures),
        failed=len(load.failures),
        requests_per_s=load.answered / elapsed,
        p50_ms=1000 * statistics.median(load.seconds),
        p99_ms=_p99_ms(load.seconds),
        p99_around_ms=_p99_ms(around) if around else None,
        p99_apart_ms=_p99_ms(apart) if around else None,
        swap_p50_ms=1000 * statistics.median(took[WARM_UP_SWAPS:]),
        swap_max_ms=1000 * max(took[WARM_UP_SWAPS:]),
        rss_before_mib=rss[0] / MIB,
        rss_after_mib=rss[1] / MIB,
        growth=rss[1] / rss[0] - 1,
    )


def _split(load: Load, swaps: list[float]) -> tuple[list[float], list[float]]:
    """Return the seconds of calls that began within half a second of a swap, and of the others."""
    around: list[float] = []
    apart: list[float] = []
    for began, seconds in zip(load.moments, load.seconds, strict=False):
        i = bisect_left(swaps, began)
        near = any(abs(began - swap) < 0.5 for swap in swaps[max(i - 1, 0) : i + 1])
        (around if near else apart).append(seconds)
    return around, apart


def _p99_ms(seconds: list[float]) -> float:
    return 1000 * statistics.quantiles(seconds, n=100)[98]


def _swap(registry: Path, folder: Path, load: Load, number: int) -> float:
    version = publish_tiny(registry, folder, shift=number / 1000, ballast=BALLAST)
    began = time.perf_counter()
    load.wait_for(version)
    seconds = time.perf_counter() - began
    # What was made for publishing is not needed any more.
    for made in folder.glob("bundle-*"):
        shutil.rmtree(made)
    for old in sorted((registry / "toy" / "bundles").iterdir())[:-3]:
        shutil.rmtree(old)
    return seconds


@contextmanager
def _server(registry: Path) -> Iterator[tuple[psutil.Process, str]]:
    port = free_port()
    variables = {
        "FORETELL_REGISTRY": str(registry),
        "FORETELL_PORT": str(port),
        "FORETELL_REGISTRY_POLL_S": "0.02",
        "FORETELL_BROKER_URL": "redis://127.0.0.1:1/0",
        "FORETELL_LOG_LEVEL": "error",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "foretell_server"], env={**os.environ, **variables}
    )
    try:
        yield psutil.Process(process.pid), f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _await_serving(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        request = prediction_pb2.PredictRequest(workload="toy")
        try:
            Stubs(channel).prediction.Predict(request, timeout=120, wait_for_ready=True)
        except grpc.RpcError as error:
            # It serves when it says what the request lacks.
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise


@click.command()
@click.option("--swaps", default=100, show_default=True, help="How many swaps to measure.")
@click.option("--clients", default=4, show_default=True, help="How many clients ask at once.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--pause", default=0.0, show_default=True, help="Seconds between swaps.")
@click.option("--requests", default=0, show_default=True, help="Go on until so many were answered.")
def main(swaps: int, clients: int, as_json: bool, pause: float, requests: int) -> None:
    """Swap bundles under load and print what it cost."""
    result = measure(swaps, clients, pause, requests)
    if as_json:
        click.echo(json.dumps(asdict(result)))
        return
    click.echo(f"{result.swaps} hot swaps under the load of {clients} clients")
    click.echo(f"  requests          {result.requests:>10,}   failed {result.failed}")
    click.echo(
        f"  requests/s        {result.requests_per_s:>10,.0f}   "
        f"p50 {result.p50_ms:.2f} ms, p99 {result.p99_ms:.2f} ms"
    )
    if result.p99_around_ms is not None and result.p99_apart_ms is not None:
        click.echo(
            f"  p99 around a swap {result.p99_around_ms:>7.2f} ms   otherwise "
            f"{result.p99_apart_ms:.2f} ms"
        )
    click.echo(
        f"  publish to answer {result.swap_p50_ms:>7,.0f} ms   at most {result.swap_max_ms:,.0f} ms"
    )
    click.echo(
        f"  resident memory   {result.rss_before_mib:>6.1f} MiB   then "
        f"{result.rss_after_mib:.1f} MiB ({result.growth:+.1%})"
    )


if __name__ == "__main__":
    main()
