"""What telemetry costs a request inside the server: meters, a logged answer, a span; and a page.

python -m benchmarks.telemetry
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable

import click
from prometheus_client import CollectorRegistry, Counter, Histogram

from foretell import logs
from foretell_server.shelf import Shelf
from foretell_server.telemetry.census import Census
from foretell_server.telemetry.journal import Call, Journal
from foretell_server.telemetry.meters import Meters
from foretell_server.telemetry.page import exposed
from foretell_server.telemetry.tracing import Tracer

METHODS = 8
NOWHERE = "http://127.0.0.1:1"
TURNS = 7


def microseconds(work: Callable[[], object], calls: int) -> float:
    """Returns the CPU time of one call, the median of some turns."""
    found = []
    for _ in range(TURNS):
        began = time.process_time()
        for _ in range(calls):
            work()
        found.append((time.process_time() - began) / calls * 1e6)
    return sorted(found)[TURNS // 2]


def counted(meters: Meters) -> Callable[[], None]:
    """Returns what the server does to count one request, its clock included."""
    meter = meters.method("benchmark")

    def count() -> None:
        began = time.perf_counter()
        meter.in_flight += 1
        meter.in_flight -= 1
        meter.answered("serverless", time.perf_counter() - began)

    return count


def counted_by_the_library() -> Callable[[], None]:
    """Returns the same with prometheus_client's own counters."""
    registry = CollectorRegistry()
    labels = ["method", "workload", "status"]
    requests = Counter("requests", "Requests.", labels, registry=registry)
    latency = Histogram("latency", "Latency.", labels[:1], registry=registry)

    def count() -> None:
        began = time.perf_counter()
        requests.labels("benchmark", "serverless", "OK").inc()
        latency.labels("benchmark").observe(time.perf_counter() - began)

    return count


def written(journal: Journal) -> Callable[[], None]:
    """Returns what the server does to write about one answer."""
    call = Call("benchmark", "id", (), time.perf_counter(), "serverless", "version")
    return lambda: journal.write(call)


@click.command(help=__doc__)
def main() -> None:
    meters = Meters(lambda _workload: True)
    rows = [("count a request", microseconds(counted(meters), 100_000))]
    rows.append(("the same with prometheus_client", microseconds(counted_by_the_library(), 20_000)))
    with contextlib.redirect_stderr(io.StringIO()):
        logs.configure("info", "json")
        rows.append(("log an answer, if wanted", microseconds(written(Journal(1.0)), 2_000)))
        tracer = Tracer(NOWHERE, 1.0)
        rows.append(("trace a call, if wanted", microseconds(written(Journal(0.0, tracer)), 2_000)))
        tracer.close()
    for i in range(METHODS):
        meters.method(f"method {i}").answered("serverless", 1e-3)
    census = Census(meters, Shelf())
    rows.append(("write the metrics page", microseconds(lambda: exposed(census.families()), 20)))
    for what, cost in rows:
        click.echo(f"{what:36} {cost:10.2f} µs")


if __name__ == "__main__":
    main()
