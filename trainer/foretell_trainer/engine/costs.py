"""Costs: what amounts of work take adds up, at prices that depend on where it is done.

A program of so many operations of each kind takes the sum of what they cost, and what starting
it costs, times how slow the place is: y = level + log(Σ prices · amounts + floor). In logs of
single amounts no straight trend says that, and a program that was never seen is known by its
amounts alone. Prices belong to places of one kind, such as one runtime, so that there are rows
enough of each, and every place has a floor of its own; all is found by gradients on a smooth form
of Huber's loss. Levels are left to the base, which knows what is told of a place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize

from foretell.errors import Cancelled
from foretell.schema import Schema
from foretell_trainer.engine.folds import grouped_folds
from foretell_trainer.engine.inputs import Flags, Floats, InputMap, Inputs, Integers
from foretell_trainer.engine.linear import Layout, fit_linear

_FEWEST_ROWS = 100
"""Of fewer rows no kind of place has prices of its own."""

LARGEST = 300.0
"""Logs of amounts are held to this, whose exponential can still be multiplied and added."""

LEAST = 1e-12
"""What a price or floor counts at least, where a request calls a known place another kind."""

_OUTLIER = 0.2
_PRICE_PENALTY, _LEVEL_PENALTY = 0.005, 0.1
_FLOOR_PENALTY = 0.3
"""Floors of places of one kind are alike, or the few rows of a new place would all be floor."""
_START_BELOW = 0.3
_MOST_STEPS = 200
_FARTHEST = 20.0
"""In logs, how far prices, levels and floors are looked for from where they begin."""

_FOLDS = 3
_WORTHWHILE = 0.8
"""The error that costs have to come down to, as a share of the error without them."""


@dataclass(frozen=True)
class Amounts:
    """Which numbers are amounts of work, and where it is done."""

    numbers: Integers
    """[k]: their places among all numbers."""
    centre: Floats
    """[k]: logs of amounts, plus 1 where `more`, are centre + spread · standardised number."""
    spread: Floats
    more: Flags
    """[k]: where the number is the log of 1 + amount."""
    sizes: tuple[int, ...]
    """The number of known values of each category."""
    where: int
    """The category that names the place."""
    kind: int | None = None
    """The category whose values have prices of their own; None where all have the same."""

    def of(self, inputs: Inputs) -> Floats:
        """Return the amounts of each row, [n, k]."""
        logs = inputs.standard[:, self.numbers] * self.spread + self.centre
        return np.asarray(np.exp(np.minimum(logs, LARGEST)) - self.more)


@dataclass(frozen=True)
class Costs:
    """The fitted costs of one metric; P kinds of prices, the last for a kind never seen."""

    amounts: Amounts
    prices: Floats
    """[k, P]"""
    where: Floats
    """[V + 1, P + 1] by place, of which the first is an unknown one: 1 for the prices that hold,
    and the floor; beside `kind`."""
    kind: Floats | None
    """[K + 1, P + 1] by kind; the sum of both tables holds."""

    def predict(self, inputs: Inputs) -> Floats:
        """Return the log of the cost of each row, [n]."""
        return np.asarray(np.log(self._sums(inputs) + self._shares(inputs)[:, -1]))

    def work(self, inputs: Inputs) -> Floats:
        """Return the log of the cost of each row without its floor, [n]."""
        return np.asarray(np.log(self._sums(inputs) + LEAST))

    def _sums(self, inputs: Inputs) -> Floats:
        sums = self.amounts.of(inputs) @ self.prices
        return np.asarray((sums * self._shares(inputs)[:, :-1]).sum(axis=1))

    def _shares(self, inputs: Inputs) -> Floats:
        """Return which prices hold for each row, and its floor, [n, P + 1]."""
        shares = self.where[inputs.codes[:, self.amounts.where] + 1]
        if self.kind is not None and self.amounts.kind is not None:
            shares = shares + self.kind[inputs.codes[:, self.amounts.kind] + 1]
        return np.maximum(shares, LEAST)

    def steepness(self, inputs: Inputs) -> Floats:
        """Return how fast it grows with each standardised amount, the mean of rows, [k]."""
        amounts, total = self.amounts.of(inputs), np.exp(self.predict(inputs))
        each = amounts * (self._shares(inputs)[:, :-1] @ self.prices.T) / total[:, None]
        return np.asarray(each.mean(axis=0) * self.amounts.spread)


def amounts_of(
    schema: Schema, inputs: InputMap, sizes: tuple[int, ...], metric: int
) -> Amounts | None:
    """Return the declared amounts, if they make up a metric; where they are paid for is open."""
    about = schema.metrics[metric]
    numbers = [f for f in schema.inputs if f.is_numeric]
    chosen = np.array([i for i, f in enumerate(numbers) if f.amount is not None], np.int64)
    if not len(chosen) or about.scale != "log" or about.direction != "lower":
        return None
    return Amounts(
        numbers=chosen,
        centre=inputs.mean[chosen],
        spread=inputs.deviation[chosen],
        more=np.array([numbers[i].amount == "log1p" for i in chosen]),
        sizes=sizes,
        where=-1,
    )


def choose_amounts(
    amounts: Amounts,
    inputs: Inputs,
    target: Floats,
    subject: int,
    layouts: tuple[Layout, Layout],
    seed: int,
    should_stop: Callable[[], bool],
) -> Amounts | None:
    """Return the amounts with the kind that foretells subjects left out best.

    None where this is not much better than a base without costs, the first of the layouts; the
    other one is for a base beside costs. Kinds that are tried are the categories that the place
    determines. Raises Cancelled.
    """
    folds = grouped_folds(inputs.codes[:, subject], _FOLDS, np.random.default_rng(seed))

    def error(own: Amounts | None) -> float:
        found = []
        for fold in range(_FOLDS):
            if should_stop():
                raise Cancelled
            kept, out = inputs.take(folds != fold), inputs.take(folds == fold)
            codes = out.codes.copy()
            codes[:, subject] = -1
            out, known = out.with_codes(codes), target[folds != fold]
            if own is None:
                predicted = fit_linear(kept, known, layouts[0]).predict(out)
            else:
                costs = fit_costs(own, kept, known)
                base = fit_linear(kept, known - costs.predict(kept), layouts[1])
                predicted = costs.predict(out) + base.predict(out)
            found.append(np.minimum(np.abs(target[folds == fold] - predicted), 1.0).mean())
        return float(np.mean(found))

    best, least = None, _WORTHWHILE * error(None)
    for kind in (None, *_determined(inputs.codes, amounts.where)):
        tried = replace(amounts, kind=kind)
        found = error(tried)
        if found < least:
            best, least = tried, found
    return best


def _determined(codes: Integers, where: int) -> list[int]:
    """Return the categories that have several values, and one only at each place."""
    places = len(np.unique(codes[:, where]))
    found = []
    for category in range(codes.shape[1]):
        both = np.unique(codes[:, [where, category]], axis=0)
        values = len(np.unique(codes[:, category]))
        if category != where and len(both) == places and 1 < values < places:
            found.append(category)
    return found


def fit_costs(amounts: Amounts, inputs: Inputs, target: Floats) -> Costs:
    """Fit prices and floors to the target [n], in logs; levels are found beside them."""
    places, kinds = inputs.codes[:, amounts.where], np.zeros(len(inputs), np.int64)
    size, own = amounts.sizes[amounts.where], np.zeros(0, np.int64)
    # Where no place is named, one that is unknown is all that there is.
    known = (places >= 0) | (places < 0).all()
    if amounts.kind is not None:
        kinds = inputs.codes[:, amounts.kind]
        rows = np.bincount(kinds[known & (kinds >= 0)], minlength=1)
        own = np.flatnonzero(rows >= _FEWEST_ROWS)
    every, cell = _distinct(inputs.standard[:, amounts.numbers])
    works = amounts.of(inputs.take(every))
    count = len(own)
    tables = _Tables.of(size, int(kinds.max()) + 1, count)
    prices = np.zeros((works.shape[1], count + 1))
    for column, kind in [(count, -1), *enumerate(own.tolist())]:
        use = known if kind < 0 else known & (kinds == kind)
        found = _fitted(works, cell[use], target[use], places[use])
        prices[:, column] = np.exp(found.prices)
        tables.enter(column, kind, found)
    seen, unknown = tables.seen[:, None], tables.kind[0]
    if amounts.kind is None:
        return Costs(amounts, prices, np.where(seen, tables.place, unknown), None)
    of_place = np.zeros(size + 1, np.int64)
    of_place[places + 1] = kinds + 1
    # A place is told by itself, and one that was never seen by its kind: the tables are added.
    where = np.where(seen, tables.place - tables.kind[of_place], 0.0)
    more = np.tile(unknown, (amounts.sizes[amounts.kind] + 1 - len(tables.kind), 1))
    return Costs(amounts, prices, where, np.concatenate([tables.kind, more]))


@dataclass(frozen=True)
class _Tables:
    """Which prices hold at each place, and at a new one of each kind, and the floors there."""

    place: Floats
    kind: Floats
    seen: Flags

    @classmethod
    def of(cls, places: int, kinds: int, own: int) -> _Tables:
        """Return empty tables; the first row of each is for what is unknown."""
        return cls(
            np.zeros((places + 1, own + 2)),
            np.zeros((kinds + 1, own + 2)),
            np.zeros(places + 1, bool),
        )

    def enter(self, column: int, kind: int, found: _Fitted) -> None:
        """Enter the places that pay one column's prices; kind -1 is all of them."""
        rows = found.places + 1
        self.place[rows] = 0.0
        floors = found.floors - found.levels
        self.place[rows, column] = 1.0
        self.place[rows, -1] = np.exp(floors)
        self.seen[rows] = True
        new = slice(None) if kind < 0 else slice(kind + 1, kind + 2)
        self.kind[new] = 0.0
        self.kind[new, column] = 1.0
        self.kind[new, -1] = np.exp(np.median(floors))


