"""The location of a metric: the base, interactions beside it, and trees on what these leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from foretell.errors import Cancelled
from foretell_trainer.engine.costs import Amounts, Costs, fit_costs
from foretell_trainer.engine.floors import Parts, fit_parts
from foretell_trainer.engine.gated import Gate
from foretell_trainer.engine.inputs import Floats, InputMap, Inputs, Integers
from foretell_trainer.engine.interaction import Interaction, fit_interaction
from foretell_trainer.engine.linear import Layout, LinearModel, fit_linear
from foretell_trainer.engine.monotone import Rule, obeying
from foretell_trainer.engine.plan import Bend, Plan
from foretell_trainer.engine.trees import Singles, Trees

FEW_ROWS = 5000


@dataclass(frozen=True)
class Location:
    """The fitted location of one metric."""

    inputs: InputMap
    base: LinearModel
    interaction: Interaction | None = None
    parts: Parts | None = None
    floor: LinearModel | None = None
    """The second part of the base, where it has two."""
    costs: Costs | None = None
    """What work costs, beside which base and interaction say the rest."""
    trees: Trees | None = None
    gates: tuple[Gate, ...] = ()
    """The ids whose unknown values have trees of their own."""
    marks: LinearModel | None = None
    """Whose effects tell trees which value they see; the base's own where there is none."""

    def untreed(self, inputs: Inputs) -> Floats:
        """Return what base and interaction say of each row, [n]."""
        return self._so_far(inputs)[0]

    def features(self, inputs: Inputs) -> Singles:
        """Return what the trees see, float32: numbers, location so far, interaction, effects.

        Gates come last; [n, F + 1 + C + gates], and one more where there is an interaction.
        """
        found, own = self._so_far(inputs)
        columns = [found] if own is None else [found, own]
        parts = [self.inputs.for_trees(inputs), *(c[:, None] for c in columns)]
        gates = (gate.features(inputs)[:, None] for gate in self.gates)
        effects = (self.marks or self.base).effects_of(inputs.codes)
        return np.hstack([*parts, effects, *gates]).astype(np.float32)

    def predict(self, inputs: Inputs) -> Floats:
        """Return the location of each row, [n]."""
        found = self.untreed(inputs)
        return found if self.trees is None else found + self.trees.predict(self.features(inputs))

    def bend(self, inputs: Inputs) -> Bend:
        """Return how what is added to the base of these rows changes their location."""
        base = self._work(inputs)
        parts, floor = self.parts, self._floor(inputs)

        def bent(added: Floats) -> tuple[Floats, Floats]:
            work = base + added
            if parts is None or floor is None:
                return work, np.ones(len(work))
            return parts.combine(work, floor), parts.share(work, floor)

        return bent

    def _so_far(self, inputs: Inputs) -> tuple[Floats, Floats | None]:
        own = None if self.interaction is None else self.interaction.predict(inputs)
        work = self._work(inputs)
        work = work if own is None else work + own
        floor = self._floor(inputs)
        if self.parts is None or floor is None:
            return work, own
        return self.parts.combine(work, floor), own

    def _work(self, inputs: Inputs) -> Floats:
        """Return base and costs of each row, which have floors only where the base has not."""
        base = self.base.predict(inputs)
        if self.costs is None:
            return base
        return base + (self.costs.predict if self.parts is None else self.costs.work)(inputs)

    def _floor(self, inputs: Inputs) -> Floats | None:
        return None if self.floor is None else self.floor.predict(inputs)


@dataclass(frozen=True)
class Recipe:
    """What the fits of one metric share, whichever rows they see."""

    inputs: InputMap
    layout: Layout
    parts: Parts | None
    plan: Plan | None
    maskable: tuple[int, ...]
    """The ids that the trees see masked in some rows."""
    amounts: Amounts | None = None
    rules: tuple[Rule, ...] = ()
    """What the schema says of trends."""
    seed: int = 0

    def bare(
        self, inputs: Inputs, target: Floats, should_stop: Callable[[], bool] = lambda: False
    ) -> Location:
        """Fit the location without trees. Raises Cancelled."""
        if should_stop():
            raise Cancelled
        costs = None if self.amounts is None else fit_costs(self.amounts, inputs, target)
        if self.parts is None:
            rest = target if costs is None else target - costs.predict(inputs)
            base = fit_linear(inputs, rest, self.layout)
            found = Location(self.inputs, obeying(base, self.rules), costs=costs)
        else:
            work = None if costs is None else costs.work(inputs)
            two = fit_parts(inputs, target, self.parts, should_stop, work)
            base, floor = (obeying(part, self.rules) for part in (two.work, two.floor))
            found = Location(self.inputs, base, parts=self.parts, floor=floor, costs=costs)
        if self.plan is None:
            return found
        own = fit_interaction(self.plan, inputs, target, found.bend(inputs), should_stop)
        gates = [Gate.of(c, self.layout.sizes[c], inputs.codes[:, c]) for c in self.maskable]
        return replace(found, interaction=own, gates=tuple(gates))

    def within(self, standard: Floats) -> Recipe:
        """Return the same for fits to rows whose numbers [n, F] are all that is known."""
        ends = {"lowest": standard.min(axis=0), "highest": standard.max(axis=0)}
        parts = self.parts and replace(
            self.parts,
            work=replace(self.parts.work, **ends),
            floor=replace(self.parts.floor, **ends),
            start=None,
        )
        return replace(self, layout=replace(self.layout, **ends), parts=parts)


def known_codes(codes: Integers, kept: Integers) -> Integers:
    """Return the codes with the values that the kept rows do not have as unknown."""
    columns = [
        np.where(np.isin(codes[:, c], kept[:, c]), codes[:, c], -1) for c in range(codes.shape[1])
    ]
    return np.column_stack(columns) if columns else codes
