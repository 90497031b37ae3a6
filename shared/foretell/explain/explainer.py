"""Explanations of one bundle's forecasts, by asking its graph about mixed rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell.encoding import Encoded, EncodedRow
from foretell.errors import Cancelled, InvalidInput, NotExplainable, Violation, listing
from foretell.explain.coalitions import Masks, coalitions
from foretell.explain.neighbours import Neighbourhood
from foretell.explain.results import Contribution, Explanation, MetricExplanation, Neighbour
from foretell.forecast import LARGEST_EXPONENT
from foretell.known import KnownRows
from foretell.parsing import Value
from foretell.predictor import ROWS_AT_ONCE, Predictor
from foretell.schema import Feature

BACKGROUND_ROWS = 64
"""With so many training rows an item is compared."""

MOST_NEIGHBOURS = 100

_SEED = 0

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def _wanted() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Shares:
    """How the location of an item is made up, on the scale of the graph's output."""

    typical: Floats
    """[M]"""
    effects: Floats
    """[P, M]"""
    own: Floats
    """[M]: typical and all effects."""
    exact: bool


class Explainer:
    """Explains the forecasts of one bundle; threads may share it.

    The location is explained, whatever it is made of, by interventional Shapley values of the
    graph: features of the item are replaced by those of background rows, in all combinations or
    in sampled orders, and the differences are shared out fairly. Effects sum up to the location
    minus the mean location of the background, exactly.
    """

    def __init__(self, predictor: Predictor) -> None:
        """Prepare the background; NotExplainable for a bundle that holds no known rows."""
        if predictor.known is None:
            raise NotExplainable(predictor.version)
        self.predictor = predictor
        self._known = predictor.known
        schema = predictor.schema
        self._players = tuple(feature for feature in schema.inputs if feature.derive is None)
        self._number_owner = self._owners(schema.number_names)
        self._category_owner = self._owners(schema.category_names)
        self._neighbourhood = Neighbourhood(schema, self._known)
        self._background, self._weights = _background(self._known)

    def explain(
        self,
        features: Mapping[str, Value],
        *,
        metrics: Sequence[str] = (),
        neighbours: int = 5,
        gone: Callable[[], bool] = _wanted,
    ) -> Explanation:
        """Explain the forecast of one item, for some metrics or all.

        Raises InvalidInput for features that cannot be used, for metrics that the workload
        does not have and for a number of neighbours that is not allowed, and Cancelled once
        `gone` says that nobody waits any more.
        """
        chosen = self._metrics(metrics)
        _check_neighbours(neighbours)
        row = self.predictor.encoder.encode_row(features)
        numbers, categories = np.array([row.numbers]), np.array([row.categories], np.int64)
        encoded = Encoded(numbers, categories, (row.unknown,))
        prediction = self.predictor.forecast(encoded)
        shares = self._shares(row, gone)
        medians = prediction.forecasts.median()[0]
        groups = zip(self.predictor.manifest.groups, prediction.rows[0].tolist(), strict=True)
        return Explanation(
            workload=self.predictor.manifest.workload,
            bundle_version=self.predictor.version,
            tier=prediction.tier[0],
            support=float(prediction.support[0]),
            groups=tuple((names, int(rows)) for names, rows in groups),
            unknown_features=row.unknown,
            correction=prediction.correction,
            metrics={name: self._metric(name, shares, medians) for name in chosen},
            neighbours=self._nearest(row, neighbours, chosen),
            exact=shares.exact,
            background_rows=len(self._background),
        )

    def _metrics(self, asked: Sequence[str]) -> tuple[str, ...]:
        known = self.predictor.schema.metric_names
        wrong = [
            Violation(f"metrics[{i}]", name, f"no metric {name!r}; known: {listing(known)}")
            for i, name in enumerate(asked)
            if name not in known
        ]
        if wrong:
            raise InvalidInput(wrong)
        return tuple(dict.fromkeys(asked)) or known

    def _metric(self, name: str, shares: _Shares, medians: Floats) -> MetricExplanation:
        m = self.predictor.schema.metric_names.index(name)
        metric, median = self.predictor.schema.metric(name), float(medians[m])
        typical, own = float(shares.typical[m]), float(shares.own[m])
        effects = [float(effect) for effect in shares.effects[:, m]]
        order = sorted(range(len(effects)), key=lambda p: -abs(effects[p]))
        is_log = metric.scale == "log"
        shown = _exp if is_log else float
        return MetricExplanation(
            metric=name,
            unit=metric.unit,
            kind="factor" if is_log else "addend",
            typical=shown(typical),
            contributions=tuple(
                Contribution(self._players[p].name, shown(effects[p])) for p in order
            ),
            calibration=median / _exp(own) if is_log else median - own,
            median=median,
        )

    def _shares(self, row: EncodedRow, gone: Callable[[], bool]) -> _Shares:
        """Return the Shapley values of the location, averaged over the background."""
        numbers, categories = np.array(row.numbers), np.array(row.categories, np.int64)
        rng = np.random.default_rng(_SEED)
        differing = [np.flatnonzero(one) for one in self._differing(numbers, categories)]
        games = [coalitions(len(players), rng) for players in differing]
        masks = [
            _of_all(game.masks, players, len(self._players))
            for game, players in zip(games, differing, strict=True)
        ]
        own = np.concatenate(masks)
        others = np.repeat(self._background, [len(one) for one in masks])
        location = self._locations(
            np.where(own[:, self._number_owner], numbers, self._known.numbers[others]),
            np.where(own[:, self._category_owner], categories, self._known.categories[others]),
            gone,
        )
        effects = np.zeros((len(self._players), location.shape[1]))
        typical = np.zeros(location.shape[1])
        start = 0
        for players, game, weight in zip(differing, games, self._weights, strict=True):
            values = location[start : start + len(game.masks)]
            start += len(game.masks)
            effects[players] += weight * (game.weights @ values)
            typical += weight * values[~game.masks.any(axis=1)][0]
        whole = typical + effects.sum(axis=0)
        return _Shares(typical, effects, whole, all(game.exact for game in games))

    def _differing(self, numbers: Floats, categories: Integers) -> NDArray[np.bool_]:
        """Return which features are not the same in each background row, [B, P]."""
        others = self._known.numbers[self._background]
        differ = (numbers != others) & ~(np.isnan(numbers) & np.isnan(others))
        found = np.zeros((len(self._background), len(self._players)), dtype=bool)
        rows = np.arange(len(found))[:, None]
        np.logical_or.at(found, (rows, self._number_owner), differ)
        differ = categories != self._known.categories[self._background]
        np.logical_or.at(found, (rows, self._category_owner), differ)
        return found

    def _locations(self, numbers: Floats, categories: Integers, gone: Callable[[], bool]) -> Floats:
        """Return the graph's locations of many rows, [n, M]."""
        found = []
        for start in range(0, len(numbers), ROWS_AT_ONCE):
            if gone():
                raise Cancelled
            rows = slice(start, start + ROWS_AT_ONCE)
            found.append(self.predictor.run(numbers[rows], categories[rows]).location)
        return np.concatenate(found)

    def _nearest(
        self, row: EncodedRow, count: int, metrics: Sequence[str]
    ) -> tuple[Neighbour, ...]:
        names = self.predictor.schema.category_names
        unknown = np.array([name in row.unknown for name in names], dtype=bool)
        distances = self._neighbourhood.distances(row, unknown)
        order = np.argsort(distances, kind="stable")[:count]
        return tuple(self._neighbour(int(k), float(distances[k]), metrics) for k in order)

    def _neighbour(self, k: int, distance: float, metrics: Sequence[str]) -> Neighbour:
        known, names = self._known, self.predictor.schema.metric_names
        measured = {name: float(known.metrics[k, names.index(name)]) for name in metrics}
        values = ((feature.name, self._value(feature, k)) for feature in self._players)
        return Neighbour(
            features={name: value for name, value in values if value is not None},
            measured={name: value for name, value in measured.items() if math.isfinite(value)},
            training_rows=int(known.rows[k]),
            distance=distance,
        )

    def _value(self, feature: Feature, k: int) -> float | bool | str | None:
        """Return a feature of a known row as a caller would send it."""
        schema, name = self.predictor.schema, feature.name
        if not feature.is_numeric:
            code = int(self._known.categories[k, schema.category_names.index(name)])
            return self.predictor.manifest.vocabulary[name][code] if code >= 0 else None
        number = float(self._known.numbers[k, schema.number_names.index(name)])
        if math.isnan(number):
            return None
        return number > 0 if feature.kind == "flag" else number

    def _owners(self, columns: Sequence[str]) -> Integers:
        """Return which feature each column follows: what is derived goes with its source."""
        place = {feature.name: p for p, feature in enumerate(self._players)}
        sources = (self.predictor.schema.feature(name).derive for name in columns)
        return np.array(
            [
                place[name if derive is None else derive.source]
                for name, derive in zip(columns, sources, strict=True)
            ],
            dtype=np.int64,
        )