@dataclass(frozen=True)
class _Fitted:
    """What was found, all in logs."""

    prices: Floats
    """[k]"""
    places: Integers
    """[P]: the codes of the places."""
    levels: Floats
    """[P]"""
    floors: Floats
    """[P]"""


def _fitted(works: Floats, cell: Integers, target: Floats, places: Integers) -> _Fitted:
    """Fit what rows cost: `cell` [n] says which of the works [c, k] a row is."""
    codes, place = np.unique(places, return_inverse=True)
    place = place.reshape(-1)
    width, count = works.shape[1], len(codes)
    lowest = np.full(count, np.inf)
    np.minimum.at(lowest, place, target)
    middle = float(np.median(target - np.log(works.sum(axis=1) + 1.0)[cell]))
    start = np.concatenate([np.full(width, middle), np.zeros(count), lowest - _START_BELOW])

    def loss(values: Floats) -> tuple[float, Floats]:
        prices, levels, floors = np.split(values, [width, width + count])
        each, level, floor = np.exp(prices), np.exp(levels), np.exp(floors)
        work = (works @ each)[cell]
        total = work * level[place] + floor[place]
        off = np.log(total) - target
        bent = np.sqrt(1.0 + (off / _OUTLIER) ** 2)
        slope = off / bent / total
        beyond, apart = prices - middle, floors - levels
        apart = apart - apart.mean()
        value = _OUTLIER**2 * (bent - 1.0).sum() + 0.5 * _LEVEL_PENALTY * (levels**2).sum()
        value += 0.5 * _PRICE_PENALTY * count * (beyond**2).sum()
        value += 0.5 * _FLOOR_PENALTY * (apart**2).sum()
        of_works = np.bincount(cell, slope * level[place], minlength=len(works))
        gradient = [
            (works.T @ of_works) * each + _PRICE_PENALTY * count * beyond,
            np.bincount(place, slope * work, minlength=count) * level
            + _LEVEL_PENALTY * levels
            - _FLOOR_PENALTY * apart,
            np.bincount(place, slope, minlength=count) * floor + _FLOOR_PENALTY * apart,
        ]
        return float(value), np.concatenate(gradient)

    # Without bounds, a step along a price that few rows tell of can be too large for a number.
    bounds = scipy.optimize.Bounds(start - _FARTHEST, start + _FARTHEST)
    found = scipy.optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _MOST_STEPS}
    )
    prices, levels, floors = np.split(found.x, [width, width + count])
    return _Fitted(prices, codes, levels, floors)


def _distinct(rows: Floats) -> tuple[Integers, Integers]:
    """Return where each distinct row comes first, and which of these each row is."""
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
    _, first, which = np.unique(whole.reshape(-1), return_index=True, return_inverse=True)
    return first, which.reshape(-1)
