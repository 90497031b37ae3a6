"""The answer about many items of work, in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.client.results import (
    GroupRows,
    Interval,
    MetricForecast,
    Prediction,
    Reservation,
    Tier,
)
from foretell.client.table import Row, html_table, number, percent, text_table

Floats = NDArray[np.float64]
SHOWN_ROWS = 8


@dataclass(frozen=True, slots=True, eq=False)
class ReservationColumn:
    """Reservations of many rows, for one pair of costs."""

    under_cost: float
    over_cost: float
    level: float
    values: Floats


@dataclass(frozen=True, slots=True, eq=False)
class MetricColumns:
    """The forecasts of one metric; arrays have one entry per row and the metric's unit."""

    metric: str
    unit: str
    median: Floats
    lower: Floats
    upper: Floats
    interval_level: float
    confidence: Floats
    quantiles: Mapping[float, Floats]
    deadlines: Mapping[float, Floats]
    reservations: tuple[ReservationColumn, ...]

    def row(self, i: int, support: float, abstention_reason: str) -> MetricForecast:
        """Return the forecast of one row."""
        return MetricForecast(
            metric=self.metric,
            unit=self.unit,
            median=float(self.median[i]),
            interval=Interval(float(self.lower[i]), float(self.upper[i]), self.interval_level),
            quantiles={level: float(values[i]) for level, values in self.quantiles.items()},
            confidence=float(self.confidence[i]),
            support=support,
            abstained=bool(abstention_reason),
            abstention_reason=abstention_reason,
            deadlines={value: float(shares[i]) for value, shares in self.deadlines.items()},
            reservations=tuple(
                Reservation(r.under_cost, r.over_cost, r.level, float(r.values[i]))
                for r in self.reservations
            ),
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows that one call answered, all with the same bundle."""

    first_row: int
    prediction_id: str
    bundle_version: str
    correction: int = 0
    """Number of the corrections by recent outcomes; 0: none."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The forecasts of many items of one workload.

    Metrics are attributes too: `predictions.duration_s.median` is an array. A row is a
    `Prediction`: `predictions[3].duration_s.interval`. `columns()` is what a data frame wants.
    """

    workload: str
    metrics: Mapping[str, MetricColumns]
    support: Floats
    abstained: NDArray[np.bool_]
    tiers: NDArray[np.str_]
    groups: Mapping[tuple[str, ...], NDArray[np.int64]]
    """Training rows that share each row's values of these category features."""
    unknown_features: Mapping[str, NDArray[np.int64]]
    """Category feature to the rows whose value the bundle has never seen."""
    chunks: tuple[Chunk, ...]

    @property
    def bundle_versions(self) -> tuple[str, ...]:
        """The bundles that answered; two if one took over between the chunks of a long table."""
        return tuple(dict.fromkeys(chunk.bundle_version for chunk in self.chunks))

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return a flat table: `<metric>`, `<metric>_lower`, `_upper`, `_confidence`, `_p99`."""
        table: dict[str, NDArray[Any]] = {}
        for name, metric in self.metrics.items():
            table[name] = metric.median
            table[f"{name}_lower"] = metric.lower
            table[f"{name}_upper"] = metric.upper
            table[f"{name}_confidence"] = metric.confidence
            for level, values in metric.quantiles.items():
                table[f"{name}_p{100 * level:g}"] = values
        return {**table, "support": self.support, "tier": self.tiers}

    def __len__(self) -> int:
        return len(self.support)

    def __getitem__(self, row: int) -> Prediction:
        i = range(len(self))[row]
        chunk = next(c for c in reversed(self.chunks) if c.first_row <= i)
        support = float(self.support[i])
        reason = "support is below the floor asked for" if self.abstained[i] else ""
        tier: Tier = self.tiers[i].item()
        return Prediction(
            workload=self.workload,
            metrics={name: m.row(i, support, reason) for name, m in self.metrics.items()},
            bundle_version=chunk.bundle_version,
            tier=tier,
            groups=tuple(GroupRows(names, int(rows[i])) for names, rows in self.groups.items()),
            unknown_features=tuple(
                name for name, rows in self.unknown_features.items() if i in rows
            ),
            prediction_id=f"{chunk.prediction_id}/{i - chunk.first_row}",
            correction=chunk.correction,
        )

    def __iter__(self) -> Iterator[Prediction]:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> MetricColumns:
        # Only reached for names that are no field; see Prediction.
        if name.startswith("__") or name == "metrics" or name not in self.metrics:
            raise AttributeError(f"{type(self).__name__} has no metric or attribute {name!r}")
        return self.metrics[name]

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.metrics]

    def __str__(self) -> str:
        more = len(self) - SHOWN_ROWS
        lines = [self._caption(), text_table(self._header(), self._rows())]
        return "\n".join([*lines, f"... {more} more rows"] if more > 0 else lines)

    def __repr__(self) -> str:
        return f"<Predictions: {self._caption()}>"

    def _repr_html_(self) -> str:
        return html_table(self._caption(), self._header(), self._rows())

    def _caption(self) -> str:
        return f"{self.workload}, {len(self)} rows, bundle {', '.join(self.bundle_versions)}"

    def _header(self) -> Row:
        columns = (
            (f"{m.metric} ({m.unit})", f"{percent(m.interval_level)} interval")
            for m in self.metrics.values()
        )
        return ["row", *(text for pair in columns for text in pair), "support", "tier"]

    def _rows(self) -> list[Row]:
        rows: list[Row] = []
        for i in range(min(len(self), SHOWN_ROWS)):
            cells = [str(i)]
            for m in self.metrics.values():
                interval = Interval(float(m.lower[i]), float(m.upper[i]), m.interval_level)
                cells += [number(float(m.median[i])), str(interval)]
            rows.append([*cells, f"{self.support[i]:.2f}", str(self.tiers[i])])
        return rows