def _of_all(masks: Masks, players: Integers, count: int) -> Masks:
    """Return masks of the features that differ as masks of all features, [m, count]."""
    found = np.zeros((len(masks), count), dtype=bool)
    found[:, players] = masks
    return found


def _background(known: KnownRows) -> tuple[Integers, Floats]:
    """Return which known rows to compare with, and how much each weighs; weights sum up to 1.

    Each weighs as much as the training rows that it stands for: taken at equal steps, as known
    rows are in random order.
    """
    if len(known) <= BACKGROUND_ROWS:
        return np.arange(len(known)), known.rows / known.rows.sum()
    ends = np.cumsum(known.rows)
    steps = (np.arange(BACKGROUND_ROWS) + 0.5) / BACKGROUND_ROWS * ends[-1]
    found, counts = np.unique(np.searchsorted(ends, steps, side="right"), return_counts=True)
    return found, counts / BACKGROUND_ROWS


def _check_neighbours(count: int) -> None:
    if not 0 <= count <= MOST_NEIGHBOURS:
        message = f"{count} is not between 0 and {MOST_NEIGHBOURS}"
        raise InvalidInput([Violation("neighbours", str(count), message)])


def _exp(value: float) -> float:
    return math.exp(min(value, LARGEST_EXPONENT))
