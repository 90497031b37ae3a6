"""A client that keeps asking in the background while a new bundle takes over."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from types import TracebackType
from typing import Any, Self

from foretell.client import Client
from foretell.errors import ForetellError, Unavailable

# A scheduler's pace rather than a stress test's: the fit needs a processor too.
PAUSE_S = 0.002
FAILURES_KEPT = 5


@dataclass(frozen=True)
class Served:
    """What became of the requests."""

    answered: int
    failed: int
    versions: Mapping[str, int]
    """How many answers each bundle version gave."""
    failures: Sequence[str]
    """The first reasons, when there were any."""
    median_s: float
    """How long half of the answers took at most, client included, while a fit was running."""


class BackgroundLoad:
    """Predicts one item after another in a thread of its own; a context manager."""

    def __init__(self, address: str, workload: str, items: Sequence[Mapping[str, Any]]) -> None:
        self._address = address
        self._workload = workload
        self._items = items
        self._versions: Counter[str] = Counter()
        self._failed = 0
        self._failures: list[str] = []
        self._took: list[float] = []
        self._stop = threading.Event()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="background client", daemon=True)

    def wait_for(self, version: str, answers: int, within_s: float) -> None:
        """Wait until a version gave some answers; Unavailable if it did not within that time."""
        with self._news:
            if not self._news.wait_for(lambda: self._versions[version] >= answers, within_s):
                why = f"{self._versions[version]} answers came from it within {within_s:g} s"
                raise Unavailable(f"bundle {version}", why)

    def served(self) -> Served:
        """Return what became of the requests so far."""
        with self._news:
            answered = sum(self._versions.values())
            median_s = statistics.median(self._took) if self._took else 0.0
            versions, failures = dict(+self._versions), tuple(self._failures)
            return Served(answered, self._failed, versions, failures, median_s)

    def _run(self) -> None:
        with Client(self._address) as client:
            for item in cycle(self._items):
                if self._stop.is_set():
                    return
                self._ask(client, item)
                time.sleep(PAUSE_S)

    def _ask(self, client: Client, item: Mapping[str, Any]) -> None:
        began = time.perf_counter()
        try:
            version, failure = client.predict(self._workload, item).bundle_version, ""
        except ForetellError as error:
            version, failure = "", error.message
        with self._news:
            if version:
                self._versions[version] += 1
                self._took.append(time.perf_counter() - began)
            else:
                self._failed += 1
                self._failures += [failure] if len(self._failures) < FAILURES_KEPT else []
            self._news.notify_all()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
