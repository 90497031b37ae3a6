"""Held-out work: what was predicted of it, and what it then really took."""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foretell.client import Prediction
from foretell.client.results import MetricForecast
from foretell.measure import Configuration, Measurement

WORKLOAD = "serverless"


@dataclass(frozen=True)
class HeldOut:
    """One run that no bundle had seen: its prediction, made before, and its measurement."""

    configuration: Configuration
    prediction: Prediction
    measurement: Measurement

    def measured(self, metric: str) -> float | None:
        """Return what was measured; None for a run that was ended before it got there."""
        value: float | None = getattr(self.measurement, metric)
        return value

    def inside(self, metric: str, longer: float = 0.0) -> bool | None:
        """Return whether the measurement lies in the interval; None when it is not known.

        A run that was ended is outside as soon as its lower bound is above the interval. Where all
        took `longer` than usual, by 0.1 for 10 %, what is compared is what it would have been else.
        """
        interval = self.prediction[metric].interval
        value = self.measured(metric)
        if value is not None:
            return value / (1 + longer) in interval
        reached = self.measurement.lower_bounds.get(metric)
        if reached is None:
            return None
        return False if reached / (1 + longer) > interval.upper else None

    def observation(self) -> dict[str, Any]:
        """Return the outcome as it is reported back."""
        return {
            **observation_of(self.measurement),
            "prediction_id": self.prediction.prediction_id,
        }

    def as_json(self) -> dict[str, Any]:
        """Return the run for machines."""
        return {
            "function": self.configuration.task.name,
            "argument": self.configuration.argument,
            "node": self.configuration.node.name,
            "beyond": self.configuration.beyond,
            "tier": self.prediction.tier,
            "support": self.prediction.support,
            "metrics": {
                name: _metric_json(forecast, self.measured(name), self.inside(name))
                for name, forecast in self.prediction.metrics.items()
            },
        }


def _metric_json(
    forecast: MetricForecast, measured: float | None, inside: bool | None
) -> dict[str, Any]:
    return {
        "median": forecast.median,
        "lower": forecast.interval.lower,
        "upper": forecast.interval.upper,
        "measured": measured,
        "inside": inside,
    }


def share_inside(runs: Sequence[HeldOut], metric: str, longer: float = 0.0) -> tuple[int, int]:
    """Return how many runs lie inside their intervals, and of how many that is known.

    `longer` is that of `HeldOut.inside`.
    """
    known = [inside for run in runs if (inside := run.inside(metric, longer)) is not None]
    return sum(known), len(known)


def typical_excess(runs: Sequence[HeldOut], metric: str) -> float | None:
    """Return by how much measurements exceed the predicted medians, the middle one of all runs.

    0.1 is 10 % above, below 0 is below; None when nothing was measured.
    """
    ratios = [
        value / run.prediction[metric].median
        for run in runs
        if (value := run.measured(metric)) is not None
    ]
    return statistics.median(ratios) - 1 if ratios else None


def pace_change(before: Sequence[Measurement], after: Sequence[Measurement]) -> float | None:
    """Return how much longer the yardstick took beside the later runs; None if it is not known.

    Each run is preceded by a fixed piece of work, `pace_s`; these are compared by their medians.
    """
    paces = [[run.pace_s for run in runs if run.pace_s] for runs in (before, after)]
    if not all(paces):
        return None
    return statistics.median(paces[1]) / statistics.median(paces[0]) - 1


def observation_of(run: Measurement) -> dict[str, Any]:
    """Return a measured run as an observation of the workload `serverless`."""
    metrics: Mapping[str, float | None] = {
        "duration_s": run.duration_s,
        "memory_kb": run.memory_kb,
    }
    return {
        "id": run.id or uuid.uuid4().hex,
        "workload": WORKLOAD,
        "time": run.time,
        "source": "foretell demo",
        "outcome": run.outcome,
        "features": {"function": run.function, "node": run.node, "argument": run.argument},
        "metrics": {name: value for name, value in metrics.items() if value is not None},
        "lower_bounds": dict(run.lower_bounds),
    }
