"""The base: ridge regression on numbers and one-hot categories, with shrunken effects of ids.

It carries the trends beyond the data, which trees cannot, and gives every id an effect that is
the smaller the fewer rows it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from foretell_trainer.engine.inputs import Floats, Inputs, Integers
from foretell_trainer.engine.sgd import descend

GROWTH = 0
"""The power of a trend along a number that is not in logs."""

_NUMBER_PENALTY = 1.0
_EFFECT_PENALTY = 1.0
_NO_PART = 1e6
"""What the penalty of something restrained is multiplied with."""

_DENSE_LIMIT = 5000
_KNOWN = 1e-6
"""The effect of a muted value that has rows: nothing to the base, and a mark to the trees."""

_OUTLIER = 4.0
"""Residuals beyond this many robust deviations weigh less (Huber's weights)."""


@dataclass(frozen=True)
class Growth:
    """A number as it is, not in logs, in each id's own deviations from its own mean."""

    category: int
    number: int
    column: int
    """Where it stands in `Inputs.clipped`."""
    centre: Floats
    """[V + 1]: first that of an unknown id."""
    spread: Floats
    """[V + 1]"""

    def along(self, inputs: Inputs) -> Floats:
        """Return the number of each row, [n]."""
        place = inputs.codes[:, self.category] + 1
        return (inputs.clipped[:, self.column] - self.centre[place]) / self.spread[place]


@dataclass(frozen=True)
class Restraint:
    """What has next to no part in a base."""

    categories: tuple[int, ...]
    numbers: tuple[int, ...]
    """Places in `LinearModel.weights`."""


@dataclass(frozen=True)
class Layout:
    """Which columns the base has, fixed for all folds of a training run."""

    sizes: tuple[int, ...]
    """The number of known values of each category."""
    missing: Integers
    """The numbers that are sometimes missing: each has an indicator."""
    slopes: tuple[tuple[int, int, int], ...]
    """(category, number, power): ids with a trend of their own along an extrapolated number;
    with power 2 a bend of their own within the range of the training; with `GROWTH` a trend along
    a log-scaled number itself, so that a metric in logs grows exponentially with it."""
    lowest: Floats
    """[F], of the standardised numbers of the training."""
    highest: Floats
    strength: float = 1.0
    """What all penalties are multiplied with; few rows that follow a law closely want little."""
    muted: tuple[int, ...] = ()
    """The categories without an effect or a slope here: an interaction has their part.

    What is left of their effects tells trees whether a value was known."""
    restraint: Restraint | None = None
    slope_penalty: float = 3.0
    """What holds slopes of single values to what all have in common, beside `strength`."""
    solver: Literal["ridge", "sgd"] = "ridge"
    growths: tuple[Growth, ...] = ()

    def growth(self, category: int, number: int) -> Growth:
        """Return how one category's growth along a number is measured."""
        return next(g for g in self.growths if (g.category, g.number) == (category, number))

    def along(self, inputs: Inputs, category: int, number: int, power: int) -> Floats:
        """Return what a slope is multiplied with, [n]."""
        if power == GROWTH:
            return self.growth(category, number).along(inputs)
        values = inputs.standard[:, number]
        if power == 1:
            return values
        # A square would run away beyond the data; its tangent goes on as the data left off.
        low, high = self.lowest[number], self.highest[number]
        inside = np.clip(values, low, high)
        return np.asarray(inside * (2 * values - inside))


@dataclass(frozen=True)
class LinearModel:
    """The base of one metric."""

    layout: Layout
    intercept: float
    weights: Floats
    """[F + L + missing]"""
    effects: tuple[Floats, ...]
    """Per category, [V + 1]: first that of an unknown value, which is 0."""
    slopes: tuple[Floats, ...]
    """Per (category, number, power), [V + 1]."""

    def effects_of(self, codes: Integers) -> Floats:
        """Return the effect of each category's value, [n, C]."""
        if not self.effects:
            return np.zeros((len(codes), 0))
        return np.column_stack([table[codes[:, c] + 1] for c, table in enumerate(self.effects)])

    def predict(self, inputs: Inputs) -> Floats:
        """Return the base of each row, [n]."""
        total = _dense(inputs, self.layout) @ self.weights + self.intercept
        total += self.effects_of(inputs.codes).sum(axis=1)
        for (category, number, power), table in zip(self.layout.slopes, self.slopes, strict=True):
            slope = table[inputs.codes[:, category] + 1]
            total += slope * self.layout.along(inputs, category, number, power)
        return np.asarray(total)


def fit_linear(inputs: Inputs, target: Floats, layout: Layout) -> LinearModel:
    """Fit the base of one metric to the target [n], in logs for a metric on a log scale.

    Outliers are weighted down in a second pass, not dropped.
    """
    centre = float(np.median(target))
    if layout.solver == "sgd":
        return unpacked(
            descend(design_matrix(inputs, layout), target - centre), centre, layout, inputs
        )
    columns = columns_of_base(inputs, layout)
    weights = np.ones(len(target))
    solution = np.zeros(len(columns.penalties))
    for _ in range(2):
        solution = _solve(columns, target - centre, weights)
        weights = huber_weights(target - centre - columns.times(solution))
    return unpacked(solution, centre, layout, inputs)


def huber_weights(residual: Floats, least: float = 1e-9) -> Floats:
    """Return Huber's weights of residuals [n]: less than 1 for those far out.

    `least` is the smallest deviation that counts as one.
    """
    size = np.abs(residual)
    limit = _OUTLIER * max(1.4826 * float(np.median(size)), least)
    return np.asarray(np.minimum(1.0, limit / np.maximum(size, 1e-12)))


def fit_layout(
    sizes: Sequence[int], inputs: Inputs, ids: Sequence[int], extrapolated: Sequence[int]
) -> Layout:
    """Return the columns of the base for a training set; `ids` are categories with slopes."""
    partly = inputs.missing.any(axis=0) & ~inputs.missing.all(axis=0)
    slopes = tuple((c, number, power) for c in ids for number in extrapolated for power in (1, 2))
    ends = (inputs.standard.min(axis=0), inputs.standard.max(axis=0))
    return Layout(tuple(sizes), np.flatnonzero(partly), slopes, *ends)


def _dense(inputs: Inputs, layout: Layout) -> Floats:
    indicators = inputs.missing[:, layout.missing].astype(np.float64)
    return np.hstack([inputs.standard, inputs.clipped, indicators])


@dataclass(frozen=True)
class Columns:
    """What weights are multiplied with: [n, K], of which the first are dense."""

    dense: Floats
    """[n, k]; the first column is 1."""
    sparse: scipy.sparse.csr_matrix
    """[n, K - k]: one-hot, and multiples of it."""
    penalties: Floats
    """[K]"""

    def times(self, weights: Floats) -> Floats:
        """Return the product with weights [K], [n]."""
        width = self.dense.shape[1]
        return np.asarray(self.dense @ weights[:width] + self.sparse @ weights[width:])

    def transposed_times(self, values: Floats) -> Floats:
        """Return the product of the transpose with values [n], [K]."""
        return np.concatenate([self.dense.T @ values, self.sparse.T @ values])

    def gram(self, weights: Floats, other: Columns | None = None) -> Floats:
        """Return the product of the transpose, weights [n] and other columns, [K, K']."""
        other = self if other is None else other
        right = weights[:, None] * other.dense
        scaled = scipy.sparse.diags(weights) @ self.sparse
        upper = self.dense.T @ right
        crossed = np.asarray(self.sparse.T @ right)
        back = np.asarray(other.sparse.T @ (weights[:, None] * self.dense)).T
        return np.block([[upper, back], [crossed, (scaled.T @ other.sparse).toarray()]])

    def used(self) -> Integers:
        """Return the columns that are not 0 in every row."""
        # Names that only the catalog knows, or another fold, have columns of zeros: no effect.
        width = self.dense.shape[1]
        return np.append(np.arange(width), width + np.flatnonzero(self.sparse.getnnz(axis=0)))

    def take(self, columns: Integers) -> Columns:
        """Return some of the columns, with all of the dense ones first."""
        width = self.dense.shape[1]
        kept = columns[columns >= width] - width
        return Columns(self.dense, self.sparse[:, kept], self.penalties[columns])


def columns_of_base(inputs: Inputs, layout: Layout) -> Columns:
    """Return the base's columns and penalties."""
    n = len(inputs)
    dense = _dense(inputs, layout)
    numbers, effects = (
        np.full(dense.shape[1], _NUMBER_PENALTY),
        [_EFFECT_PENALTY] * len(layout.sizes),
    )
    if layout.restraint is not None:
        numbers[list(layout.restraint.numbers)] *= _NO_PART
        for category in layout.restraint.categories:
            effects[category] *= _NO_PART
    penalties = [np.full(1, 1e-6), numbers]
    parts = [scipy.sparse.csr_matrix((n, 0))]
    codes = inputs.codes.copy()
    codes[:, list(layout.muted)] = -1
    for category, size in enumerate(layout.sizes):
        parts.append(_one_hot(codes[:, category], np.ones(n), size))
        penalties.append(np.full(size, effects[category]))
    for category, number, power in layout.slopes:
        along = layout.along(inputs, category, number, power)
        parts.append(_one_hot(codes[:, category], along, layout.sizes[category]))
        penalties.append(np.full(layout.sizes[category], layout.slope_penalty))
    return Columns(
        np.hstack([np.ones((n, 1)), dense]),
        scipy.sparse.hstack(parts, format="csr"),
        layout.strength * np.concatenate(penalties),
    )


def design_matrix(inputs: Inputs, layout: Layout) -> scipy.sparse.csr_matrix:
    """Return what the base's weights are multiplied with, sparse [n, K]; the first column is 1."""
    columns = columns_of_base(inputs, layout)
    return scipy.sparse.hstack([columns.dense, columns.sparse], format="csr")


def _one_hot(codes: Integers, values: Floats, size: int) -> scipy.sparse.csr_matrix:
    known = np.flatnonzero(codes >= 0)
    return scipy.sparse.csr_matrix((values[known], (known, codes[known])), shape=(len(codes), size))


def _solve(columns: Columns, target: Floats, weights: Floats) -> Floats:
    solution = np.zeros(len(columns.penalties))
    used = columns.used()
    columns = columns.take(used)
    right = columns.transposed_times(weights * target)
    if len(used) <= _DENSE_LIMIT:
        gram = columns.gram(weights)
        gram[np.diag_indices_from(gram)] += columns.penalties
        solution[used] = scipy.linalg.solve(gram, right, assume_a="pos")
        return solution

    def image(values: Floats) -> Floats:
        own = columns.transposed_times(weights * columns.times(values))
        return own + columns.penalties * values

    squares = columns.sparse.multiply(columns.sparse).T @ weights
    diagonal = np.append((columns.dense**2).T @ weights, squares) + columns.penalties
    size = len(used)
    operator = scipy.sparse.linalg.LinearOperator((size, size), matvec=image)
    scaling = scipy.sparse.diags(1 / diagonal)
    solution[used], _ = scipy.sparse.linalg.cg(operator, right, rtol=1e-8, maxiter=2000, M=scaling)
    return solution


def unpacked(solution: Floats, centre: float, layout: Layout, inputs: Inputs) -> LinearModel:
    """Return the model of weights [K] for `columns_of_base`, around a centre."""
    width = inputs.standard.shape[1] + inputs.clipped.shape[1] + len(layout.missing)
    sizes = [1, width, *layout.sizes, *(layout.sizes[c] for c, *_ in layout.slopes)]
    intercept, weights, *tables = np.split(solution, np.cumsum(sizes)[:-1])
    with_unknown: list[NDArray[np.float64]] = [np.insert(table, 0, 0.0) for table in tables]
    count = len(layout.sizes)
    for category in layout.muted:
        codes = np.unique(inputs.codes[:, category])
        with_unknown[category][codes[codes >= 0] + 1] = _KNOWN
    return LinearModel(
        layout=layout,
        intercept=float(intercept[0]) + centre,
        weights=weights,
        effects=tuple(with_unknown[:count]),
        slopes=tuple(with_unknown[count:]),
    )
