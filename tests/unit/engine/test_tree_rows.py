"""What trees learn from, and which subjects are kin: without a fit, so that it costs nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from foretell.schema import Feature, Metric, Schema
from foretell_trainer.engine.inputs import Inputs
from foretell_trainer.engine.linear import Layout, fit_linear
from foretell_trainer.engine.plan import Plan, plan_interaction
from foretell_trainer.engine.tree_rows import TreeRows, alike_in_size, joined

MODELS, HARDWARE = 40, 20


def rows(spread: float, count: int = 4000) -> TreeRows:
    """Residuals of a kind of folds that errs by so much."""
    rng = np.random.default_rng(2)
    residual = rng.normal(0, spread, count)
    return TreeRows(np.arange(count), np.zeros(count, bool), np.zeros((count, 1), "f4"), residual)


def test_cold_kinds_count_by_the_squares_of_their_errors() -> None:
    """Of a cold kind with twice the errors a quarter is drawn, and of none too few."""
    kinds = [rows(1.0), rows(0.2), rows(0.1), rows(0.05)]
    cold = [True, True, False, False]
    few, half, warm, warmer = alike_in_size(kinds, cold, np.random.default_rng(0))
    assert len(warmer.row) == 4000
    assert len(warm.row) == 4000
    assert len(half.row) == pytest.approx(1000, rel=0.15)
    assert len(few.row) == pytest.approx(400, rel=0.2)
    assert len(joined([few, half, warm]).row) == len(few.row) + len(half.row) + len(warm.row)


def test_outliers_are_brought_nearer_for_the_trees() -> None:
    """A residual a hundred times the median is learned from as one that is a dozen times it."""
    wild = rows(0.1)
    wild.residual[7] = 50.0
    (tamed,) = alike_in_size([wild], [False], np.random.default_rng(0))
    assert tamed.residual[7] == pytest.approx(12 * np.median(np.abs(wild.residual)))
    others = np.arange(4000) != 7
    np.testing.assert_array_equal(tamed.residual[others], wild.residual[others])


def grid() -> Inputs:
    """Models with a number each, the first two the same, on hardware."""
    model, hardware = (a.ravel() for a in np.indices((MODELS, HARDWARE)))
    sizes = np.linspace(-2, 2, MODELS)
    sizes[1] = sizes[0]
    standard = sizes[model][:, None]
    codes = np.column_stack([model, hardware])
    nothing = np.zeros((len(model), 0))
    return Inputs(standard, nothing, np.zeros(standard.shape, bool), codes, 0 * standard)


def plan_of(inputs: Inputs) -> Plan:
    """The plan of models on hardware."""
    schema = Schema(
        workload="kin",
        features=(
            Feature(name="model", kind="category", required=True),
            Feature(name="hardware", kind="category", required=True),
            Feature(name="size", kind="number"),
        ),
        metrics=(Metric(name="latency_ms"),),
        groups=(("model",), ("hardware",), ("model", "hardware")),
    )
    plan = plan_interaction(schema, (MODELS + 1, HARDWARE), [], inputs, seed=0)
    assert plan is not None
    return plan


def test_subjects_of_the_same_numbers_are_kin() -> None:
    """Kinship is whole for equal numbers, falls with the distance, and is none for no rows."""
    inputs = grid()
    kinship = plan_of(inputs).kinship(inputs)
    assert kinship is not None
    assert kinship[0, 1] == pytest.approx(kinship[0, 0])
    assert kinship[0, 1] > kinship[0, 5] > kinship[0, 20]
    assert kinship[0, 20] < 0.01 * kinship[0, 0]
    np.testing.assert_array_equal(kinship[MODELS], np.zeros(MODELS + 1))
    assert np.linalg.eigvalsh(kinship).min() > -1e-9


def effects(inputs: Inputs, codes: list[list[int]]) -> NDArray[np.float64]:
    """The effects of some values by a base in which the models' are muted."""
    ends = (np.full(1, -2.0), np.full(1, 2.0))
    layout = Layout((MODELS + 1, HARDWARE), np.zeros(0, np.int64), (), *ends, muted=(0,))
    target = np.sin(np.arange(len(inputs)))
    return fit_linear(inputs, target, layout).effects_of(np.array(codes))


def test_a_muted_value_without_rows_differs_from_one_with_rows() -> None:
    """Trees can tell by a muted effect whether there were rows, and the base hardly does."""
    found = effects(grid(), [[3, 0], [5, 0], [MODELS, 0], [-1, 0]])[:, 0]
    assert found[0] == found[1] > 0
    assert found[2] == found[3] == 0
    assert np.abs(found).max() < 1e-5
