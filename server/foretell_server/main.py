"""The way in: `serve(settings)` runs the server until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from foretell import logs
from foretell.settings import Settings
from foretell_server.auth import check_exposure
from foretell_server.telemetry.families import Family
from foretell_server.telemetry.gathering import answer_questions

OnReady = Callable[[int], None]
"""Called with the port once the server answers."""

_log = logs.get_logger(__name__)

_COLLECTIONS = (1_000, 10, 1_000)
"""After how many new objects the young are looked through, of these how often the older, and of
those how often all. gRPC leaves three objects of each call to the collector: ten thousand of them
hold up every call for three milliseconds, a thousand for less than a run of the graph."""

GRPC_EXPERIMENTS = "-event_engine_listener"
"""Sockets are read and written by the thread that waits for them, not by one of a pool.

A call then goes through one thread less. A handler that does nothing costs a sixth less of the
processor that way, and a third less for each message on a stream.
"""


@dataclass
class StopSignals:
    """What SIGTERM and SIGINT ask for: the first drains, the second stops at once."""

    drain: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: asyncio.Event = field(default_factory=asyncio.Event)

    def receive(self) -> None:
        """Note one more signal."""
        (self.at_once if self.drain.is_set() else self.drain).set()


def serve(settings: Settings, on_ready: OnReady | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then drain and return; a second signal stops at once.

    With `settings.workers` above 1, so many processes share the port. Raises InvalidInput for
    settings that cannot be used and Unavailable for a port that is taken.
    """
    logs.configure(settings.log_level, settings.log_format)
    check_exposure(settings)
    settings.admin_token()
    if settings.workers > 1:
        from foretell_server.supervisor import supervise  # noqa: PLC0415 -- for several only

        supervise(settings, on_ready)
    else:
        run_process(settings, on_ready)


@dataclass(frozen=True)
class Place:
    """The place of one process among several that a supervisor watches."""

    number: int
    supervisor: int
    """A file descriptor that becomes readable when the supervisor has ended."""
    link: Connection
    """On which the supervisor asks for metrics."""


def run_process(
    settings: Settings, on_ready: OnReady | None = None, *, place: Place | None = None
) -> None:
    """Run one serving process; without a place, the only one."""
    # Read once, when grpc is imported. Versions that do not know the name say so and go on.
    os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)
    import uvloop  # noqa: PLC0415 -- not for the supervisor, nor is grpc

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, on_ready, place))


async def _run(settings: Settings, on_ready: OnReady | None, place: Place | None) -> None:
    from foretell_server.serving import serving  # noqa: PLC0415

    signals = StopSignals()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, signals.receive)
    if place is None:
        loop.add_signal_handler(signal.SIGINT, signals.receive)
    else:
        # Ctrl-C reaches all processes of a terminal; the supervisor passes it on, once.
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        # So does the end of the terminal; the supervisor renews the processes one by one.
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        loop.add_reader(place.supervisor, signals.drain.set)
    async with serving(settings, place.number if place else 0) as server:
        if place is not None:
            answer_questions(place.link, server.census.families)
        _log.info("serving", host=settings.host, port=server.port, registry=settings.registry)
        _spare_the_collector()
        with nullcontext() if place else showing(settings, server.census.families):
            if on_ready is not None:
                on_ready(server.port)
            await signals.drain.wait()
            await server.stop(signals.at_once)
    _log.info("stopped")


def _spare_the_collector() -> None:
    """Have the garbage collector look at what calls leave behind, and not at the whole program.

    Each call makes a few dozen objects, which by default would have everything that was imported
    looked through several times a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)


@contextmanager
def showing(settings: Settings, collect: Callable[[], Iterable[Family]]) -> Iterator[None]:
    """Have the metrics page up, if the settings want one; Unavailable when its port is taken."""
    if settings.metrics_port is None:
        yield
        return
    from foretell_server.telemetry.page import metrics_page  # noqa: PLC0415 -- if wanted

    with metrics_page(settings.metrics_host, settings.metrics_port, collect) as port:
        _log.info("metrics are shown", host=settings.metrics_host, port=port)
        yield
