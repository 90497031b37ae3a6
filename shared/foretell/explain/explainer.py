"""Explanations of one bundle's forecasts, by asking its graph about mixed rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretell.encoding import Encoded, EncodedRow
from foretell.errors import Cancelled, InvalidInput, NotExplainable, Violation, listing
from foretell.explain.coalitions import Coalitions, coalitions
from foretell.explain.neighbours import Neighbourhood
from foretell.explain.results import Contribution, Explanation, MetricExplanation, Neighbour
from foretell.forecast import LARGEST_EXPONENT
from foretell.known import KnownRows
from foretell.parsing import Value
from foretell.predictor import ROWS_AT_ONCE, Predictor
from foretell.schema import Feature, Schema

BACKGROUND_ROWS = 64
"""With so many training rows an item is compared."""

MOST_NEIGHBOURS = 100

_SEED = 0

Floats = NDArray[np.float64]


def _wanted() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Player:
    """A feature that may be sent, and the columns that follow from it."""

    feature: Feature
    numbers: tuple[int, ...]
    categories: tuple[int, ...]


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
        self._players = _players(predictor.schema)
        self._neighbourhood = Neighbourhood(predictor.schema, self._known)
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
            neighbours=self._nearest(row, neighbours),
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
                Contribution(self._players[p].feature.name, shown(effects[p])) for p in order
            ),
            calibration=median / _exp(own) if is_log else median - own,
            median=median,
        )

    def _shares(self, row: EncodedRow, gone: Callable[[], bool]) -> _Shares:
        """Return the Shapley values of the location, averaged over the background."""
        numbers, categories = np.array(row.numbers), np.array(row.categories, np.int64)
        rng = np.random.default_rng(_SEED)
        games: list[tuple[NDArray[np.int64], Coalitions]] = []
        parts = []
        for b in self._background:
            other = self._known.numbers[b], self._known.categories[b]
            differing = self._differing((numbers, categories), other)
            game = coalitions(len(differing), rng)
            games.append((differing, game))
            parts.append(self._mixed((numbers, categories), other, differing, game))
        location = self._locations(parts, gone)
        effects = np.zeros((len(self._players), location.shape[1]))
        typical = np.zeros(location.shape[1])
        start = 0
        for (differing, game), weight in zip(games, self._weights, strict=True):
            values = location[start : start + len(game.masks)]
            start += len(game.masks)
            effects[differing] += weight * (game.weights @ values)
            typical += weight * values[~game.masks.any(axis=1)][0]
        own = typical + effects.sum(axis=0)
        return _Shares(typical, effects, own, all(game.exact for _, game in games))

    def _differing(
        self, one: tuple[Floats, NDArray[np.int64]], other: tuple[Floats, NDArray[np.int64]]
    ) -> NDArray[np.int64]:
        """Return which features are not the same in two rows."""
        numbers = (one[0] != other[0]) & ~(np.isnan(one[0]) & np.isnan(other[0]))
        categories = one[1] != other[1]
        found = [
            p
            for p, player in enumerate(self._players)
            if any(numbers[i] for i in player.numbers)
            or any(categories[i] for i in player.categories)
        ]
        return np.array(found, dtype=np.int64)

    def _mixed(
        self,
        one: tuple[Floats, NDArray[np.int64]],
        other: tuple[Floats, NDArray[np.int64]],
        differing: NDArray[np.int64],
        game: Coalitions,
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Return, for each mask, the other row with these features of the first one."""
        numbers = np.tile(other[0], (len(game.masks), 1))
        categories = np.tile(other[1], (len(game.masks), 1))
        for column, p in enumerate(differing):
            taken = game.masks[:, column]
            for i in self._players[p].numbers:
                numbers[taken, i] = one[0][i]
            for i in self._players[p].categories:
                categories[taken, i] = one[1][i]
        return numbers, categories

    def _locations(
        self,
        parts: Sequence[tuple[Floats, NDArray[np.int64]]],
        gone: Callable[[], bool],
    ) -> Floats:
        """Return the graph's locations of all mixed rows, [n, M]."""
        numbers = np.concatenate([part[0] for part in parts])
        categories = np.concatenate([part[1] for part in parts])
        found = []
        for start in range(0, len(numbers), ROWS_AT_ONCE):
            if gone():
                raise Cancelled
            rows = slice(start, start + ROWS_AT_ONCE)
            found.append(self.predictor.run(numbers[rows], categories[rows]).location)
        return np.concatenate(found)

    def _nearest(self, row: EncodedRow, count: int) -> tuple[Neighbour, ...]:
        names = self.predictor.schema.category_names
        unknown = np.array([name in row.unknown for name in names], dtype=bool)
        distances = self._neighbourhood.distances(row, unknown)
        order = np.argsort(distances, kind="stable")[:count]
        return tuple(self._neighbour(int(k), float(distances[k])) for k in order)

    def _neighbour(self, k: int, distance: float) -> Neighbour:
        known, schema = self._known, self.predictor.schema
        measured = zip(schema.metric_names, known.metrics[k].tolist(), strict=True)
        values = ((player.feature.name, self._value(player, k)) for player in self._players)
        return Neighbour(
            features={name: value for name, value in values if value is not None},
            measured={name: value for name, value in measured if math.isfinite(value)},
            training_rows=int(known.rows[k]),
            distance=distance,
        )

    def _value(self, player: _Player, k: int) -> float | bool | str | None:
        """Return a feature of a known row as a caller would send it."""
        if not player.numbers:
            code = int(self._known.categories[k, player.categories[0]])
            vocabulary = self.predictor.manifest.vocabulary[player.feature.name]
            return vocabulary[code] if code >= 0 else None
        number = float(self._known.numbers[k, player.numbers[0]])
        if math.isnan(number):
            return None
        return number > 0 if player.feature.kind == "flag" else number


def _players(schema: Schema) -> tuple[_Player, ...]:
    """Return the features and facts that may be sent; what is derived goes with its source."""
    slots = {name: i for i, name in enumerate(schema.category_names)}
    numbers = {name: i for i, name in enumerate(schema.number_names)}
    follow: dict[str, list[int]] = {}
    for feature in schema.inputs:
        if feature.derive is not None:
            follow.setdefault(feature.derive.source, []).append(slots[feature.name])
    return tuple(
        _Player(feature, (numbers[feature.name],), ())
        if feature.is_numeric
        else _Player(feature, (), (slots[feature.name], *follow.get(feature.name, ())))
        for feature in schema.inputs
        if feature.derive is None
    )


def _background(known: KnownRows) -> tuple[NDArray[np.int64], Floats]:
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
