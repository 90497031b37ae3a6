"""The nearest known configurations, by a distance in which every feature counts the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from foretell.encoding import EncodedRow
from foretell.known import KnownRows
from foretell.schema import Schema

Floats = NDArray[np.float64]


class Neighbourhood:
    """The known rows of a bundle, prepared to find those near an item.

    The distance is the root of the mean over features of squared differences, each in units of
    its mean between two known rows (Gower 1971 in squares): a number's, on its own scale, is
    (difference / standard deviation)² / 2; two values of a category differ by 1 / P(two rows
    differ). Missing against known counts 1, missing against missing 0.
    """

    def __init__(self, schema: Schema, known: KnownRows) -> None:
        features = [feature for feature in schema.inputs if feature.is_numeric]
        self._log = np.array([feature.scale == "log" for feature in features], dtype=bool)
        self._floor = _floors(known.numbers)
        self._codes = known.categories
        scaled = self._scaled(known.numbers)
        present = ~np.isnan(scaled)
        self._deviation = _deviations(scaled, present)
        self._numbers = scaled / self._deviation
        differing = [_chance_to_differ(column) for column in self._codes.T]
        self._mismatch = 1 / np.array(differing, dtype=np.float64)
        self._ever = np.concatenate([present.any(axis=0), (self._codes >= 0).any(axis=0)])

    def distances(self, row: EncodedRow, unknown: NDArray[np.bool_]) -> Floats:
        """Return the distance of each known row, [K]; `unknown` says which categories are new."""
        numbers, codes = np.array([row.numbers]), np.array([row.categories], np.int64)
        own = self._scaled(numbers) / self._deviation
        absent, missing = np.isnan(own), np.isnan(self._numbers)
        squares = np.where(absent | missing, 1.0, (self._numbers - own) ** 2 / 2)
        squares[absent & missing] = 0.0
        differs = (self._codes != codes) | unknown
        parts = np.hstack([squares, np.where(differs, self._mismatch, 0.0)])
        given = np.concatenate([~absent[0], (codes[0] >= 0) | unknown])
        counted = self._ever | given
        distance: Floats = np.sqrt(parts[:, counted].sum(axis=1) / max(int(counted.sum()), 1))
        return distance

    def _scaled(self, numbers: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            logs = np.log(np.maximum(numbers, self._floor))
        return np.where(self._log, logs, numbers)


def _floors(numbers: Floats) -> Floats:
    """Return what logs are taken of at least, [F]: half of the smallest number above 0."""
    with np.errstate(invalid="ignore"):
        positive = np.where(numbers > 0, numbers, np.inf).min(axis=0, initial=np.inf)
    return np.where(np.isfinite(positive), positive, 1.0) / 2


def _deviations(values: Floats, present: NDArray[np.bool_]) -> Floats:
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, values, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(present, values - mean, 0.0) ** 2).sum(axis=0) / count)
    # What is the same everywhere has no unit but its own.
    return np.where(spread > 1e-9 * np.maximum(np.abs(mean), 1), spread, 1.0)


def _chance_to_differ(codes: NDArray[np.int64]) -> float:
    shares = np.unique(codes, return_counts=True)[1] / max(len(codes), 1)
    chance = 1 - float((shares**2).sum())
    return chance if chance > 0 else 1.0
