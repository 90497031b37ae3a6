"""The journal: what is written about calls that ended, when anybody wants that.

Errors are logged at the edge, always. Answers are logged one line each, all of them at level
debug and a share of them at level info if the settings say so. Both become spans when there is
somewhere to send them.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import Any

from foretell.logs import get_logger
from foretell_server.telemetry.tracing import Tracer

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that has ended."""

    method: str
    request_id: str
    metadata: tuple[tuple[str, str | bytes], ...]
    began: float
    """By `time.perf_counter`."""
    workload: str
    bundle_version: str = ""
    status: str = "OK"

    @property
    def seconds(self) -> float:
        """How long it took until now."""
        return time.perf_counter() - self.began


class Journal:
    """Writes about calls. One per process."""

    def __init__(self, share: float, tracer: Tracer | None = None) -> None:
        """`share`: of so many answers, in [0, 1], a line is logged at level info."""
        self._share = share
        self._tracer = tracer
        self._debug = logging.getLogger(__name__).isEnabledFor(logging.DEBUG)

    @property
    def wanted(self) -> bool:
        """Whether anything would be written; asked once, because asking costs too."""
        return self._debug or self._share > 0 or self._tracer is not None

    def write(self, call: Call) -> None:
        """Write about a call that ended."""
        if self._tracer is not None:
            self._tracer.record(call)
        if call.status != "OK":
            return
        if self._share and random.random() < self._share:  # noqa: S311 -- a sample, no secret
            _log.info("answered", **_fields(call))
        elif self._debug:
            _log.debug("answered", **_fields(call))


def bundle_version_of(response: Any) -> str:  # noqa: ANN401 -- a message of any method
    """Return the bundle version that an answer names, empty when it names none."""
    named = getattr(response, "provenance", response)
    found = getattr(named, "bundle_version", "") or getattr(named, "model_version", "")
    return str(found)


def _fields(call: Call) -> dict[str, Any]:
    return {
        "method": call.method,
        "workload": call.workload,
        "bundle_version": call.bundle_version,
        "request_id": call.request_id,
        "seconds": round(call.seconds, 6),
    }
