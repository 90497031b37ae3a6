"""Measuring a sweep of WebAssembly runs on this machine within a budget of seconds."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from foretell.errors import InvalidInput, Violation
from foretell.measure.configuration import Configuration
from foretell.measure.measurements import Cell, Measurement, Measurements
from foretell.measure.nodes import DEFAULT_NODES, machine_facts, node_named
from foretell.measure.plan import Lengths, pace_of, probe_plan, sweep_plan
from foretell.measure.runner import run_all
from foretell.measure.tasks import TASKS, Task, compile_text, task_named
from foretell.measure.wasm_features import features_of

OnProgress = Callable[[int, int, Measurement], None]
"""Called after every run with: runs done, runs expected within the budget, and the latest one.
What is expected is corrected with every run; of a plan it is just its length."""

TIMEOUT_S = 10.0
LONGER = 20
"""How many times its budget a sweep takes at most when it has too few runs."""


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """How a sweep is measured; the parameters of `measure_wasm` under the same names."""

    budget_s: float
    repeats: int
    seed: int
    parallel: int
    timeout_s: float
    shortest_s: float
    longest_s: float
    fewest_runs: int

    def __post_init__(self) -> None:
        checks = {
            "budget_s": (self.budget_s > 0, "must be more than 0 seconds"),
            "repeats": (self.repeats >= 1, "must be 1 or more"),
            "fewest_runs": (self.fewest_runs >= 0, "must be 0 or more"),
            "parallel": (self.parallel >= 1, "must be 1 or more"),
            "timeout_s": (self.timeout_s > 0, "must be more than 0 seconds"),
            "shortest_s": (self.shortest_s > 0, "must be more than 0 seconds"),
            "longest_s": (self.longest_s > self.shortest_s, "must be more than shortest_s"),
        }
        wrong = [
            Violation(name, str(getattr(self, name)), f"{getattr(self, name)} {rule}")
            for name, (holds, rule) in checks.items()
            if not holds
        ]
        if wrong:
            raise InvalidInput(wrong)


def measure_wasm(
    budget_s: float = 30.0,
    *,
    tasks: Sequence[str] | None = None,
    nodes: Sequence[str] | None = None,
    repeats: int = 1,
    seed: int = 0,
    parallel: int = 1,
    timeout_s: float = TIMEOUT_S,
    shortest_s: float = 0.001,
    longest_s: float = 1.0,
    fewest_runs: int = 0,
    on_progress: OnProgress | None = None,
) -> Measurements:
    """Measures tasks on nodes, one fresh process per run, for at most `budget_s` seconds.

    First, one run per task and node finds out how fast this machine is; these runs count. Then
    arguments are chosen so that runs take from `shortest_s` to `longest_s`. A run that takes
    longer than `timeout_s` is ended and kept as censored. The budget is what ends a sweep: what
    was measured until then is returned, what is running is dropped. When it was too short to try
    each task on each node once, `about["pairs_measured"]` is less than `about["pairs"]`.

    `parallel` runs share the machine. On two cores beside another busy process, repeats of one
    configuration lay 5 % apart at 1, and 12 to 35 % at 2; on an idle machine 2 gives nearly
    twice as many runs. Forecasts of runs hold for runs that are measured in the same way.

    A sweep that has completed less than `fewest_runs` when its budget is over, because the
    machine is slow or busy, goes on for up to twenty times the budget.

    Raises `InvalidInput` for numbers that make no sense, `NotFound` for unknown tasks or nodes,
    `Unavailable` when wasmtime is not installed.
    """
    settings = SweepSettings(
        budget_s, repeats, seed, parallel, timeout_s, shortest_s, longest_s, fewest_runs
    )
    chosen_tasks = [task_named(name) for name in _some("tasks", tasks, tuple(TASKS))]
    chosen_nodes = [node_named(name) for name in _some("nodes", nodes, DEFAULT_NODES)]
    sweep = _Sweep(settings, on_progress)

    sweep.run(probe_plan(chosen_tasks, chosen_nodes, seed))
    lengths = Lengths(shortest_s, longest_s)
    sweep.run(sweep_plan(pace_of(sweep.done), lengths, repeats=repeats, seed=seed))

    measured = Measurements(
        runs=tuple(sweep.done),
        functions=tuple(_function_row(task) for task in chosen_tasks),
        nodes=tuple(node.facts() for node in chosen_nodes),
        about={},
    )
    pairs = len(chosen_tasks) * len(chosen_nodes)
    return replace(measured, about=sweep.about(pairs, measured.repeat_noise()))


def run_one(task: str, argument: int, node: str, *, timeout_s: float = TIMEOUT_S) -> Measurement:
    """Runs one task once in a fresh process, by the names of the task and the node."""
    return run_plan([Configuration.of(task, argument, node)], timeout_s=timeout_s)[0]


def run_plan(
    plan: Iterable[Configuration],
    *,
    parallel: int = 1,
    timeout_s: float = TIMEOUT_S,
    on_progress: OnProgress | None = None,
) -> list[Measurement]:
    """Runs all of a plan, such as that of `held_out_plan`; one measurement per configuration.

    With `parallel` above 1 they come in the order in which they ended.
    """
    configurations = list(plan)
    done: list[Measurement] = []
    for measurement in run_all(configurations, timeout_s=timeout_s, parallel=parallel):
        done.append(measurement)
        if on_progress is not None:
            on_progress(len(done), len(configurations), measurement)
    return done


@dataclass(slots=True)
class _Sweep:
    """A sweep while it is measured."""

    settings: SweepSettings
    on_progress: OnProgress | None
    done: list[Measurement] = field(default_factory=list)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.monotonic)

    def run(self, plan: Iterable[Configuration]) -> None:
        """Runs what fits into the budget."""
        settings = self.settings
        for measurement in run_all(
            plan,
            timeout_s=settings.timeout_s,
            parallel=settings.parallel,
            stop_at=self._ends_at,
        ):
            self.done.append(measurement)
            if self.on_progress is not None:
                self.on_progress(len(self.done), self._expected(), measurement)

    def _ends_at(self) -> float:
        completed = sum(run.outcome == "completed" for run in self.done)
        budgets = 1 if completed >= self.settings.fewest_runs else LONGER
        return self.started + budgets * self.settings.budget_s

    def _expected(self) -> int:
        """How many runs there will be, if they go on as they did."""
        elapsed_s = time.monotonic() - self.started
        return max(len(self.done), round(len(self.done) * self.settings.budget_s / elapsed_s))

    def about(self, pairs: int, repeat_noise: float | None) -> dict[str, Any]:
        """Where the numbers come from, for `about.json`."""
        return {
            "what": "WebAssembly tasks that really ran on this machine; nothing is simulated",
            "simulated": False,
            "started_at": self.started_at.isoformat(),
            "finished_at": datetime.now(UTC).isoformat(),
            "machine": {**machine_facts(), "system": platform.platform()},
            "python_version": platform.python_version(),
            "settings": asdict(self.settings),
            "pairs": pairs,
            "pairs_measured": len({(run.function, run.node) for run in self.done}),
            "runs": len(self.done),
            "outcomes": dict(Counter(run.outcome for run in self.done)),
            "repeat_noise": repeat_noise,
        }


def _some(field: str, names: Sequence[str] | None, default: Sequence[str]) -> Sequence[str]:
    if names is None:
        return default
    if not names:
        raise InvalidInput([Violation(field, "", "must name one or more, or be left out for all")])
    return tuple(dict.fromkeys(names))


def _function_row(task: Task) -> dict[str, Cell]:
    return {"function": task.name, **features_of(compile_text(task.path)).as_row()}
