"""Costs: what amounts of work take adds up, so a program never seen is known by its amounts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foretell.predictor import Predictor
from foretell.schema import Feature, Metric, Schema
from tests.unit.engine.synthetic import Workload

OPERATIONS, PROGRAMS, KNOWN, MACHINES = 6, 60, 48, 12
NOISE = 0.02

AMOUNTS = {
    "log1p": Feature(name="op", kind="number", amount="log1p"),
    "plain": Feature(name="op", kind="number", amount="plain", scale="log"),
}

Floats = NDArray[np.float64]


def _schema(amount: Feature) -> Schema:
    return Schema(
        workload="programs",
        features=(
            Feature(name="program", kind="category", required=True),
            Feature(name="machine", kind="category", required=True),
            Feature(name="runtime", kind="category"),
            *(amount.model_copy(update={"name": f"op{i}"}) for i in range(OPERATIONS)),
        ),
        metrics=(Metric(name="duration_s"),),
        groups=(("program",), ("machine",), ("program", "machine")),
    )


def _rows(
    chosen: NDArray[np.bool_], amounts: Floats, place: tuple[Any, Any]
) -> dict[str, list[Any]]:
    program, machine = (axis[chosen] for axis in place)
    rows: dict[str, list[Any]] = {
        "program": [f"program-{p}" for p in program],
        "machine": [f"machine-{m}" for m in machine],
        "runtime": [("interpreter", "compiler")[m % 2] for m in machine],
    }
    return rows | {f"op{i}": amounts[program, i].tolist() for i in range(OPERATIONS)}


@pytest.fixture(scope="module", params=AMOUNTS)
def programs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Predictor, dict[str, Any], Floats]:
    """A bundle of programs on machines of two runtimes, and programs that it never saw."""
    schema = _schema(AMOUNTS[request.param])
    rng = np.random.default_rng(3)
    counts = np.exp(rng.uniform(4, 14, (PROGRAMS, OPERATIONS)))
    amounts = np.log1p(counts) if request.param == "log1p" else counts
    prices = np.exp(rng.normal(-12, 1.5, (2, OPERATIONS)))
    speed, floor = np.exp(rng.normal(0, 0.5, MACHINES)), np.exp(rng.normal(-4, 0.5, MACHINES))
    places = np.meshgrid(range(PROGRAMS), range(MACHINES), indexing="ij")
    program, machine = (axis.ravel() for axis in places)
    work = (counts[program] * prices[machine % 2]).sum(axis=1)
    truth = speed[machine] * (work + floor[machine])
    seen, place = program < KNOWN, (program, machine)
    measured = truth[seen] * np.exp(rng.normal(0, NOISE, seen.sum()))
    folder = tmp_path_factory.mktemp("programs")
    Workload(schema, _rows(seen, amounts, place), measured[:, None]).train(folder)
    return Predictor.load(folder / "bundle", schema), _rows(~seen, amounts, place), truth[~seen]


def _median(predictor: Predictor, rows: dict[str, Any]) -> Floats:
    encoded, _ = predictor.encoder.encode_table(rows)
    return np.asarray(predictor.forecast(encoded).forecasts.median()[:, 0])


def test_a_program_never_seen_costs_what_its_operations_do(
    programs: tuple[Predictor, dict[str, Any], Floats],
) -> None:
    """The sum of what its operations cost on a machine is found, with the price of each runtime."""
    predictor, rows, truth = programs
    error = np.abs(np.log(_median(predictor, rows) / truth))
    assert np.median(error) < 0.1


def test_a_known_machine_said_to_be_of_another_kind_gets_an_answer(
    programs: tuple[Predictor, dict[str, Any], Floats],
) -> None:
    """Prices of one runtime and the floor of another make no logarithm of nothing."""
    predictor, rows, truth = programs
    swapped = {"interpreter": "compiler", "compiler": "interpreter"}
    rows = rows | {"runtime": [swapped[name] for name in rows["runtime"]]}
    found = _median(predictor, rows)
    assert np.isfinite(found).all()
    assert np.median(np.abs(np.log(found / truth))) < 3


def test_a_machine_never_seen_pays_the_prices_of_its_runtime(
    programs: tuple[Predictor, dict[str, Any], Floats],
) -> None:
    """How programs compare with one another on it is known, though not how fast it is."""
    predictor, rows, truth = programs
    rows = rows | {"machine": ["new"] * len(truth)}
    logs = np.log(_median(predictor, rows) / truth)
    machine = np.tile(np.arange(MACHINES), len(truth) // MACHINES)
    levels = np.array([np.median(logs[machine == m]) for m in range(MACHINES)])
    assert np.median(np.abs(logs - levels[machine])) < 0.15
