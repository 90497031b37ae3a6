"""Prequential evaluation: predict each row, then learn it; never the other way round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foretell.errors import Cancelled, InvalidInput
from foretell_trainer.prequential import Point, replay
from foretell_trainer.snapshot import Columns, read_snapshot
from tests.unit.engine.synthetic import QUICK
from tests.unit.engine.test_training import schema, workload

ROWS, EVERY = 260, 50
FAMILIES = ("sgd", "ridge", "lightgbm")


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> Columns:
    """Rows of twelve tasks that follow a power law, one second after the other."""
    return read_snapshot(workload(ROWS).snapshot(tmp_path_factory.mktemp("rows")), schema())


def curve(columns: Columns, family: str = "sgd", every: int = EVERY) -> list[Point]:
    """Return the learning curve of a family."""
    settings = replace(QUICK, family=family)
    return list(replay(schema(), columns, (), settings, every=every))


def test_each_row_is_predicted_once(curves: dict[str, list[Point]]) -> None:
    """After the first rows, each one counts once; the last point may have fewer rows."""
    points = curves["sgd"]
    assert [point.learnt for point in points] == [50, 100, 150, 200, 250]
    assert [point.last["seconds"].rows for point in points] == [50, 50, 50, 50, 10]
    assert [point.so_far["seconds"].rows for point in points] == [50, 100, 150, 200, 210]
    assert [point.predicted for point in points] == [50, 100, 150, 200, 210]


@pytest.fixture(scope="module")
def curves(columns: Columns) -> dict[str, list[Point]]:
    """The learning curve of each family."""
    return {family: curve(columns, family) for family in FAMILIES}


@pytest.mark.parametrize("family", ["sgd", "ridge"])
def test_what_comes_later_changes_nothing(
    columns: Columns, curves: dict[str, list[Point]], family: str
) -> None:
    """The curve of the first rows is the same, whatever follows them."""
    assert curve(columns.take(np.arange(150)), family) == curves[family][:2]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns(curves: dict[str, list[Point]], family: str) -> None:
    """On a law that holds, fits are near the noise at once, and steps come down to it."""
    points = curves[family]
    first, last = points[0].last["seconds"], points[3].last["seconds"]
    assert last.mape < (0.9 * first.mape if family == "sgd" else 0.2)
    assert last.nrmse < 1.0


def test_rows_are_taken_in_time(columns: Columns, curves: dict[str, list[Point]]) -> None:
    """The order of the file does not matter where rows have times."""
    order = np.random.default_rng(1).permutation(ROWS)
    assert curve(columns.take(order)) == curves["sgd"]


def test_steps_follow_a_change_sooner_than_fits(columns: Columns) -> None:
    """When all work takes ten times as long from some row on, steps adapt within a block."""
    metrics = columns.metrics.copy()
    metrics[100:] *= 10
    changed = replace(columns, metrics=metrics)
    by_step, by_fit = (curve(changed, family)[1].last["seconds"] for family in ("sgd", "ridge"))
    assert by_step.mape < 0.97 * by_fit.mape


def test_a_metric_that_was_not_measured_has_no_score(columns: Columns) -> None:
    """Rows without a value are neither scored nor learnt from."""
    metrics = columns.metrics.copy()
    metrics[60:110] = np.nan
    points = curve(replace(columns, metrics=metrics))
    assert points[0].last["seconds"].rows == 10
    assert points[1].last["seconds"].rows == 40


def test_too_few_rows_are_refused(columns: Columns) -> None:
    """There must be rows to learn from, and rows to predict."""
    with pytest.raises(InvalidInput, match="5 rows are too few"):
        curve(columns, every=5)
    with pytest.raises(InvalidInput, match="260 rows are all learnt from"):
        curve(columns, every=260)


def test_a_replay_stops_when_asked(columns: Columns) -> None:
    """Asked to stop, it raises Cancelled before the next block."""
    asked = iter([False, True])
    steps = replay(schema(), columns, (), QUICK, every=EVERY, should_stop=lambda: next(asked, True))
    with pytest.raises(Cancelled):
        list(steps)
