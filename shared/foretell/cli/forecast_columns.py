"""A table with the forecasts of its rows beside its own columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.encoding import Encoded
from foretell.predictor import Predictor

MEASURED = "_measured"
SUPPORT = "support"
TOLERANCE = 0.2
ROWS_AT_ONCE = 20_000


def with_forecasts(
    predictor: Predictor, columns: Mapping[str, Sequence[Any]]
) -> tuple[dict[str, Sequence[Any]], list[tuple[int, str]]]:
    """Return a table's columns with forecast columns after them, and the rows refused with why.

    A refused row keeps its place; its forecasts are None. An own column with the name of a
    forecast column is renamed to `<name>_measured`.
    """
    encoded, rejections = predictor.encoder.encode_table(columns)
    refused = [(r.row, "; ".join(map(str, r.violations))) for r in rejections]
    forecasts = _forecast(predictor, encoded.numbers, encoded.categories)
    blank = [row for row, _ in refused]
    own = {
        _free_name(name, columns) if name in forecasts else name: values
        for name, values in columns.items()
    }
    added: dict[str, Sequence[Any]] = {}
    for name, numbers in forecasts.items():
        values = numbers.tolist()
        for row in blank:
            values[row] = None
        added[name] = values
    return {**own, **added}, refused


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    renamed = name + MEASURED
    while renamed in taken:
        renamed += "_"
    return renamed


def _forecast(
    predictor: Predictor, numbers: NDArray[np.float64], categories: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Return the forecast columns of encoded rows; a part of the rows at a time."""
    starts = range(0, max(len(numbers), 1), ROWS_AT_ONCE)
    parts = [
        _columns(predictor, numbers[i : i + ROWS_AT_ONCE], categories[i : i + ROWS_AT_ONCE])
        for i in starts
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _columns(
    predictor: Predictor, numbers: NDArray[np.float64], categories: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    encoded = Encoded(numbers, categories, ((),) * len(numbers))
    forecasts = predictor.forecast(encoded).forecasts
    low, high = forecasts.interval(0.8)
    median, confidence = forecasts.median(), forecasts.confidence(TOLERANCE)
    found: dict[str, NDArray[np.float64]] = {}
    for m, name in enumerate(forecasts.metric_names):
        found[name] = median[:, m]
        found[f"{name}_p10"] = low[:, m]
        found[f"{name}_p90"] = high[:, m]
        found[f"{name}_confidence"] = confidence[:, m]
    return {**found, SUPPORT: forecasts.support}
