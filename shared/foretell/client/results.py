"""The answer about one item of work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from foretell.client.table import Row, html_table, number, percent, text_table
from foretell.errors import ForetellError

Tier = Literal["repeat", "warm", "few-shot", "cold", "unknown"]
"""What kind of evidence stands behind an answer; "unknown" if the server is newer than this."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A central interval in the metric's unit; `measured in interval` tells whether it held."""

    lower: float
    upper: float
    level: float

    def __contains__(self, value: float) -> bool:
        return self.lower <= value <= self.upper

    def __str__(self) -> str:
        return f"[{number(self.lower)}, {number(self.upper)}]"


@dataclass(frozen=True, slots=True)
class Reservation:
    """How much to reserve, in the metric's unit, when too little and too much cost differently."""

    under_cost: float
    over_cost: float
    level: float
    """Probability that the reservation suffices."""
    value: float


@dataclass(frozen=True, slots=True)
class MetricForecast:
    """The predictive distribution of one metric, read at the points that were asked for."""

    metric: str
    unit: str
    median: float
    interval: Interval
    quantiles: Mapping[float, float]
    """Level to value, for the quantiles asked for."""
    confidence: float
    """P(|actual - median| <= tolerance x median)."""
    support: float
    """How well the training data covers this item, in [0, 1]."""
    abstained: bool
    abstention_reason: str
    deadlines: Mapping[float, float]
    """Value asked about to P(metric <= value)."""
    reservations: tuple[Reservation, ...]

    def __str__(self) -> str:
        return f"{number(self.median, self.unit)} {self.interval}"


@dataclass(frozen=True, slots=True)
class GroupRows:
    """How many training rows share the item's values of these category features."""

    features: tuple[str, ...]
    training_rows: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """The forecast of one item of work, and what it rests on.

    Metrics are attributes too: `prediction.duration_s` is `prediction["duration_s"]`.
    """

    workload: str
    metrics: Mapping[str, MetricForecast]
    bundle_version: str
    tier: Tier
    groups: tuple[GroupRows, ...]
    unknown_features: tuple[str, ...]
    """Category features whose value the bundle has never seen."""
    prediction_id: str
    """What to report the outcome with."""
    correction: int = 0
    """Number of the corrections by recent outcomes that the bundle was subject to; 0: none."""

    @property
    def support(self) -> float:
        """How well the training data covers this item, in [0, 1]."""
        return next((forecast.support for forecast in self.metrics.values()), 0.0)

    def __getitem__(self, metric: str) -> MetricForecast:
        return self.metrics[metric]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __getattr__(self, name: str) -> MetricForecast:
        # Only reached for names that are no field. Copying and unpickling ask before the fields
        # are there.
        if name.startswith("__") or name == "metrics" or name not in self.metrics:
            raise AttributeError(f"{type(self).__name__} has no metric or attribute {name!r}")
        return self.metrics[name]

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.metrics]

    def __str__(self) -> str:
        return f"{self._caption()}\n{text_table(self._header(), self._rows())}"

    def _repr_html_(self) -> str:
        return html_table(self._caption(), self._header(), self._rows())

    def _caption(self) -> str:
        parts = [self.workload, f"bundle {self.bundle_version}", self.tier]
        parts.append(f"support {self.support:.2f}")
        if self.unknown_features:
            parts.append("never seen: " + ", ".join(self.unknown_features))
        if reason := next((f.abstention_reason for f in self.metrics.values() if f.abstained), ""):
            parts.append(f"insufficient evidence: {reason}")
        return ", ".join(parts)

    def _header(self) -> Row:
        first = next(iter(self.metrics.values()), None)
        levels = first.quantiles if first else ()
        interval = f"{percent(first.interval.level)} interval" if first else "interval"
        return ["metric", "median", interval, *map(percent, levels), "confidence"]

    def _rows(self) -> list[Row]:
        return [
            [
                forecast.metric,
                number(forecast.median, forecast.unit),
                str(forecast.interval),
                *map(number, forecast.quantiles.values()),
                f"{forecast.confidence:.2f}",
            ]
            for forecast in self.metrics.values()
        ]


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """The answer to one item of a stream: a prediction, or why there is none."""

    index: int
    """Place of the item in the stream, from 0."""
    item: Mapping[str, object]
    """The item as it was given."""
    outcome: Prediction | ForetellError

    @property
    def error(self) -> ForetellError | None:
        """Why the item was refused; None if it was not."""
        return self.outcome if isinstance(self.outcome, ForetellError) else None

    @property
    def prediction(self) -> Prediction:
        """The forecast; raises the item's error if it was refused."""
        if isinstance(self.outcome, ForetellError):
            raise self.outcome
        return self.outcome
