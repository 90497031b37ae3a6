"""Scored outcomes: what a bundle, with its corrections of the time, says of outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretell.encoding import Encoded
from foretell.forecast import Forecasts
from foretell.predictor import Outputs, Predictor
from foretell_trainer.corrections.outcomes import About, Outcomes
from foretell_trainer.gate.scores import score

Floats = NDArray[np.float64]

ANOMALY_FACTOR = 10.0
"""What is so many times beyond the 98 % interval was not measured: a unit, a clock, a typo."""
ANOMALY_SUPPORT = 0.3
"""Where the bundle has seen less than this, it is in no position to call anything impossible."""

_ONE_SIGMA = 1.2815515655446004
"""The 90 % quantile of the normal distribution."""
_SMALLEST_NOISE = 0.01


class Score(NamedTuple):
    """How one metric of one outcome was forecast."""

    about: About
    is_live: bool
    """Whether the outcome came after the bundle was made, which then cannot have learned it."""
    error: float
    """Measured minus the median without corrections; of logarithms, for a metric on a log scale."""
    z: float
    """The same in standard deviations."""
    ratio: float
    """Measured minus the median with corrections, on the same scale as the error."""
    relative: float
    """|measured - median| / |measured|, with corrections."""
    inside: bool
    """Whether the 90 % interval, with corrections, held."""
    crps: float


@dataclass(frozen=True)
class Scored:
    """Outcomes that a bundle was asked about, in their order."""

    groups: Sequence[tuple[str, ...]]
    values: Sequence[Sequence[tuple[str, ...]]]
    """[groups][n]"""
    scores: Sequence[Sequence[Score | None]]
    """[metrics][n]; None where it was not measured."""
    beyond: dict[int, str]
    """By row: why the outcome is impossible."""

    def __len__(self) -> int:
        return len(self.scores[0]) if self.scores else 0

    def of_groups(self, row: int) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Yield the groups that a row is in, as names and values; first that of all rows."""
        yield (), ()
        for names, values in zip(self.groups, self.values, strict=True):
            yield names, values[row]


def score_outcomes(predictor: Predictor, outcomes: Outcomes) -> Scored:
    """Return the scores of those completed outcomes that the bundle can be asked about."""
    encoded, rejected = predictor.encoder.encode_table(outcomes.features, named="name")
    usable = np.array([how == "completed" for how in outcomes.outcomes], dtype=bool)
    usable[[rejection.row for rejection in rejected]] = False
    rows = np.flatnonzero(usable)
    about = [outcomes.about[row] for row in rows.tolist()]
    kept = Encoded(
        encoded.numbers[rows], encoded.categories[rows], tuple(encoded.unknown[r] for r in rows)
    )
    truth = outcomes.metrics[rows]
    outputs = predictor.run(kept.numbers, kept.categories)
    forecasts = _corrected(predictor, kept, outputs)
    names = predictor.manifest.groups
    return Scored(
        groups=names,
        values=[_values(outcomes, group, rows) for group in names],
        scores=[
            _scores(predictor, outputs, forecasts, m, truth[:, m], about)
            for m in range(truth.shape[1])
        ],
        beyond=_beyond(predictor, forecasts, outputs.support, truth),
    )


def _corrected(predictor: Predictor, encoded: Encoded, outputs: Outputs) -> Forecasts:
    location, scale = outputs.location, outputs.scale
    if predictor.corrections is not None:
        codes, trained = encoded.categories, outputs.rows
        location, scale = predictor.corrections.rows(codes, location, scale, trained)
    return Forecasts(
        predictor.schema.metric_names,
        _log(predictor),
        location,
        scale,
        outputs.table,
        predictor.tables,
        outputs.support,
    )


def _log(predictor: Predictor) -> NDArray[np.bool_]:
    return np.array([metric.scale == "log" for metric in predictor.schema.metrics])


def _values(
    outcomes: Outcomes, group: tuple[str, ...], rows: NDArray[np.intp]
) -> list[tuple[str, ...]]:
    columns = [outcomes.features.get(name) for name in group]
    return [tuple(str(c[row]) if c is not None else "" for c in columns) for row in rows]


def _scores(
    predictor: Predictor,
    outputs: Outputs,
    forecasts: Forecasts,
    m: int,
    truth: Floats,
    about: Sequence[About],
) -> list[Score | None]:
    metric = predictor.schema.metrics[m]
    log = metric.scale == "log"
    known = np.isfinite(truth) & ((truth > 0) | (not log))
    filled = np.where(known, truth, 1.0)
    at = {level: predictor.tables.at(level)[outputs.table[:, m], m] for level in (0.1, 0.5, 0.9)}
    actual = np.log(filled) if log else filled
    error = actual - outputs.location[:, m] - outputs.scale[:, m] * at[0.5]
    noise = outputs.scale[:, m] * (at[0.9] - at[0.1]) / (2 * _ONE_SIGMA)
    z = error / np.maximum(noise, _SMALLEST_NOISE if log else 1e-12)
    median = forecasts.quantiles([0.5])[:, m, 0]
    ratio = actual - (np.log(np.maximum(median, 1e-300)) if log else median)
    relative = np.abs(filled - median) / np.maximum(np.abs(filled), 1e-300)
    scored = score(forecasts, metric.name, filled)
    born = predictor.manifest.created_at.astimezone(UTC).replace(tzinfo=None)
    columns = (error, z, ratio, relative, scored.inside, scored.crps)
    return [
        Score(about[i], _is_live(about[i], born), *(column[i].item() for column in columns))
        if known[i]
        else None
        for i in range(len(truth))
    ]


def _is_live(about: About, born: datetime) -> bool:
    return about.received_at > born


def _beyond(
    predictor: Predictor, forecasts: Forecasts, support: Floats, truth: Floats
) -> dict[int, str]:
    """Return which rows have a metric that is far beyond its forecast, and what to say of it."""
    found: dict[int, str] = {}
    lower, upper = forecasts.interval(0.98)
    for m, metric in enumerate(predictor.schema.metrics):
        if metric.scale != "log":
            continue
        values = truth[:, m]
        with np.errstate(invalid="ignore", over="ignore"):
            far = (values > ANOMALY_FACTOR * upper[:, m]) | (values < lower[:, m] / ANOMALY_FACTOR)
        for row in np.flatnonzero(far & (support >= ANOMALY_SUPPORT)).tolist():
            found.setdefault(
                row,
                f"{metric.name} is {values[row]:.6g}, more than {ANOMALY_FACTOR:g} times beyond "
                f"what was to be expected: {lower[row, m]:.4g} to {upper[row, m]:.4g}",
            )
    return found
