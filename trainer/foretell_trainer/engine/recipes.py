"""The recipe of a metric: what its fits share, chosen by trials on rows and pairs left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foretell_trainer.engine.costs import Amounts, Costs, amounts_of, choose_amounts, fit_costs
from foretell_trainer.engine.families import family_of
from foretell_trainer.engine.floors import Parts, choose_parts, fit_parts
from foretell_trainer.engine.folds import grouped_folds, random_folds
from foretell_trainer.engine.growth import WORTHWHILE, choose_growth
from foretell_trainer.engine.inputs import Floats, InputMap, Inputs, Integers
from foretell_trainer.engine.linear import Layout, Restraint, fit_layout, fit_linear
from foretell_trainer.engine.location import FEW_ROWS, Recipe
from foretell_trainer.engine.monotone import Rule
from foretell_trainer.engine.plan import Plan
from foretell_trainer.engine.training_set import FitSettings, TrainingSet
from foretell_trainer.engine.trials import PairTrials, floor_of_settings

_FEWEST_FOR_PARTS = 100
_STRENGTHS = (10.0, 1.0, 0.1)
_FEW_SETTINGS = 40
"""Of fewer settings each is known by many subjects, and which are alike matters little."""


@dataclass(frozen=True)
class RecipeChoice:
    """What a recipe is chosen by: the rows of one metric, and what is known of them."""

    training: TrainingSet
    inputs: Inputs
    """Of the rows that have the metric."""
    target: Floats
    """[n]"""
    log: bool
    """Whether the target is in logs."""
    plan: Plan | None
    rules: tuple[Rule, ...]
    settings: FitSettings
    should_stop: Callable[[], bool]
    alone: bool
    """Whether no other metric shares the plan, so that its likeness may be learnt."""
    metric: int
    costs: Costs | None = None
    """What work costs, fitted to all rows, once it is chosen that it does."""

    def choose(self) -> Recipe:
        """Return the recipe that errs least on rows or pairs left out. Raises Cancelled."""
        amounts = self._amounts()
        if amounts is None:
            return self.beside_costs()
        costs = fit_costs(amounts, self.inputs, self.target)
        return replace(self, costs=costs).beside_costs()

    def beside_costs(self) -> Recipe:
        """Return the recipe for what the costs leave, if there are any. Raises Cancelled."""
        recipe = self._straight()
        return recipe if self.plan is None else self._meeting(recipe, self.plan)

    def _straight(self) -> Recipe:
        """Return the recipe without interactions."""
        amounts = None if self.costs is None else self.costs.amounts
        training, parts = self.training, None
        layout = replace(self._layout, strength=self._strength())
        if amounts is not None:
            # What subjects with their own effects leave to say to amounts is noise of few.
            layout = replace(layout, restraint=_restraint(amounts, training.input_map, layout))
        if self.log and layout.solver == "ridge" and len(self.target) >= _FEWEST_FOR_PARTS:
            layout, found = self._chosen_parts(layout)
            if found is not None:
                parts = self._started(found)
        return Recipe(
            inputs=training.input_map,
            layout=layout,
            parts=parts,
            plan=None,
            maskable=training.maskable,
            amounts=amounts,
            rules=self.rules,
            seed=self.settings.seed,
        )

    def _amounts(self) -> Amounts | None:
        """Return what work is paid for by its amounts, if that foretells new subjects better."""
        training, layout = self.training, self._layout
        if len(training.pair) != 2 or layout.solver != "ridge":
            return None
        found = amounts_of(training.schema, training.input_map, training.sizes, self.metric)
        if found is None or any(r.sign < 0 and r.number in found.numbers for r in self.rules):
            # What the schema says can only fall does not cost.
            return None
        subject = _owner(self.inputs, found.numbers, training.pair)
        (where,) = (member for member in training.pair if member != subject)
        return choose_amounts(
            replace(found, where=where),
            self.inputs,
            self.target,
            subject,
            (layout, replace(layout, restraint=_restraint(found, training.input_map, layout))),
            self.settings.seed,
            self.should_stop,
        )

    @property
    def _rest(self) -> Floats:
        """What costs leave of the target, [n]."""
        return self.target if self.costs is None else self.target - self.costs.predict(self.inputs)

    @property
    def _layout(self) -> Layout:
        training = self.training
        layout = fit_layout(training.sizes, training.inputs, training.ids, training.extrapolated)
        # Of few rows, the effect of an id in the base says more than what it shares with others.
        muted = (self.plan.subject,) if self.plan and len(self.target) >= FEW_ROWS else ()
        return replace(layout, solver=family_of(self.settings.family).base, muted=muted)

    def _meeting(self, recipe: Recipe, plan: Plan) -> Recipe:
        """Return the recipe with an interaction, and with what suits it best on new pairs."""
        learnt = self._learnt(recipe, plan)
        if recipe.parts is not None:
            parts = floor_of_settings(recipe.parts, plan, self.training.input_map)
            other = replace(recipe, parts=self._started(parts))
            its = self._learnt(other, plan)
            error = self._trials(plan, len(self.target)).error_of
            if error(replace(other, plan=its)) < error(replace(recipe, plan=learnt)):
                recipe, learnt = other, its
        many = len(self.target) >= FEW_ROWS and len(plan.category_values) >= _FEW_SETTINGS
        if self.alone and many:
            base = recipe.bare(self.inputs, self.target, self.should_stop)
            learnt = self._trials(plan).with_likeness(learnt, base)
        return replace(recipe, plan=learnt)

    def _started(self, parts: Parts) -> Parts:
        """Return the parts with a start for fits to some of the rows."""
        work = None if self.costs is None else self.costs.work(self.inputs)
        two = fit_parts(self.inputs, self.target, parts, self.should_stop, work)
        return replace(parts, start=two.weights)

    def _learnt(self, recipe: Recipe, plan: Plan) -> Plan:
        """Return the plan with what residuals of a recipe without one show of its likeness."""
        if not self.alone:
            return plan
        base = recipe.bare(self.inputs, self.target, self.should_stop)
        return plan.learnt(self.inputs, self.target, base.bend(self.inputs))

    def _trials(self, plan: Plan, *most: int) -> PairTrials:
        return PairTrials.of(
            self.inputs,
            self.target,
            plan.subject,
            self.training.pair,
            self.settings.seed,
            self.should_stop,
            *most,
        )

    def _chosen_parts(self, layout: Layout) -> tuple[Layout, Parts | None]:
        """Return the layout, with growths where they help, and the parts of the base if any."""
        seed, stop = self.settings.seed, self.should_stop
        # Of many rows the trees learn what saturates where.
        few = self.plan is not None and len(self.target) < FEW_ROWS
        bending = self.training.few_valued if few else ()
        parts, error = choose_parts(
            self.inputs, self.target, layout, seed, stop, self.costs, bending
        )
        logs = self.training.input_map.log_columns
        grown = choose_growth(self.inputs, self._rest, layout, logs, seed)
        if grown is layout:
            return layout, parts
        # What begins flat and then rises may be growth, or a floor: growth has to be better.
        also, left = choose_parts(self.inputs, self.target, grown, seed, stop, self.costs, bending)
        return (grown, also) if left < WORTHWHILE * error else (layout, parts)

    def _strength(self) -> float:
        """Return the strength of the base's penalties that errs least on held-out rows."""
        n = len(self.target)
        if "strength" in self.settings.tuned:
            return self.settings.tuned["strength"]
        # Many rows outweigh the penalties, and trying several costs seconds.
        if n >= FEW_ROWS or family_of(self.settings.family).learner is None:
            return self._layout.strength
        rng = np.random.default_rng(self.settings.seed + 1)
        folds = random_folds(n, 6, rng)
        if self.plan is not None:
            # What is best for rows at random is not what is best for pairs that are new.
            pairs = self.inputs.codes[:, list(self.training.pair)]
            folds = grouped_folds(np.unique(pairs, axis=0, return_inverse=True)[1], 6, rng)

        def error(strength: float) -> float:
            layout = replace(self._layout, strength=strength)
            errors = []
            for fold in range(3):
                kept, out = self.inputs.take(folds != fold), self.inputs.take(folds == fold)
                base = fit_linear(kept, self._rest[folds != fold], layout)
                errors.append(np.abs(self._rest[folds == fold] - base.predict(out)).mean())
            return float(np.mean(errors))

        return min(_STRENGTHS if self.plan is None else _STRENGTHS[1:], key=error)


def _owner(inputs: Inputs, numbers: Integers, pair: Sequence[int]) -> int:
    """Return the member of a pair whose values each have one amount of each kind, or the first."""
    for member in pair:
        _, place = np.unique(inputs.codes[:, member], return_inverse=True)
        place = place.reshape(-1)
        first = np.zeros(int(place.max()) + 1, np.int64)
        first[place] = np.arange(len(place))
        own = inputs.standard[:, numbers]
        if np.array_equal(own, own[first[place]]):
            return member
    return pair[0]


def _restraint(amounts: Amounts, inputs: InputMap, layout: Layout) -> Restraint:
    width, own = len(inputs.mean), amounts.numbers
    raw = width + np.flatnonzero(np.isin(inputs.log_columns, own))
    missing = width + len(inputs.log_columns) + np.flatnonzero(np.isin(layout.missing, own))
    return Restraint((), tuple(np.concatenate([own, raw, missing]).tolist()))
