"""What a demo came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretell.demo.load import Served
from foretell.demo.outcomes import HeldOut, share_inside

METRICS = ("duration_s", "memory_kb")


@dataclass(frozen=True)
class DemoResult:
    """All that was measured; what is shown is read from here."""

    runs_measured: int
    repeat_noise: float | None
    pace_change: float | None
    """How much longer a fixed piece of work took while the held-out runs ran than while the
    training runs were measured: 0.1 is 10 %. The machine's own drift; no forecast knew of it."""
    first_version: str
    second_version: str
    held_out: Sequence[HeldOut]
    served: Served
    seconds: Mapping[str, float]
    """How long each step took, by name."""
    kept: Path | None

    def as_json(self) -> dict[str, Any]:
        """Return the result for machines."""
        inside = {metric: share_inside(self.held_out, metric) for metric in METRICS}
        return {
            "runs_measured": self.runs_measured,
            "repeat_noise": self.repeat_noise,
            "pace_change": self.pace_change,
            "bundles": [self.first_version, self.second_version],
            "inside": {
                metric: {"asked": 0.8, "inside": count, "of": known}
                for metric, (count, known) in inside.items()
            },
            "held_out": [run.as_json() for run in self.held_out],
            "requests_during_swap": {
                "served": self.served.answered,
                "failed": self.served.failed,
                "median_s": self.served.median_s,
                "by_version": dict(self.served.versions),
                "failures": list(self.served.failures),
            },
            "seconds": dict(self.seconds),
            "kept": self.kept,
        }
