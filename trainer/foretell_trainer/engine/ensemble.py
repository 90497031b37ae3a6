"""Several learners whose ensembles are averaged: each errs in its own way.

The members are grown for the same number of rounds, the one at which their average, and not any
of them, errs least on held-out rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foretell_trainer.engine.trees import Singles, Tree, Trees, TreeSettings

if TYPE_CHECKING:
    from foretell_trainer.engine.learners import Learner


@dataclass(frozen=True)
class AveragedTrees:
    """The mean of several ensembles."""

    members: tuple[Trees, ...]

    def predict(self, features: Singles) -> NDArray[np.float64]:
        """Return the mean of what the members say of each row, [n]."""
        return np.asarray(np.mean([member.predict(features) for member in self.members], axis=0))

    def trees(self) -> Iterator[Tree]:
        """Yield the members' trees, each with its share of its values."""
        for tree in itertools.chain.from_iterable(member.trees() for member in self.members):
            yield replace(tree, value=tree.value / len(self.members))


@dataclass(frozen=True)
class Ensemble:
    """Grows each member, and averages them."""

    members: tuple[Learner, ...]

    def grow(
        self,
        features: Singles,
        target: NDArray[np.float64],
        settings: TreeSettings,
        should_stop: Callable[[], bool],
    ) -> AveragedTrees:
        """Grow all members for the same number of rounds, each with a seed of its own."""
        seeds = (replace(settings, seed=settings.seed + i) for i in range(len(self.members)))
        return AveragedTrees(
            tuple(
                member.grow(features, target, own, should_stop)
                for member, own in zip(self.members, seeds, strict=True)
            )
        )

    def errors(
        self,
        features: Singles,
        target: NDArray[np.float64],
        settings: TreeSettings,
        held_out: tuple[Singles, NDArray[np.float64]],
        patience: int | None,
        should_stop: Callable[[], bool],
    ) -> NDArray[np.float64]:
        """Return the mean absolute error of the average after each round, [rounds]."""
        grown = self.grow(features, target, settings, should_stop)
        rows, truth = held_out
        total = np.zeros(len(truth))
        errors: list[float] = []
        # A member that found nothing more to split has fewer trees, and stays as it is.
        for trees in itertools.zip_longest(*(member.trees() for member in grown.members)):
            total += sum(t.predict(rows) for t in trees if t is not None) / len(self.members)
            errors.append(float(np.abs(truth - total).mean()))
            if patience is not None and len(errors) - np.argmin(errors) > patience:
                break
        return np.array(errors)
