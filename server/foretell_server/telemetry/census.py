"""The census: everything that one serving process has to show, as metric families."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from foretell_server.shelf import Shelf
from foretell_server.telemetry.families import Family, Sample, histogram, labelled
from foretell_server.telemetry.meters import Meters, MethodMeter

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Census:
    """Reads a process's meters and what it serves. May be called from any thread."""

    meters: Meters
    shelf: Shelf
    process: int = 0
    """The place of this process among those that share the port."""
    more: Callable[[], Iterable[Family]] = tuple
    """What others have to show."""

    def families(self) -> list[Family]:
        """Return everything as it is now."""
        parts = (
            self._requests(),
            self._streams(),
            self._bundles(),
            self._readings(),
            self._process(),
            self.more(),
        )
        return [family for part in parts for family in part]

    def _requests(self) -> Iterator[Family]:
        methods = self._used()
        yield Family(
            "foretell_requests_total",
            "counter",
            "Unary calls and messages of streams, by method, workload and gRPC status.",
            tuple(
                Sample(labelled(method=m.name, workload=workload, status=status), tally.count)
                for m in methods
                for (workload, status), tally in list(m.tallies.items())
            ),
        )
        yield Family(
            "foretell_rows_total",
            "counter",
            "Rows that were answered; a request that is not a batch has one.",
            tuple(
                Sample(labelled(method=m.name, workload=workload), tally.rows)
                for m in methods
                for (workload, _), tally in list(m.tallies.items())
                if tally.rows and workload
            ),
        )
        yield Family(
            "foretell_request_duration_seconds",
            "histogram",
            "Time inside the server, from request to answer.",
            tuple(s for m in methods for s in histogram(labelled(method=m.name), m.latency)),
        )
        yield Family(
            "foretell_batch_rows",
            "histogram",
            "Rows that were answered together.",
            tuple(
                s
                for m in methods
                if any(m.batches.counts)
                for s in histogram(labelled(method=m.name), m.batches)
            ),
        )
        yield Family(
            "foretell_requests_in_flight",
            "gauge",
            "Requests that have come and have not been answered yet.",
            tuple(Sample(labelled(method=m.name), m.in_flight) for m in methods),
        )

    def _streams(self) -> Iterator[Family]:
        methods = self._used()
        yield Family(
            "foretell_streams_open",
            "gauge",
            "Streams that callers hold open.",
            tuple(Sample(labelled(method=m.name), m.open_streams) for m in methods),
        )
        yield Family(
            "foretell_streams_total",
            "counter",
            "Streams that ended, by method and gRPC status.",
            tuple(
                Sample(labelled(method=m.name, status=status), count)
                for m in methods
                for status, count in list(m.ended_streams.items())
            ),
        )

    def _used(self) -> list[MethodMeter]:
        """Return the methods that were ever called: each has dozens of lines."""
        meters = list(self.meters.methods.values())
        return [m for m in meters if m.tallies or m.in_flight or m.ended_streams or m.open_streams]

    def _bundles(self) -> Iterator[Family]:
        live = list(self.shelf.live.values())
        yield Family(
            "foretell_bundle_info",
            "gauge",
            "How many processes answer with this bundle.",
            tuple(Sample(labelled(workload=b.workload, version=b.version), 1) for b in live),
        )
        yield Family(
            "foretell_bundle_loaded_timestamp_seconds",
            "gauge",
            "When the bundle that answers was taken over, in seconds since 1970.",
            tuple(Sample(labelled(workload=b.workload), b.loaded_at.timestamp()) for b in live),
            "min",
        )
        yield Family(
            "foretell_bundle_swap_duration_seconds",
            "histogram",
            "Time from finding a new bundle to answering with it, checks included.",
            tuple(histogram((), self.meters.swaps)),
        )
        yield Family(
            "foretell_bundle_swaps_total",
            "counter",
            "Bundles that were taken over.",
            (Sample((), self.shelf.swaps),),
        )
        yield Family(
            "foretell_bundle_refusals_total",
            "counter",
            "Bundles that were refused because they failed a check.",
            (Sample((), self.shelf.refused),),
        )

    def _readings(self) -> Iterator[Family]:
        for reading in list(self.meters.readings):
            yield Family(
                reading.name,
                "counter" if reading.counts_up else "gauge",
                reading.help,
                (Sample((), reading.read()),),
                reading.across,
            )

    def _process(self) -> Iterator[Family]:
        mine = labelled(process=str(self.process))
        used = resource.getrusage(resource.RUSAGE_SELF)
        yield Family(
            "foretell_process_cpu_seconds_total",
            "counter",
            "CPU time of each process, user and system.",
            (Sample(mine, used.ru_utime + used.ru_stime),),
        )
        yield Family(
            "foretell_process_resident_memory_bytes",
            "gauge",
            "Memory that each process holds.",
            (Sample(mine, _resident_bytes()),),
        )
        yield Family(
            "foretell_info",
            "gauge",
            "The release; the value is the number of processes.",
            (Sample(labelled(version=version("foretell")), 1),),
        )


def _resident_bytes() -> int:
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:  # not Linux: the highest so far is the best there is
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(pages) * _PAGE_BYTES
