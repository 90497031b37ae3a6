"""What the two clients share about waiting for a training run."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Literal, TypedDict

from foretell.client.models import Bundle, Job
from foretell.errors import BundleRejected, Cancelled, DeadlinePassed, ForetellError, Unavailable
from foretell.v1 import model_pb2
from foretell.v1.model_pb2 import RetrainRequest

RetrainMode = Literal["auto", "full", "windowed", "update"]

_MODES: Mapping[RetrainMode, model_pb2.RetrainMode] = {
    "auto": model_pb2.RETRAIN_MODE_UNSPECIFIED,
    "full": model_pb2.RETRAIN_MODE_FULL,
    "windowed": model_pb2.RETRAIN_MODE_WINDOWED,
    "update": model_pb2.RETRAIN_MODE_UPDATE,
}

SERVED_WITHIN_S = 10.0
"""How long a server that published a bundle may take to load it before nobody waits any more."""
SERVED_ASKED_EVERY_S = 0.05


class RetrainAsk(TypedDict, total=False):
    """What a caller may say about a training run."""

    request_id: str | None
    """The same id is the same job, however often it is sent."""
    include_simulated: bool
    """Train on simulated observations too."""
    skip_gate: str
    """Why the new bundle is to take over without being compared with the current one."""
    reason: str
    """Why the run is asked for."""
    mode: RetrainMode
    """How much is learned from: `full`, `windowed`, `update`, or `auto`, what the trainer
    chooses."""
    window_rows: int
    """Of a windowed run: how many of the newest observations."""
    family: str
    """The family of estimators; the schema's if not given."""
    search: str
    """A budget for a search for better settings before the fit: `trials=30,seconds=600`."""
    split: str
    """A split to cross-validate by before the fit: `kfold`, `grouped:model`, `time`."""
    join: bool
    """Take a job of the workload that is not over yet for the answer, if there is one."""


def retrain_request(workload: str, ask: RetrainAsk) -> RetrainRequest:
    """Return the request; without an id of the caller's it gets one, so that retries are safe."""
    return RetrainRequest(
        workload=workload,
        request_id=ask.get("request_id") or str(uuid.uuid4()),
        include_simulated=ask.get("include_simulated", False),
        skip_gate_reason=ask.get("skip_gate", ""),
        reason=ask.get("reason", ""),
        mode=_MODES[ask.get("mode", "auto")],
        window_rows=ask.get("window_rows", 0),
        family=ask.get("family", ""),
        search=ask.get("search", ""),
        split=ask.get("split", ""),
        join=ask.get("join", False),
    )


def watch_limit(wait: bool | float) -> float | None:
    """Return how many seconds to wait for a job at most; None is the client's default."""
    return None if isinstance(wait, bool) else wait


def succeeded(job: Job) -> Job:
    """Return the job if it published a bundle; raises its error, or Cancelled, if it did not."""
    if job.state == "SUCCEEDED":
        return job
    if job.state == "CANCELLED":
        raise Cancelled(f"job {job.id} was cancelled")
    if job.state == "FAILED":
        raise job.error or ForetellError(f"job {job.id} failed without saying why")
    raise Unavailable(f"job {job.id}", f"the watch ended while it was {job.state}")


def serving_settled(bundle: Bundle) -> bool:
    """Return whether waiting for a published bundle to serve is over.

    It serves, or it never will, because another bundle took its place in the meantime. Raises
    BundleRejected if the server refused to load it.
    """
    if bundle.refusal:
        raise BundleRejected(bundle.version, bundle.refusal)
    return bundle.serving or "current" not in bundle.aliases


class Deadline:
    """A point in time that several calls share; `seconds` None never passes."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Return the seconds left; raises DeadlinePassed if there are none."""
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise DeadlinePassed(f"not finished within {self._seconds:g} s")
        return left
