"""Following: outcomes as they are stored, turned into corrections that every server hears of.

Corrections are no state of their own: they follow from the bundle that is current and from the
newest outcomes in the store. So a worker that was killed loses none, and a bundle that takes over
is corrected at once by what was reported before it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import duckdb
import redis

from foretell.correction_channel import CorrectionWriter
from foretell.corrections import Corrections
from foretell.errors import ForetellError
from foretell.logs import get_logger
from foretell.predictor import Predictor
from foretell.registry import Registry
from foretell_trainer.corrections.corrector import MOST_OUTCOMES, Corrector
from foretell_trainer.corrections.outcomes import read_outcomes
from foretell_trainer.store import Store

RESTS = 4.0
"""It rests so many times as long as it worked: under load, ingest has most of the process."""
LONGEST_REST_S = 1.0

_log = get_logger(__name__)


@dataclass
class _Followed:
    """One workload: what corrects its current bundle, and how far its outcomes were read."""

    corrector: Corrector
    published: Corrections | None
    read: int = 0


class Following:
    """Keeps the corrections of all workloads in step with store and registry, in a thread."""

    def __init__(
        self, store: Store, registry: Registry, client: redis.Redis, *, poll_s: float
    ) -> None:
        self._store = store
        self._registry = registry
        self._writer = CorrectionWriter(client)
        self._poll_s = poll_s
        self._news: set[str] = set()
        self._wake = threading.Event()
        self._followed: dict[str, _Followed] = {}
        self._failing: set[str] = set()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="corrections")

    def start(self) -> None:
        """Follow from now on, until the process ends."""
        self._thread.start()

    def stored(self, workload: str) -> None:
        """Say that outcomes of a workload were stored."""
        self._news.add(workload)
        self._wake.set()

    def look(self) -> None:
        """Bring the corrections in step with what is stored now."""
        for workload in self._registry.workloads():
            try:
                self._look(workload)
            except (ForetellError, OSError, duckdb.Error) as error:
                # Tried again when something is stored; the bundle's own answers stand meanwhile.
                if workload not in self._failing:
                    _log.warning("not corrected", workload=workload, error=str(error))
                self._failing.add(workload)
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
                # Nothing may end this loop: answers would not follow any more.
                _log.exception("corrections could not be found")
            time.sleep(min(RESTS * (time.monotonic() - began), LONGEST_REST_S))

    def _look(self, workload: str) -> None:
        version = self._registry.aliases(workload).get("current")
        if version is None or not self._store.path.exists():
            return
        followed = self._followed.get(workload)
        if followed is None or followed.corrector.predictor.version != version:
            predictor = Predictor.load(self._registry.path(workload, version))
            followed = _Followed(Corrector(predictor), self._writer.read(workload))
            self._news.add(workload)
            self._followed[workload] = followed
        if workload in self._news:
            # Before reading: what is stored meanwhile is news again.
            self._news.discard(workload)
            self._learn(workload, followed)

    def _learn(self, workload: str, followed: _Followed) -> None:
        corrector = followed.corrector
        try:
            schema = corrector.predictor.schema
            outcomes, read = read_outcomes(self._store, schema, followed.read, MOST_OUTCOMES)
            corrector.learn(outcomes)
            followed.read = read
            self._publish(workload, followed)
        except BaseException:
            self._news.add(workload)
            raise

    def _publish(self, workload: str, followed: _Followed) -> None:
        version, entries = followed.corrector.predictor.version, followed.corrector.entries()
        known = followed.published
        if known is None and not entries:
            return
        if known is not None and (known.bundle_version, known.entries) == (version, entries):
            return
        followed.published = self._writer.write(workload, version, entries)
        _log.info(
            "answers are corrected",
            workload=workload,
            bundle_version=version,
            number=followed.published.number,
            groups=len(entries),
        )
