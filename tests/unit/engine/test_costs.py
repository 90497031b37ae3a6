"""Costs: what amounts of work take adds up, so a program never seen is known by its amounts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from foretell.predictor import Predictor
from foretell.schema import Feature, Metric, Schema
from foretell_trainer.updating import Base, update_bundle
from tests.unit.engine.synthetic import QUICK, Workload

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


@dataclass(frozen=True)
class Programs:
    """Programs on machines of two runtimes, and what each takes."""

    schema: Schema
    amounts: Floats
    """[programs, operations], as the schema has them."""
    program: NDArray[np.int64]
    machine: NDArray[np.int64]
    truth: Floats
    measured: Floats

    @classmethod
    def of(cls, amount: Feature) -> Programs:
        """Make them up: prices of each runtime, a speed and a floor of each machine."""
        rng = np.random.default_rng(3)
        counts = np.exp(rng.uniform(4, 14, (PROGRAMS, OPERATIONS)))
        # An update takes nothing that is beyond what was known.
        counts[KNOWN:] = np.clip(counts[KNOWN:], counts[:KNOWN].min(0), counts[:KNOWN].max(0))
        prices = np.exp(rng.normal(-12, 1.5, (2, OPERATIONS)))
        speed, floor = np.exp(rng.normal(0, 0.5, MACHINES)), np.exp(rng.normal(-4, 0.5, MACHINES))
        places = np.meshgrid(range(PROGRAMS), range(MACHINES), indexing="ij")
        program, machine = (axis.ravel() for axis in places)
        work = (counts[program] * prices[machine % 2]).sum(axis=1)
        truth = speed[machine] * (work + floor[machine])
        measured = truth * np.exp(rng.normal(0, NOISE, len(truth)))
        amounts = np.log1p(counts) if amount.amount == "log1p" else counts
        return cls(_schema(amount), amounts, program, machine, truth, measured)

    def rows(self, chosen: NDArray[np.bool_]) -> dict[str, list[Any]]:
        """Return the features of some rows."""
        program, machine = self.program[chosen], self.machine[chosen]
        rows: dict[str, list[Any]] = {
            "program": [f"program-{p}" for p in program],
            "machine": [f"machine-{m}" for m in machine],
            "runtime": [("interpreter", "compiler")[m % 2] for m in machine],
        }
        return rows | {f"op{i}": self.amounts[program, i].tolist() for i in range(OPERATIONS)}

    def workload(self, chosen: NDArray[np.bool_]) -> Workload:
        """Return some rows, measured."""
        return Workload(self.schema, self.rows(chosen), self.measured[chosen][:, None])


@pytest.fixture(scope="module", params=AMOUNTS)
def programs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Predictor, dict[str, Any], Floats]:
    """A bundle of programs on machines of two runtimes, and programs that it never saw."""
    made = Programs.of(AMOUNTS[request.param])
    seen = made.program < KNOWN
    folder = tmp_path_factory.mktemp("programs")
    made.workload(seen).train(folder)
    predictor = Predictor.load(folder / "bundle", made.schema)
    return predictor, made.rows(~seen), made.truth[~seen]


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


def test_where_no_machine_is_named_the_prices_of_the_runtime_are_paid(tmp_path: Path) -> None:
    """Runs of one runtime that never say on which machine they were are fitted as well."""
    made = Programs.of(AMOUNTS["log1p"])
    everything = np.ones(len(made.program), bool)
    known = made.workload(everything)
    named = [m if r == "compiler" else None for m, r in _pairs(known)]
    optional = made.schema.features[1].model_copy(update={"required": False})
    features = (made.schema.features[0], optional, *made.schema.features[2:])
    schema = made.schema.model_copy(update={"features": features})
    Workload(schema, {**known.features, "machine": named}, known.metrics).train(tmp_path)
    found = _median(Predictor.load(tmp_path / "bundle", schema), made.rows(everything))
    compiled = made.machine % 2 == 1
    assert np.median(np.abs(np.log(found / made.truth))[compiled]) < 0.05


def _pairs(known: Workload) -> list[tuple[str, str]]:
    return list(zip(known.features["machine"], known.features["runtime"], strict=True))


def test_costs_are_kept_by_an_update(tmp_path: Path) -> None:
    """A bundle that goes on with programs and machines that are new knows their prices."""
    made = Programs.of(AMOUNTS["log1p"])
    old = (made.program < KNOWN) & (made.machine < MACHINES - 2)
    made.workload(old).train(tmp_path / "old")
    order = np.argsort(~old, kind="stable")
    mixed = replace(
        made,
        program=made.program[order],
        machine=made.machine[order],
        truth=made.truth[order],
        measured=made.measured[order],
    )
    rows = mixed.workload(np.ones(len(order), bool)).snapshot(tmp_path / "all")
    base = Base(tmp_path / "old" / "bundle", np.arange(len(order)) >= old.sum())
    update_bundle(made.schema, rows, (), tmp_path / "new", base, QUICK)
    found = _median(Predictor.load(tmp_path / "new", made.schema), made.rows(~old))
    assert np.median(np.abs(np.log(found / made.truth[~old]))) < 0.05


def test_what_can_only_fall_is_no_cost(tmp_path: Path) -> None:
    """A trend that the schema declares holds for amounts of work as well, whatever the data."""
    made = Programs.of(
        AMOUNTS["log1p"].model_copy(update={"monotone": {"duration_s": "decreasing"}})
    )
    everything = np.ones(len(made.program), bool)
    made.workload(everything).train(tmp_path)
    rows = {name: values[:1] * 20 for name, values in made.rows(everything).items()}
    rows["op0"] = np.linspace(made.amounts[:, 0].min(), made.amounts[:, 0].max(), 20).tolist()
    found = np.log(_median(Predictor.load(tmp_path / "bundle", made.schema), rows))
    assert (np.diff(found) <= 1e-6).all()


def test_a_machine_known_by_two_runs_is_not_all_floor(tmp_path: Path) -> None:
    """Two runs of large programs say how fast a machine is, not that small ones take as long."""
    made = Programs.of(AMOUNTS["log1p"])
    new = made.machine == MACHINES - 1
    of_new = np.flatnonzero(new)[np.argsort(made.truth[new])]
    known = ~new
    known[of_new[-2:]] = True
    made.workload(known).train(tmp_path)
    predictor = Predictor.load(tmp_path / "bundle", made.schema)
    small = np.isin(np.arange(len(made.truth)), of_new[: PROGRAMS // 3])
    error = np.abs(np.log(_median(predictor, made.rows(small)) / made.truth[small]))
    assert made.truth[small].max() < 0.3 * made.truth[of_new[-2]]
    assert np.median(error) < 0.5
