"""Running many configurations, each in a fresh process, a few at a time."""

from __future__ import annotations

import math
import selectors
import time
from collections.abc import Callable, Generator, Iterable
from itertools import islice

from foretell.measure.configuration import Configuration
from foretell.measure.launcher import Launcher
from foretell.measure.measurements import Measurement
from foretell.measure.process import Process


def run_all(
    configurations: Iterable[Configuration],
    *,
    timeout_s: float,
    parallel: int = 1,
    stop_at: Callable[[], float] = lambda: math.inf,
) -> Generator[Measurement, None, None]:
    """Runs the configurations in order, up to `parallel` at a time; yields as they end.

    At `stop_at`, on the clock of `time.monotonic` and asked again after every run, what is still
    running is ended and dropped.
    All processes are gone when the generator ends, is closed, or raises; it is driven from one
    thread, so Ctrl-C is enough.
    """
    waiting = iter(configurations)
    running: set[Process] = set()
    with Launcher() as launcher, selectors.DefaultSelector() as selector:
        try:
            while time.monotonic() < stop_at():
                for configuration in islice(waiting, parallel - len(running)):
                    process = Process.start(launcher, configuration, timeout_s)
                    running.add(process)
                    selector.register(process, selectors.EVENT_READ, process)
                if not running:
                    return
                for process, measurement in _next(selector, running, stop_at()):
                    selector.unregister(process)
                    running.remove(process)
                    process.end()
                    yield measurement
        finally:
            for process in running:
                process.release()


def _next(
    selector: selectors.BaseSelector, running: set[Process], stop_at: float
) -> list[tuple[Process, Measurement]]:
    """Waits until something happens; those that ended, with what they came to."""
    first = min(stop_at, *(process.deadline for process in running))
    ready = {key.data for key, _ in selector.select(max(0.0, first - time.monotonic()))}
    now = time.monotonic()
    ended = []
    for process in running:
        measurement = process.advance() if process in ready else None
        if measurement is None and now >= process.deadline:
            measurement = process.expire()
        if measurement is not None:
            ended.append((process, measurement))
    return ended
