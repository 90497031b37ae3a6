"""Floors: what a metric of a row consists of, where it is the sum of two parts.

What work costs comes on top of what starting it costs; a batch takes as long as the arithmetic or
as long as fetching the weights (Williams, Waterman, Patterson: Roofline, CACM 2009). In logs, two
such parts make a bend that no straight trend can follow: y = log(exp(work) + exp(floor)), each
with a base of its own. A rate is the reciprocal of a time, so its sign is turned: it has a
ceiling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from foretell.errors import Cancelled
from foretell_trainer.engine.costs import Costs
from foretell_trainer.engine.folds import turns
from foretell_trainer.engine.inputs import Floats, Inputs, Integers
from foretell_trainer.engine.linear import (
    GROWTH,
    Columns,
    Layout,
    LinearModel,
    Restraint,
    columns_of_base,
    fit_linear,
    unpacked,
)

FLOOR, CEILING = 1, -1

_OUTLIER = 0.15
_MOST_STEPS, _MORE_STEPS = 12, 4
_ENOUGH = 1e-3
_START_BELOW = 0.3
_LOWEST_SHARE = 0.1
_LEAST_SHARE = 0.05
_TRIED_ROWS = 5000
_LOOSE = 2.0
"""The penalty of slopes of work and floor: what one of them may not say, the other says wrongly."""
_GAIN = 0.88
"""The error that a second part has to come down to, as a share, to be worth its cost."""


_Predict = Callable[[Inputs, Floats, Inputs], Floats]
"""Learns of some rows and their target, and returns what is predicted of others."""


@dataclass(frozen=True)
class Parts:
    """How a base of two parts is fitted."""

    sign: int
    """`FLOOR` or `CEILING`."""
    work: Layout
    floor: Layout
    start: tuple[Floats, Floats] | None = None
    """Where the search begins, where a fit to all rows has ended."""

    def combine(self, work: Floats, floor: Floats) -> Floats:
        """Return the location of each row, [n]."""
        return np.asarray(self.sign * np.logaddexp(self.sign * work, self.sign * floor))

    def share(self, work: Floats, floor: Floats) -> Floats:
        """Return which share of a change of the work a row's location follows, [n]."""
        both = np.logaddexp(self.sign * work, self.sign * floor)
        return np.asarray(np.maximum(np.exp(self.sign * work - both), _LEAST_SHARE))

    def restrained(self, restraint: Restraint) -> Parts:
        """Return the same with a floor in which some more things have no part."""
        before = self.floor.restraint or Restraint((), ())
        both = Restraint(
            tuple({*before.categories, *restraint.categories}),
            tuple({*before.numbers, *restraint.numbers}),
        )
        return replace(self, floor=replace(self.floor, restraint=both), start=None)


@dataclass(frozen=True)
class TwoParts:
    """The fitted parts of one metric."""

    work: LinearModel
    floor: LinearModel
    weights: tuple[Floats, Floats]


def parts_for(layout: Layout, sign: int, bending: Sequence[int] = ()) -> Parts:
    """Return two parts made of the columns of a base.

    The work follows the extrapolated numbers of each id. The floor does so for all alike, but for
    the `bending` categories: by which value saturates where, work and floor follow both. The bends
    of single ids are what the two parts explain.
    """
    straight = tuple(slope for slope in layout.slopes if slope[2] in (1, GROWTH))
    numbers = sorted({number for _, number, _ in straight})
    own = tuple((category, number, 1) for category in bending for number in numbers)
    work = (*straight, *(slope for slope in own if slope not in straight))
    if own:
        layout = replace(layout, slope_penalty=_LOOSE)
    return Parts(sign, replace(layout, slopes=work), replace(layout, slopes=own))


def choose_parts(
    inputs: Inputs,
    target: Floats,
    layout: Layout,
    seed: int,
    should_stop: Callable[[], bool],
    costs: Costs | None = None,
    bending: Sequence[int] = (),
) -> tuple[Parts | None, float]:
    """Return the parts that predict held-out rows much better than one base does, or None.

    Beside costs, one base says what is left of them; of two, work is beside costs without floors.
    Also returned is the error of what is chosen. Raises Cancelled.
    """
    tried = turns(len(target), _TRIED_ROWS, seed)

    def error(predict: _Predict) -> float:
        return _error(predict, inputs, target, tried)

    def single(kept: Inputs, known: Floats, held: Inputs) -> Floats:
        if costs is None:
            return fit_linear(kept, known, layout).predict(held)
        base = fit_linear(kept, known - costs.predict(kept), layout)
        return costs.predict(held) + base.predict(held)

    alone = error(single)
    best: tuple[Parts | None, float] = None, alone
    for sign in (FLOOR, CEILING):
        parts = parts_for(layout, sign, bending)

        def combined(kept: Inputs, known: Floats, held: Inputs, parts: Parts = parts) -> Floats:
            before = None if costs is None else costs.work(kept)
            fitted = fit_parts(kept, known, parts, should_stop, before)
            work = fitted.work.predict(held)
            work = work if costs is None else work + costs.work(held)
            return parts.combine(work, fitted.floor.predict(held))

        found = error(combined)
        if found < min(best[1], _GAIN * alone):
            best = parts, found
    return best


