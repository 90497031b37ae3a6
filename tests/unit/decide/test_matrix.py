"""Matrices: the cells are those of the axes, in order, and what one prediction says of each."""

from __future__ import annotations

import itertools

import numpy as np

from foretell.decide import Axis, Bounds, Decider, Matrix
from foretell.parsing import Value
from tests.lab import HARDWARE


def test_every_cell_is_what_a_single_prediction_says(decider: Decider) -> None:
    """A slice of a matrix holds, cell by cell, the forecasts of its configurations."""
    axes = (Axis("hardware", HARDWARE), Axis("batch_size", (1.0, 8.0, 64.0)))
    plan = decider.matrix(Matrix(axes, {"compiled": True}))
    part = plan.answer(slice(2, 9))
    medians = part.prediction.forecasts.median()
    encoder, predictor = decider.predictor.encoder, decider.predictor
    cells = list(itertools.product(HARDWARE, (1.0, 8.0, 64.0)))[2:9]
    assert list(zip(part.keys["hardware"], part.keys["batch_size"], strict=True)) == cells
    for row, (hardware, batch) in enumerate(cells):
        item: dict[str, Value] = {"hardware": hardware, "batch_size": batch, "compiled": True}
        one = predictor.forecast(encoder.encode(item)).forecasts.median()
        np.testing.assert_allclose(medians[row], one[0], rtol=1e-9)


def test_slices_cover_all_cells_once(decider: Decider) -> None:
    """The slices of a large matrix follow one another from the first cell to the last."""
    sizes = tuple(float(i) for i in range(1, 4001))
    plan = decider.matrix(Matrix((Axis("hardware", HARDWARE), Axis("batch_size", sizes))))
    assert plan.cells == 16_000
    bounds = [(part.start, part.stop) for part in plan.slices]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == plan.cells
    assert all(a[1] == b[0] for a, b in itertools.pairwise(bounds))


def test_the_size_that_is_allowed_is_a_setting(decider: Decider) -> None:
    """A decider takes matrices up to its own bound."""
    small = Decider(decider.predictor, Bounds(cells=8))
    axes = (Axis("hardware", HARDWARE), Axis("batch_size", (1.0, 2.0)))
    assert small.matrix(Matrix(axes)).cells == 8
