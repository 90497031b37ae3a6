"""What the engine is given: the rows of a snapshot as it sees them, and how to fit them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from foretell.errors import InvalidInput, Violation
from foretell.schema import Feature, Schema
from foretell_trainer.engine.inputs import Floats, InputMap, Inputs
from foretell_trainer.engine.plan import Plan, plan_interaction

FEW_LEVELS = 20
"""With fewer distinct values there is little to learn about unknown ones, or beyond the last."""

TUNABLE = (
    "learning_rate",
    "leaves",
    "smallest_leaf",
    "leaf_penalty",
    "column_share",
    "row_share",
    "strength",
)
"""What may be tuned: fields of `TreeSettings`, and the strength of the base's penalties."""

Progress = Callable[[str, float, Mapping[str, float]], None]
"""Called with the stage, the fraction done of the whole in [0, 1], and numbers so far."""

_FEW_VALUES = 40


@dataclass(frozen=True)
class FitSettings:
    """How a bundle is fitted; the defaults suit tens of rows to a hundred thousand."""

    family: str = "lightgbm"
    seed: int = 0
    most_rounds: int = 600
    random_folds: int = 5
    grouped_folds: int = 3
    threads: int = 2
    tuned: Mapping[str, float] = field(default_factory=dict)
    """What a search found better than the defaults: values by the names of `TUNABLE`."""

    def __post_init__(self) -> None:
        """Raise InvalidInput for tuned values of what cannot be tuned."""
        for name in self.tuned:
            if name not in TUNABLE:
                why = f"{name!r} cannot be tuned; one of {', '.join(TUNABLE)}"
                raise InvalidInput([Violation("tuned", name, why)])


@dataclass(frozen=True)
class TrainingSet:
    """The rows of a snapshot, as the engine sees them."""

    schema: Schema
    input_map: InputMap
    inputs: Inputs
    sizes: tuple[int, ...]
    """The number of known values of each category."""
    metrics: Floats
    """[n, M], NaN where not measured."""

    @property
    def ids(self) -> tuple[int, ...]:
        """The categories that are groups of their own."""
        names = self.schema.category_names
        return tuple(names.index(g[0]) for g in self.schema.groups if len(g) == 1)

    @property
    def few_valued(self) -> tuple[int, ...]:
        """The categories of few values that requests name: no facts, and not derived."""
        sent = {f.name for f in self.schema.features if f.derive is None}
        names = enumerate(self.schema.category_names)
        return tuple(c for c, name in names if name in sent and self.sizes[c] <= _FEW_VALUES)

    @property
    def extrapolated(self) -> list[int]:
        """The numbers that may be asked beyond the data."""
        return [i for i, feature in enumerate(self._numbers) if feature.extrapolate]

    @property
    def _numbers(self) -> list[Feature]:
        return [f for f in self.schema.inputs if f.is_numeric]

    @cached_property
    def plan(self) -> Plan | None:
        """Which inputs say what runs and which say where, if there are enough of both."""
        # An interaction bends as it likes along what it goes by.
        apart = {*self.extrapolated, *(i for i, f in enumerate(self._numbers) if f.monotone)}
        return plan_interaction(self.schema, self.sizes, sorted(apart), self.inputs, seed=0)

    @property
    def pair(self) -> tuple[int, ...]:
        """The categories of the first group of several, which names a subject in a setting."""
        names = self.schema.category_names
        found = [group for group in self.schema.groups if len(group) > 1]
        return tuple(names.index(name) for name in found[0]) if found else ()

    @cached_property
    def maskable(self) -> tuple[int, ...]:
        """The ids with so many values that an unknown one is something to learn about."""
        # Of a catalog's names, the training may have seen a few.
        seen = {c: len(np.unique(self.inputs.codes[:, c])) for c in self.ids}
        # Where a pair names what runs where, other ids say more about one of the two, such as the
        # device of a platform: unknown without it, or known.
        ids = [c for c in self.ids if c in self.pair] or self.ids
        return tuple(c for c in ids if seen[c] >= FEW_LEVELS)