def _error(
    predict: _Predict, inputs: Inputs, target: Floats, tried: Sequence[tuple[Integers, Integers]]
) -> float:
    found = []
    for kept, out in tried:
        predicted = predict(inputs.take(kept), target[kept], inputs.take(out))
        found.append(np.minimum(np.abs(target[out] - predicted), 1.0).mean())
    return float(np.mean(found))


def fit_parts(
    inputs: Inputs,
    target: Floats,
    parts: Parts,
    should_stop: Callable[[], bool],
    before: Floats | None = None,
) -> TwoParts:
    """Fit both parts to the target [n] at once. Raises Cancelled.

    Gauss-Newton steps, damped, on Huber's loss. `before` [n] is what the work is added to.
    """
    centre = float(np.median(target))
    turned = parts.sign * (target - centre)
    work, floor = columns_of_base(inputs, parts.work), columns_of_base(inputs, parts.floor)
    used = work.used(), floor.used()
    offset = np.zeros(len(target)) if before is None else parts.sign * before
    search = _Search(work.take(used[0]), floor.take(used[1]), turned, offset)
    if parts.start is None:
        begin, steps = search.first(), _MOST_STEPS
    else:
        known = [parts.sign * w[u] for w, u in zip(parts.start, used, strict=True)]
        begin, steps = np.concatenate(known), _MORE_STEPS
    found = parts.sign * search.run(begin, steps, should_stop)
    weights = (np.zeros(len(work.penalties)), np.zeros(len(floor.penalties)))
    weights[0][used[0]], weights[1][used[1]] = np.split(found, [len(used[0])])
    return TwoParts(
        unpacked(weights[0], centre, parts.work, inputs),
        unpacked(weights[1], centre, parts.floor, inputs),
        weights,
    )


@dataclass(frozen=True)
class _Search:
    """The search for the weights of both parts, [K + K']."""

    work: Columns
    floor: Columns
    target: Floats
    offset: Floats
    """[n]: what the work is added to."""

    def first(self) -> Floats:
        """Return weights to begin with: the best single base, and a constant below it."""
        count = len(self.work.penalties)
        weights = np.zeros(count + len(self.floor.penalties))
        gram = self.work.gram(np.ones(len(self.target)))
        gram[np.diag_indices_from(gram)] += self.work.penalties
        right = self.work.transposed_times(self.target - self.offset)
        weights[:count] = scipy.linalg.solve(gram, right, assume_a="pos")
        weights[count] = np.quantile(self.target, _LOWEST_SHARE) - _START_BELOW
        return weights

    def run(self, weights: Floats, steps: int, should_stop: Callable[[], bool]) -> Floats:
        """Return the weights after some steps that each make the loss smaller."""
        damping, loss = 1e-2, self._loss(weights)
        for _ in range(steps):
            if should_stop():
                raise Cancelled
            curvature, slope = self._step(weights)
            while damping < 1e3:
                damped = curvature + np.diag(damping * np.diag(curvature))
                new = weights + scipy.linalg.solve(damped, slope, assume_a="pos")
                less = loss - self._loss(new)
                if less > 0:
                    break
                damping *= 5
            else:
                break
            weights, loss, damping = new, loss - less, max(damping / 4, 1e-6)
            if less < _ENOUGH * loss:
                break
        return weights

    def _parts(self, weights: Floats) -> tuple[Floats, Floats]:
        count = len(self.work.penalties)
        work = self.offset + self.work.times(weights[:count])
        return work, self.floor.times(weights[count:])

    @property
    def _penalties(self) -> Floats:
        return np.concatenate([self.work.penalties, self.floor.penalties])

    def _loss(self, weights: Floats) -> float:
        size = np.abs(self.target - np.logaddexp(*self._parts(weights)))
        inside = size < _OUTLIER
        loss = np.where(inside, 0.5 * size**2, _OUTLIER * (size - 0.5 * _OUTLIER)).sum()
        return float(loss + 0.5 * (self._penalties * weights**2).sum())

    def _step(self, weights: Floats) -> tuple[Floats, Floats]:
        """Return the curvature [K + K', K + K'] and the way down [K + K'] of the loss."""
        work, floor = self._parts(weights)
        both = np.logaddexp(work, floor)
        share = np.exp(work - both)
        rest = 1 - share
        residual = self.target - both
        huber = np.minimum(1.0, _OUTLIER / np.maximum(np.abs(residual), 1e-12))
        crossed = self.work.gram(huber * share * rest, self.floor)
        curvature = np.block(
            [
                [self.work.gram(huber * share**2), crossed],
                [crossed.T, self.floor.gram(huber * rest**2)],
            ]
        )
        curvature[np.diag_indices_from(curvature)] += self._penalties
        slope = np.concatenate(
            [
                self.work.transposed_times(huber * share * residual),
                self.floor.transposed_times(huber * rest * residual),
            ]
        )
        return curvature, slope - self._penalties * weights
