"""Observations: what was run, and what it really took."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from foretell.encoding import Encoder
from foretell.errors import InvalidInput, Violation, listing
from foretell.parsing import Value, range_text
from foretell.plain import Plain
from foretell.schema import Feature, Schema

Outcome = Literal["completed", "timeout", "out_of_memory", "cancelled", "failed"]

_NOTHING = (math.inf, -math.inf)
"""The range that no number is in."""

MOST_AHEAD = timedelta(days=1)
"""Clocks differ, and time zones are mistaken; what is further ahead was not measured."""

UNKNOWN_PREDICTION = (
    "this answer is not known, or not any more: report the outcome with the features"
)


class Observation(BaseModel):
    """One run of a workload. Its JSON is the form in which it travels to the trainer."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    id: str = Field(min_length=1, max_length=200)
    """Unique per workload; the same id again is the same observation and is not stored twice."""
    workload: str
    time: AwareDatetime
    """When the run ended; RFC 3339 with an offset."""
    source: str = ""
    """Who measured it."""
    simulated: bool = False
    """Kept, but not trained on unless asked."""
    outcome: Outcome = "completed"
    features: dict[str, Value] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    """What was measured, by metric, in the metric's unit; any subset."""
    lower_bounds: dict[str, float] = Field(default_factory=dict)
    """For a run that was killed: what each metric had reached by then."""
    prediction_id: str = ""
    """The prediction that this is the outcome of."""
    answered_by: str = ""
    """The version of the bundle that made this prediction; the server knows it."""
    tag: str = ""
    """The version of what was run."""


class ObservationChecker:
    """Checks observations against one schema; compiled once."""

    def __init__(self, schema: Schema) -> None:
        self._encoder = Encoder(schema, {})
        self._workload = schema.workload
        self._limits = {
            metric.name: Feature(
                name=metric.name,
                kind="number",
                scale=metric.scale,
                minimum=metric.minimum,
                maximum=metric.maximum,
            )
            for metric in schema.metrics
        }
        self._positive = {metric.name for metric in schema.metrics if metric.scale == "log"}
        self._fine = {name: self._range(name, limits) for name, limits in self._limits.items()}
        self._plain = Plain(schema, self._fine, before=datetime.now(UTC) + MOST_AHEAD)

    def _range(self, name: str, limits: Feature) -> tuple[float, float]:
        """Return between which values there is surely nothing to complain about."""
        smallest = math.nextafter(0, 1) if name in self._positive else -sys.float_info.max
        return (
            max(smallest, limits.lower_limit),
            min(sys.float_info.max, limits.upper_limit),
        )

    def check(self, observation: Observation) -> tuple[Violation, ...]:
        """Return why an observation cannot be learned from; nothing when it can."""
        return self.check_many([observation])[0]

    def check_many(self, observations: Sequence[Observation]) -> list[tuple[Violation, ...]]:
        """Return for each observation why it cannot be learned from; nothing when it can."""
        count = len(observations)
        if self._plain.holds(observations):
            return [()] * count
        if count == 1:
            return [self._look_closer(observations[0])]
        # By halves: few are not plain, and the others need no closer look for their sake.
        first, second = observations[: count // 2], observations[count // 2 :]
        return self.check_many(first) + self.check_many(second)

    def are_plain(self, observations: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether nothing is wrong with any of these, as far as a quick look can tell.

        ``observations`` have the keys and types of `Observation`. Where it returns False,
        `check` says what is wrong, if anything is.
        """
        return self._plain.holds(observations)

    def _look_closer(self, observation: Observation) -> tuple[Violation, ...]:
        found: list[Violation] = []
        if observation.workload != self._workload:
            message = f"{observation.workload!r} is not {self._workload!r}"
            found.append(Violation("workload", observation.workload, message))
        if observation.time - datetime.now(UTC) > MOST_AHEAD:
            ended = observation.time.isoformat()
            message = f"{ended} is more than a day in the future; a run is reported when it ended"
            found.append(Violation("time", ended, message))
        if observation.prediction_id and not observation.features:
            # What is known by its prediction has its features by now.
            found.append(Violation("prediction_id", observation.prediction_id, UNKNOWN_PREDICTION))
        else:
            found += self._unreadable(observation.features)
        found += self._measured("metrics", observation.metrics)
        found += self._measured("lower_bounds", observation.lower_bounds)
        if observation.outcome == "completed" and not observation.metrics:
            known = listing(list(self._limits))
            message = f"a completed run measures at least one of {known}"
            found.append(Violation("metrics", "", message))
        if observation.outcome == "completed" and observation.lower_bounds:
            message = "a completed run has no lower bounds; they are for runs that were killed"
            found.append(Violation("lower_bounds", "", message))
        return tuple(found)

    def _unreadable(self, features: Mapping[str, Value]) -> Sequence[Violation]:
        # Encoding a row finds out the same in half the time, as long as nothing is wrong with it.
        try:
            self._encoder.encode_row(features)
        except InvalidInput as error:
            return error.violations
        return ()

    def _measured(self, field: str, values: Mapping[str, float]) -> list[Violation]:
        return [
            Violation(f"{field}[{name}]", f"{value:g}", why)
            for name, value in values.items()
            if not self._is_fine(name, value) and (why := self._complaint(name, value))
        ]

    def _is_fine(self, name: str, value: float) -> bool:
        low, high = self._fine.get(name, _NOTHING)
        return low <= value <= high

    def _complaint(self, name: str, value: float) -> str | None:
        limits = self._limits.get(name)
        if limits is None:
            known = listing(list(self._limits))
            return f"workload {self._workload!r} has no metric {name!r}; known: {known}"
        if not math.isfinite(value):
            return f"{value} is not a finite number"
        if not limits.lower_limit <= value <= limits.upper_limit:
            return f"{value:g} is not {range_text(limits)}"
        return "0 must be above 0" if value == 0 and name in self._positive else None


def check(observation: Observation, schema: Schema) -> tuple[Violation, ...]:
    """Return why an observation cannot be learned from; nothing when it can.

    To check many observations of one schema, keep an `ObservationChecker`.
    """
    return ObservationChecker(schema).check(observation)
