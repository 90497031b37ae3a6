"""Trials on pairs left out: what is chosen by them forecasts new pairs better."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from foretell.schema import Feature, Metric, Schema
from foretell_trainer.engine.fitting import locate
from foretell_trainer.engine.inputs import Inputs
from foretell_trainer.engine.interaction import fit_interaction
from foretell_trainer.engine.likeness import Term
from foretell_trainer.engine.location import Location
from foretell_trainer.engine.plan import Plan
from foretell_trainer.engine.training_set import FitSettings, TrainingSet
from foretell_trainer.engine.trials import PairTrials
from foretell_trainer.prepared import Prepared
from tests.unit.engine.synthetic import Workload

PROGRAMS, ENGINES, CHIPS = 50, 4, 12
MACHINES = ENGINES * CHIPS
NOISE = 0.03

SCHEMA = Schema(
    workload="programs",
    features=(
        Feature(name="program", kind="category", required=True),
        Feature(name="machine", kind="category", required=True),
        Feature(name="engine", kind="category"),
        Feature(name="chip", kind="category"),
    ),
    metrics=(Metric(name="runtime_ms"),),
    groups=(("program",), ("machine",), ("program", "machine")),
)


@dataclass(frozen=True)
class Measured:
    """Half of all programs on all machines as a training set, and the other half."""

    training: TrainingSet
    unseen: Inputs
    truth: NDArray[np.float64]
    """[n], in logs."""

    def error(self, location: Location) -> float:
        """Return the median error of the unseen pairs, in logs."""
        return float(np.median(np.abs(location.untreed(self.unseen) - self.truth)))


def measured(folder: Path, starts: float) -> Measured:
    """Programs like engines and chips; on top comes what it takes to start on a machine.

    What a program has of a chip it has under all engines, and the other way round: two machines
    are alike by the one or by the other, not by names.
    """
    rng = np.random.default_rng(11)
    program, machine = (a.ravel() for a in np.indices((PROGRAMS, MACHINES)))
    engine, chip = machine % ENGINES, machine // ENGINES
    liking = 0.4 * rng.normal(size=(PROGRAMS, ENGINES)), 0.4 * rng.normal(size=(PROGRAMS, CHIPS))
    work = rng.normal(2, 1, PROGRAMS)[program] + rng.normal(0, 0.5, MACHINES)[machine]
    work += liking[0][program, engine] + liking[1][program, chip]
    start = starts * np.exp(rng.normal(0, 1.0, MACHINES))[machine]
    truth = np.log(np.exp(work) + start)
    seen = rng.random(len(truth)) < 0.5
    rows = {
        "program": [f"p{p}" for p in program],
        "machine": [f"m{m}" for m in machine],
        "engine": [f"e{e}" for e in engine],
        "chip": [f"c{c}" for c in chip],
    }
    values = np.exp(truth + rng.normal(0, NOISE, len(truth)))[:, None]
    whole = Workload(SCHEMA, rows, values).snapshot(folder)
    training = Prepared.of(SCHEMA, whole, ()).training
    return Measured(
        replace(
            training,
            inputs=training.inputs.take(np.flatnonzero(seen)),
            metrics=training.metrics[seen],
        ),
        training.inputs.take(np.flatnonzero(~seen)),
        truth[~seen],
    )


def test_a_floor_of_machines_leaves_the_work_to_the_interaction(tmp_path: Path) -> None:
    """Where starting takes long on some machines, what a program likes is found below that."""
    seen = measured(tmp_path, starts=8.0)
    location, _ = locate(seen.training, 0, FitSettings(threads=1, random_folds=2, grouped_folds=2))
    assert location.floor is not None
    programs = location.floor.effects[0]
    assert np.abs(programs).max() < 0.05
    # 0.137 with a floor in which programs have a part.
    assert seen.error(location) < 0.132


def test_likeness_that_was_tried_forecasts_new_pairs_better(tmp_path: Path) -> None:
    """Weights that err less on some pairs left out err less on others, too."""
    seen = measured(tmp_path, starts=0.0)
    training, target = seen.training, np.log(seen.training.metrics[:, 0])
    plan = training.plan
    assert plan is not None
    location, _ = locate(training, 0, FitSettings(threads=1, random_folds=2, grouped_folds=2))
    base = replace(location, interaction=None, trees=None)
    plan = replace(plan, terms=(Term((), weight=0.9), Term((0, 1, 2), weight=0.1)))
    trials = PairTrials.of(
        training.inputs, target, plan.subject, training.pair, 0, should_stop=lambda: False
    )
    tried = trials.with_likeness(plan, base)
    assert sum(term.weight for term in tried.terms) == pytest.approx(1.0)

    def error(own: Plan) -> float:
        found = fit_interaction(own, training.inputs, target, base.bend(training.inputs))
        return seen.error(replace(base, interaction=found))

    assert error(tried) < 0.8 * error(plan)
