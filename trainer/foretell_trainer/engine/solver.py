"""The solver of interactions: conjugate gradients on the grid of subjects and settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse

from foretell.errors import Cancelled
from foretell_trainer.engine.inputs import Floats, Inputs, Integers
from foretell_trainer.engine.plan import Plan, rounded
from foretell_trainer.engine.trees import Singles

_NOISE = 0.02
"""The share of the residual's variance that no interaction explains."""

_FEW_SUBJECTS = 600
TOLERANCE, ROUGH = 2e-3, 0.1
"""How much of the target a solution may leave, as a share; where it answers, and in a trial."""

_MOST_IN_BLOCK = 128
_MOST_SMOOTH = 1100


@dataclass(frozen=True)
class Cells:
    """Rows by distinct subject (u of U) and setting (s of S): the grid that the solver works on."""

    plan: Plan
    cell: Integers
    """[n]: u · S + s."""
    dense: Singles
    """[U, D], scaled by the root of the prior variances."""
    tables: scipy.sparse.csr_matrix
    """[U, values of all tables], alike."""
    covariance: Singles | None
    """[U, U], where that is the shorter way."""
    likeness: Singles
    """[S, S]"""
    kinship: Floats | None = None
    """[V, V]: of the subject's known values, where there are few; part of the covariance."""

    @classmethod
    def of(cls, plan: Plan, inputs: Inputs) -> Cells:
        described = np.column_stack([plan.tables(inputs), rounded(inputs, plan.subject_numbers)])
        _, first, place = np.unique(described, axis=0, return_index=True, return_inverse=True)
        settings = plan.likeness(inputs).argmax(axis=1)
        cell = place.reshape(-1) * len(plan.category_values) + settings
        few = inputs.take(first)
        dense = plan.dense(few) * np.sqrt(plan.dense_priors)
        parts = []
        columns = zip(plan.tables(few).T, plan.sizes, plan.table_priors, strict=True)
        for codes, size, prior in columns:
            known = np.flatnonzero(codes >= 0)
            values = np.full(len(known), np.sqrt(prior))
            shape = (len(few), size)
            parts.append(scipy.sparse.csr_matrix((values, (known, codes[known])), shape))
        tables = scipy.sparse.hstack(parts, format="csr")
        short = len(few) <= _FEW_SUBJECTS
        kinship = plan.kinship(few) if short else None
        covariance = dense @ dense.T + (tables @ tables.T).toarray() if short else None
        if covariance is not None and kinship is not None:
            subjects = few.codes[:, plan.subject]
            known = np.flatnonzero(subjects >= 0)
            own = subjects[known]
            covariance[np.ix_(known, known)] += kinship[np.ix_(own, own)]
        # The solution is wanted to a few thousandths, for which single precision is enough.
        likeness = plan.own_likeness.astype(np.float32)
        singles, tables = dense.astype(np.float32), tables.astype(np.float32)
        near = None if covariance is None else covariance.astype(np.float32)
        return cls(plan, cell, singles, tables, near, likeness, kinship)

    def solve(
        self,
        target: Floats,
        weights: Floats,
        start: Floats,
        steps: int,
        enough: float,
        should_stop: Callable[[], bool],
    ) -> Floats:
        """Return the dual solution per row, [n], by conjugate gradients.

        The rows of one subject tell most about one another, so what they say alone comes first
        (a block Jacobi preconditioner).
        """
        noise = _NOISE / weights
        likely = self._likely(noise)
        solution = start.copy()
        left = target - self.covary(solution) - noise * solution
        scaled = likely.solve(left)
        direction = scaled.copy()
        product = float(left @ scaled)
        least = enough * float(np.linalg.norm(target))
        for step in range(steps):
            if float(np.linalg.norm(left)) <= least:
                break
            if step % 10 == 0 and should_stop():
                raise Cancelled
            image = self.covary(direction) + noise * direction
            length = product / float(direction @ image)
            solution += length * direction
            left -= length * image
            scaled = likely.solve(left)
            product, before = float(left @ scaled), product
            direction = scaled + product / before * direction
        return solution

    def _likely(self, noise: Floats) -> _Likely:
        """Return the preconditioner: subjects each for itself, and what is smooth over them."""
        own = np.asarray(self.tables.multiply(self.tables).sum(axis=1), dtype=np.float32).ravel()
        if self.kinship is not None:
            own += np.float32(self.kinship.diagonal().max())
        subject, setting = np.divmod(self.cell, len(self.likeness))
        order = np.argsort(subject, kind="stable")
        ranks = np.empty(len(order), np.int64)
        starts = np.searchsorted(subject[order], np.arange(len(own)))
        ranks[order] = np.arange(len(order)) - starts[subject[order]]
        size = min(int(ranks.max()) + 1, _MOST_IN_BLOCK)
        parts = np.column_stack([subject, ranks // size])
        members, block = np.unique(parts, axis=0, return_inverse=True)
        place = block.reshape(-1) * size + ranks % size
        shape = (len(members), size)
        # Places without a row are on their own, and stay 0.
        settings = np.zeros(shape, np.int64)
        settings.reshape(-1)[place] = setting
        filled = np.zeros(shape, np.float32)
        filled.reshape(-1)[place] = 1.0
        diagonal = np.ones(shape, np.float32)
        diagonal.reshape(-1)[place] = noise
        grids = self.likeness[settings[:, :, None], settings[:, None, :]]
        grids *= own[members[:, 0], None, None] * filled[:, :, None] * filled[:, None, :]
        steps = np.arange(size)
        grids[:, steps, steps] += diagonal
        inverse = np.asarray(np.linalg.inv(grids), dtype=np.float32)
        values, vectors = np.linalg.eigh(self.likeness)
        rank = max(1, min(_MOST_SMOOTH // self.dense.shape[1], len(values)))
        roots = vectors[:, -rank:] * np.sqrt(np.maximum(values[-rank:], 0.0))
        factors = roots[settings] * filled[:, :, None]
        images = inverse @ factors
        inner = (factors.transpose(0, 2, 1) @ images).reshape(len(members), -1)
        dense = self.dense[members[:, 0]]
        width = dense.shape[1]
        outer = (dense[:, :, None] * dense[:, None, :]).reshape(len(members), -1)
        core = (inner.T @ outer).reshape(rank, rank, width, width)
        core = core.transpose(2, 0, 3, 1).reshape(width * rank, width * rank)
        core[np.diag_indices(len(core))] += 1.0
        return _Likely(inverse, place, dense, factors, images, scipy.linalg.cho_factor(core))

    def covary(self, dual: Floats) -> Floats:
        """Return the rows' covariance with one another, times a vector, [n]."""
        sums = self._sums(dual)
        if self.covariance is not None:
            mixed = self.covariance @ sums
        else:
            mixed = self.dense @ (self.dense.T @ sums) + self.tables @ (self.tables.T @ sums)
        return np.asarray((mixed @ self.likeness).ravel()[self.cell], dtype=np.float64)

    def primal(self, dual: Floats) -> tuple[Floats, tuple[Floats, ...]]:
        """Return the weights and tables of `Interaction` that a dual solution stands for."""
        sums = self._sums(dual)
        weights = np.sqrt(self.plan.dense_priors)[:, None] * (self.dense.T @ sums)
        priors = zip(self.plan.sizes, self.plan.table_priors, strict=True)
        roots = np.sqrt(np.concatenate([np.full(size, prior) for size, prior in priors]))
        by_value = self.tables.T @ sums
        tables = np.split(roots[:, None] * by_value, np.cumsum(self.plan.sizes)[:-1])
        if self.kinship is not None:
            size = self.plan.sizes[0]
            tables[0] = tables[0] + self.kinship @ (by_value[:size] / roots[:size, None])
        return weights, tuple(np.insert(t, 0, 0.0, axis=0) for t in tables)

    def _sums(self, values: Floats) -> Singles:
        shape = (len(self.dense), len(self.likeness))
        sums = np.bincount(self.cell, values, shape[0] * shape[1])
        return sums.astype(np.float32).reshape(shape)


@dataclass(frozen=True)
class _Likely:
    """The inverse of most of the covariance (the matrix inversion lemma)."""

    inverse: Singles
    """[blocks, size, size]"""
    place: Integers
    """[n]: block · size + place in it."""
    dense: Singles
    """[blocks, D]"""
    factors: Singles
    """[blocks, size, R]"""
    images: Singles
    """[blocks, size, R]: the inverses times the factors."""
    core: tuple[Singles, bool]
    """Factorised, [D · R, D · R]."""

    def solve(self, values: Floats) -> Floats:
        """Return the inverse times a vector, [n]."""
        padded = np.zeros(self.inverse.shape[:2], np.float32)
        padded.reshape(-1)[self.place] = values
        alone = (self.inverse @ padded[:, :, None])[:, :, 0]
        folded = (self.factors.transpose(0, 2, 1) @ alone[:, :, None])[:, :, 0]
        right = (self.dense.T @ folded).reshape(-1)
        smooth = scipy.linalg.cho_solve(self.core, right, check_finite=False)
        back = self.dense @ smooth.reshape(self.dense.shape[1], -1)
        alone -= (self.images @ back[:, :, None])[:, :, 0]
        return np.asarray(alone.reshape(-1)[self.place], dtype=np.float64)
