"""A training job while it runs: what it tells, and whether it was asked to stop."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from foretell.errors import Cancelled, Unavailable
from foretell.jobs import Job, JobStore
from foretell.logs import get_logger
from foretell_trainer.extent import Extent
from foretell_trainer.snapshot import Snapshot
from foretell_trainer.turns import Turn

ASKED_EVERY_S = 0.3
TOLD_EVERY_S = 0.2

SNAPSHOT_SHARE, FIT_SHARE = 0.05, 0.93
"""The shares of the whole that taking the snapshot and fitting are counted as."""

_log = get_logger(__name__)


@dataclass
class Run:
    """A job while it runs: what it tells, and whether it was asked to stop."""

    job: Job
    spec: Mapping[str, Any]
    jobs: JobStore
    turn: Turn
    extent: Extent | None = None
    snapshot: Snapshot | None = None
    new: int = 0
    """How many rows an update learns from."""
    metrics: tuple[str, ...] = ()
    _stage: str = ""
    _told_at: float = 0.0
    _asked_at: float = 0.0
    _is_cancelled: bool = False
    _numbers: dict[str, float] = field(default_factory=dict)

    def learned_from(self) -> str:
        """Return, for people, how much of what was observed the run learned from."""
        if self.extent is None or self.snapshot is None:
            return "nothing was learned from yet"
        return self.extent.sentence(self.snapshot.rows, self.new)

    def begin(self) -> None:
        self.jobs.update(self.job.id, state="RUNNING", stage="snapshot", fraction=0.0, numbers={})
        self.stop_if_asked()

    def tell(self, stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
        """Report progress; a change of stage at once, the rest a few times a second."""
        # A fit takes one metric after the other, and names it last in its stage.
        about = stage.rpartition(" ")[2]
        prefix = f"{about}." if about in self.metrics else ""
        self._numbers.update({f"{prefix}{name}": value for name, value in numbers.items()})
        now = time.monotonic()
        if stage == self._stage and now - self._told_at < TOLD_EVERY_S:
            return
        self._stage, self._told_at = stage, now
        done = SNAPSHOT_SHARE + FIT_SHARE * min(max(fraction, 0.0), 1.0)
        try:
            self.jobs.update(self.job.id, stage=stage, fraction=done, numbers=self._numbers)
        except Unavailable as error:
            # Progress is a courtesy: a fit goes on while the broker is away.
            _log.warning("progress not told", error=error.message)

    def should_stop(self) -> bool:
        """Return whether the job is to stop; the broker is asked a few times a second.

        Once it is, it stays so: what stops first, such as a trial, is within something else.
        """
        if self.turn.lost.is_set() or self._is_cancelled:
            return True
        now = time.monotonic()
        if now - self._asked_at < ASKED_EVERY_S:
            return False
        self._asked_at = now
        with suppress(Unavailable):
            self._is_cancelled = self.jobs.is_cancelled(self.job.id)
        return self._is_cancelled

    def stop_if_asked(self) -> None:
        self._asked_at = 0.0
        if self.should_stop():
            raise Cancelled
