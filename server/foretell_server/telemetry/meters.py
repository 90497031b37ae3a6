"""Meters: what a serving process counts.

Plain numbers, written on the event loop only and read by whoever shows them: counting one
request takes well under a microsecond, where the counters of prometheus_client take several.

A request is a unary call, or one message of a stream. Latency is measured inside the server,
from the moment the method gets the request to the moment its answer is handed to gRPC.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

LATENCY_BOUNDS_S = (
    *(100e-6, 200e-6, 300e-6, 500e-6, 750e-6, 1e-3, 1.5e-3, 2e-3, 3e-3, 5e-3, 7.5e-3),
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
"""Upper ends of the latency buckets, in seconds: from what a cached answer takes upwards."""
ROWS_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384, 65536, 262_144, 1_048_576)
"""Upper ends of the buckets of rows per run."""
SWAP_BOUNDS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Upper ends of the buckets of how long taking over a bundle takes, in seconds."""

OK = "OK"

Across = Literal["sum", "min", "max"]
"""How the numbers of several processes become one."""


class Distribution:
    """How often values fell between bounds, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """One for each bound, values up to and including it; the last is what lies beyond."""
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Tally:
    """How many requests ended in one way, and the seconds that they took together."""

    count: int = 0
    seconds: float = 0.0
    rows: int = 0
    """Rows that were asked about; a request without rows is about one."""


class MethodMeter:
    """The requests of one method.

    The caller adds one to `in_flight` when a request comes and takes it away when it is over;
    then it says how it ended, with `answered` or `refused`.
    """

    __slots__ = (
        "_knows",
        "batches",
        "ended_streams",
        "in_flight",
        "latency",
        "name",
        "open_streams",
        "tallies",
    )

    def __init__(self, name: str, knows: Callable[[str], bool]) -> None:
        self.name = name
        self.in_flight = 0
        self.latency = Distribution(LATENCY_BOUNDS_S)
        self.batches = Distribution(ROWS_BOUNDS)
        """Rows that were answered together; methods without rows leave it empty."""
        self.open_streams = 0
        self.ended_streams: dict[str, int] = {}
        """By gRPC status."""
        self.tallies: dict[tuple[str, str], Tally] = {}
        """By workload and gRPC status."""
        self._knows = knows

    def answered(self, workload: str, seconds: float, rows: int = 1) -> None:
        """Count a request that was answered; `workload` is empty where there is none."""
        latency = self.latency
        latency.counts[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
        latency.total += seconds
        tally = self.tallies.get((workload, OK))
        if tally is None:
            tally = self.tallies[workload, OK] = Tally()
        tally.count += 1
        tally.seconds += seconds
        tally.rows += rows

    def refused(self, workload: str, status: str, seconds: float) -> None:
        """Count a request that ended with an error, under the name of its gRPC status.

        A workload that the server does not know counts as none: callers may send any name,
        and each one would be kept for good.
        """
        self.latency.add(seconds)
        tally = self.tallies.setdefault(
            (workload if self._knows(workload) else "", status), Tally()
        )
        tally.count += 1
        tally.seconds += seconds

    def stream_ended(self, status: str) -> None:
        """Count a stream that ended, under the name of its gRPC status."""
        self.open_streams -= 1
        self.ended_streams[status] = self.ended_streams.get(status, 0) + 1


@dataclass(frozen=True, slots=True)
class Reading:
    """A number that somebody else keeps, read when the metrics are looked at.

    `read` is called from the threads of the metrics page. A counter's name ends in `_total`.
    """

    name: str
    help: str
    read: Callable[[], float]
    counts_up: bool = False
    """Whether it is a counter, which only grows; else it is a gauge."""
    across: Across = "sum"


@dataclass(slots=True)
class Meters:
    """All that one process counts. Used on the event loop; anybody may read."""

    knows: Callable[[str], bool] = bool
    """Whether a workload of that name exists."""
    methods: dict[str, MethodMeter] = field(default_factory=dict)
    swaps: Distribution = field(default_factory=lambda: Distribution(SWAP_BOUNDS_S))
    """Seconds from finding a new bundle to answering with it, checks included."""
    readings: list[Reading] = field(default_factory=list)

    def method(self, name: str) -> MethodMeter:
        """Return the meter of a method, such as foretell.v1.PredictionService/Predict."""
        meter = self.methods.get(name)
        if meter is None:
            meter = self.methods[name] = MethodMeter(name, self.knows)
        return meter

    def show(self, *readings: Reading) -> None:
        """Have numbers that are kept elsewhere on the metrics page."""
        self.readings.extend(readings)
