"""Watching: keeps live scores, alarms and regressions of all workloads in step with the store.

Like corrections, what is known follows from the bundles that `current` and `candidate` stand for
and from the newest outcomes in the store: a worker that was killed loses none. Which alarms were
told already is read from what was published, so that none is told twice.

A candidate answers alongside: an answer follows from the features alone, so the candidate is
asked here about every outcome that comes in, and serving costs nothing.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import redis

from foretell.correction_channel import CorrectionWriter
from foretell.errors import ForetellError
from foretell.events import Event, publish
from foretell.live import LiveReport, live_key, read_report
from foretell.logs import get_logger
from foretell.predictor import Predictor
from foretell.registry import Registry
from foretell_trainer.anomalies.board import show_anomalies, tell_flagged
from foretell_trainer.anomalies.ledger import flag
from foretell_trainer.corrections.outcomes import Outcomes, read_outcomes
from foretell_trainer.schedule import note_drift
from foretell_trainer.store import Store

if TYPE_CHECKING:
    from foretell_trainer.watch.monitor import Monitor

MOST_OUTCOMES = 2000
"""So many of the newest outcomes are looked at when a bundle takes over."""
SHADOWED = 50
"""After so many outcomes, the score of a candidate is an event."""
RESTS, LONGEST_REST_S = 9.0, 2.0
"""It rests so many times as long as it worked: under load, ingest has most of the process."""

_log = get_logger(__name__)


@dataclass
class _Watch:
    """One workload: its monitors, and how far its outcomes were read."""

    current: Monitor
    candidate: Monitor | None
    known: LiveReport
    read: int = 0
    told_shadow: bool = False


class Watching:
    """Watches all workloads, in a thread."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        client: redis.Redis,
        *,
        poll_s: float,
        regression_percent: float,
    ) -> None:
        self._store = store
        self._registry = registry
        self._client = client
        self._corrections = CorrectionWriter(client)
        self._poll_s = poll_s
        self._percent = regression_percent
        self._wake = threading.Event()
        self._news: set[str] = set()
        self._watches: dict[str, _Watch] = {}
        self._failing: set[str] = set()
        self._shown: set[str] = set()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="watch")

    def start(self) -> None:
        """Watch from now on, until the process ends."""
        self._thread.start()

    def stored(self, workload: str) -> None:
        """Say that outcomes of a workload were stored."""
        self._news.add(workload)
        self._wake.set()

    def look(self) -> None:
        """Bring everything in step with what is stored now."""
        for workload in self._registry.workloads():
            try:
                self._look(workload)
            except (ForetellError, OSError, duckdb.Error, redis.RedisError) as error:
                if workload not in self._failing:
                    _log.warning("not watched", workload=workload, error=str(error))
                self._failing.add(workload)
                self._news.add(workload)
            else:
                self._failing.discard(workload)

    def _follow(self) -> None:
        while True:
            self._wake.wait(self._poll_s)
            self._wake.clear()
            began = time.monotonic()
            try:
                self.look()
            except Exception:
                # Nothing may end this loop: nobody would hear of anything any more.
                _log.exception("answers could not be watched")
            time.sleep(min(RESTS * (time.monotonic() - began), LONGEST_REST_S))

    def _look(self, workload: str) -> None:
        if not self._store.path.exists():
            return
        if workload not in self._shown:
            # Files may have been read into the store while no worker was there.
            show_anomalies(self._client, self._store, workload)
            self._shown.add(workload)
        aliases = self._registry.aliases(workload)
        version = aliases.get("current")
        if version is None:
            return
        watch = self._watches.get(workload)
        if watch is None or _versions(watch) != (version, aliases.get("candidate")):
            watch = self._begin(workload, version, aliases.get("candidate"))
            self._watches[workload] = watch
            self._news.add(workload)
        if workload in self._news:
            # Before reading: what is stored meanwhile is news again.
            self._news.discard(workload)
            outcomes, read = read_outcomes(
                self._store, watch.current.predictor.schema, watch.read, MOST_OUTCOMES
            )
            self._take(workload, watch, outcomes)
            watch.read = read

    def _begin(self, workload: str, version: str, candidate: str | None) -> _Watch:
        # The detectors' library takes seconds to load: in this thread, and where bundles are.
        from foretell_trainer.watch.monitor import Monitor  # noqa: PLC0415

        def monitor(name: str) -> Monitor:
            return Monitor(Predictor.load(self._registry.path(workload, name)), self._percent)

        known = read_report(self._client.get(live_key(workload)))
        current = monitor(version)
        # What was told already is not told again.
        current.remember(known)
        return _Watch(current, monitor(candidate) if candidate else None, known)

    def _take(self, workload: str, watch: _Watch, outcomes: Outcomes) -> None:
        if len(outcomes):
            events, impossible = watch.current.take(outcomes)
            if watch.candidate is not None:
                watch.candidate.take(outcomes)
                events += self._shadow(workload, watch)
            if flagged := flag(self._store, impossible):
                tell_flagged(self._client, self._store, workload, flagged)
            for event in events:
                publish(self._client, event)
                if event.kind == "drift":
                    note_drift(self._client, workload, event.message)
        # The corrections of before: answers to outcomes that come next were given with these.
        known = self._corrections.read(workload)
        predictor = watch.current.predictor
        if known is not None and known.bundle_version == predictor.version:
            predictor.corrections = predictor.compile(known)
        self._show(workload, watch)

    def _shadow(self, workload: str, watch: _Watch) -> list[Event]:
        """Return the event that says how a candidate does, once there are enough outcomes."""
        if watch.candidate is None or watch.told_shadow:
            return []
        mine = {s.metric: s for s in watch.candidate.scores(is_shadow=True) if not s.group}
        theirs = {s.metric: s for s in watch.current.scores() if not s.group}
        if not mine or min(score.outcomes for score in mine.values()) < SHADOWED:
            return []
        watch.told_shadow = True
        return [
            Event(
                workload=workload,
                kind="shadow",
                metric=metric,
                message=f"{metric}: the candidate's error is {score.crps:.3g} on "
                f"{score.outcomes} outcomes, the current bundle's {theirs[metric].crps:.3g}",
                numbers={
                    "crps": score.crps,
                    "current_crps": theirs[metric].crps,
                    "coverage": score.coverage,
                    "outcomes": float(score.outcomes),
                },
                bundle_version=score.bundle_version,
            )
            for metric, score in mine.items()
            if metric in theirs
        ]

    def _show(self, workload: str, watch: _Watch) -> None:
        shadow = watch.candidate.scores(is_shadow=True) if watch.candidate else ()
        worst = sorted(watch.current.regressions.values(), key=lambda r: -r.ratio)
        report = LiveReport(scores=(*watch.current.scores(), *shadow), regressions=tuple(worst))
        if report != watch.known:
            self._client.set(live_key(workload), report.model_dump_json())
            watch.known = report


def _versions(watch: _Watch) -> tuple[str, str | None]:
    candidate = watch.candidate
    return watch.current.predictor.version, candidate.predictor.version if candidate else None
