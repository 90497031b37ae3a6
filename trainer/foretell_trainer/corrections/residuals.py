"""Residuals: how far outcomes were from what the bundle, uncorrected, says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from foretell.columns import Codes
from foretell.encoding import Encoded
from foretell.forecast import QuantileTables
from foretell.parsing import category_text
from foretell.predictor import Outputs, Predictor
from foretell.schema import Schema
from foretell.table_columns import Rejection
from foretell_trainer.corrections.outcomes import Outcomes

Floats = NDArray[np.float64]

BOUND = 0.9
"""After a kill, this quantile of the next answer is above what the killed run had reached."""
BUMP = 1.2
"""By this factor, when it was a limit that killed it."""

_ONE_SIGMA = 1.2815515655446004
"""The 90 % quantile of the normal distribution."""
_SMALLEST_NOISE = 0.01
_BYTES = {"b", "kb", "mb", "gb", "kib", "mib", "gib"}


@dataclass(frozen=True)
class Residuals:
    """What corrections are estimated from, in the order of the outcomes; n may be 0."""

    categories: Codes
    """[n, F_cat]"""
    error: Floats
    """[n, M]: measured minus the median forecast, in units of location; NaN where not measured."""
    noise: Floats
    """[n, M]: the standard deviation that the bundle gives this error."""
    missing: Floats
    """[n, M]: for killed runs, by how much the bound was too low; else NaN."""
    scale: Floats
    """[n, M]: what the quantile tables are in units of."""
    table: NDArray[np.int64]
    """[n, M]: which quantile table holds."""
    trained: Floats
    """[n, G]: training rows behind each of the manifest's groups."""
    completed: NDArray[np.bool_]
    """[n]"""

    def __len__(self) -> int:
        return len(self.completed)

    def then(self, later: Residuals, most: int) -> Residuals:
        """Return these and later ones, the newest `most`."""
        mine, theirs = vars(self), vars(later)
        return Residuals(
            **{name: np.concatenate([mine[name], theirs[name]])[-most:] for name in mine}
        )


def normal_scores(
    tables: QuantileTables, residuals: Residuals, error: Floats, scale: Floats, metric: int
) -> Floats:
    """Return errors [n] of one metric as scores that are normal if the forecasts are right.

    ``scale`` [n] is what the quantile tables are in units of.
    """
    column = slice(metric, metric + 1)
    table = residuals.table[:, column]
    centre = tables.at(0.5)[table[:, 0], metric]
    z = error / scale + centre
    known = np.isfinite(z)
    scores = np.full(len(z), np.nan)
    chosen = tables.probability(table[known], z[known, None], metric)[:, 0]
    scores[known] = ndtri(chosen)
    return scores


def residuals_of(predictor: Predictor, outcomes: Outcomes) -> Residuals:
    """Return the residuals of those outcomes that the bundle can be asked about.

    Ids that it does not know are met: from then on its encoder can tell them apart.
    """
    encoded, rejected = _encode(predictor, outcomes)
    schema = predictor.schema
    usable = np.ones(len(outcomes), dtype=bool)
    usable[[rejection.row for rejection in rejected]] = False
    # A run that failed by itself says little about one that does not.
    usable &= np.array([how != "failed" for how in outcomes.outcomes], dtype=bool)
    outputs = predictor.run(encoded.numbers, encoded.categories)
    killed_for_memory = np.array([how == "out_of_memory" for how in outcomes.outcomes], dtype=bool)
    at_limit = killed_for_memory | np.array([how == "timeout" for how in outcomes.outcomes], bool)
    tables = predictor.tables
    log = np.array([metric.scale == "log" for metric in schema.metrics])
    noise = np.maximum(noise_of(tables, outputs), _SMALLEST_NOISE * log)
    bounds = outcomes.lower_bounds.copy()
    upper = outputs.location + outputs.scale * _at(tables, outputs, BOUND)
    for m, metric in enumerate(schema.metrics):
        if metric.unit.lower() in _BYTES:
            # Killed for lack of memory, and nobody says at how much: at what was foretold.
            silent = killed_for_memory & np.isnan(bounds[:, m])
            with np.errstate(over="ignore"):
                bounds[silent, m] = np.exp(upper[silent, m]) if log[m] else upper[silent, m]
    bounds *= np.where(at_limit, BUMP, 1.0)[:, None]
    error = _location(outcomes.metrics, log) - outputs.location
    residuals = Residuals(
        encoded.categories,
        _linked(schema, error - outputs.scale * _at(tables, outputs, 0.5)),
        np.where(noise > 0, noise, 1.0),
        np.maximum(_location(bounds, log) - upper, 0.0),
        outputs.scale,
        outputs.table,
        outputs.rows,
        np.array([how == "completed" for how in outcomes.outcomes], dtype=bool),
    )
    return Residuals(**{name: values[usable] for name, values in vars(residuals).items()})


def _encode(predictor: Predictor, outcomes: Outcomes) -> tuple[Encoded, list[Rejection]]:
    encoder, ids = predictor.encoder, set(predictor.ids)
    encoded, rejected = encoder.encode_table(outcomes.features, named="name")
    unknown = [
        (name, row)
        for row, names in enumerate(encoded.unknown)
        for name in ids.intersection(names, outcomes.features)
    ]
    if not unknown:
        return encoded, rejected
    for name, row in unknown:
        text = category_text(outcomes.features[name][row])
        if text is not None:
            encoder.meet(name, text)
    return encoder.encode_table(outcomes.features, named="name")


def links_of(schema: Schema) -> list[tuple[int, int, float]]:
    """Return the metrics that follow from one other: (metric, source, power)."""
    names = schema.metric_names
    log = {metric.name for metric in schema.metrics if metric.scale == "log"}
    found = []
    for link in schema.links:
        sources = [name for name in link.factors if name in names]
        if len(sources) == 1 and {link.metric, *sources} <= log:
            power = link.factors[sources[0]]
            found.append((names.index(link.metric), names.index(sources[0]), power))
    return found


def _linked(schema: Schema, error: Floats) -> Floats:
    """Return the errors with those filled in that follow from another metric's."""
    for metric, source, power in links_of(schema):
        error[:, metric] = np.where(
            np.isnan(error[:, metric]), power * error[:, source], error[:, metric]
        )
        error[:, source] = np.where(
            np.isnan(error[:, source]), error[:, metric] / power, error[:, source]
        )
    return error


def noise_of(tables: QuantileTables, outputs: Outputs) -> Floats:
    """Return the standard deviation [n, M] that a bundle gives its errors."""
    width = _at(tables, outputs, BOUND) - _at(tables, outputs, 1 - BOUND)
    return outputs.scale * width / (2 * _ONE_SIGMA)


def _at(tables: QuantileTables, outputs: Outputs, level: float) -> Floats:
    metrics = np.arange(outputs.location.shape[1])
    at: Floats = tables.at(level)[outputs.table, metrics]
    return at


def _location(values: Floats, log: NDArray[np.bool_]) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(values > 0, values, np.nan))
    return np.where(log, logs, values)
