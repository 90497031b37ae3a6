"""What forecasts are worth to a scheduler, replayed on the tasks of `wasm_tasks`.

    python -m benchmarks.scheduling --data DIR [--seeds N]

Every task is estimated by what was fitted without it (five folds). One node with slots takes
tasks as they come; policies use the truth, Foretell, a constant per function, or the notebook's
SGD. Then nodes are filled with tasks up to a risk of 1 % that their memory overflows.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.datasets import DATA_SETS, load
from benchmarks.scheduling.packing import Packed, fillers, pack, size
from benchmarks.scheduling.simulate import (
    Outcome,
    Policy,
    Workload,
    by_forecast,
    by_point,
    draw,
    earliest_feasible,
    first_come,
    replay,
    shortest,
)
from benchmarks.scheduling.tasks import DURATION, Estimates, Tasks, held_out_tasks
from foretell.decide.outcomes import Strata

COUNT = 2000
SLOTS = 4


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--seeds", default=10, show_default=True, help="How many replays.")
@click.option("--load", "load_", default=0.85, show_default=True, help="Load of the node.")
@click.option("--folds", default=5, show_default=True, help="Folds to take tasks from, at most.")
@click.option("--threads", default=2, show_default=True, help="Threads of LightGBM.")
def main(data: Path, seeds: int, load_: float, folds: int, threads: int) -> None:
    """Print both tables."""
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        loaded = load(DATA_SETS["wasm_tasks"], data, Path(scratch))
        tasks = held_out_tasks(loaded, threads, folds)
        strata = Strata(loaded.schema)
    _print_replays(console, tasks, seeds, load_)
    _print_sizes(console, tasks, strata, 300 * seeds)
    _print_packing(console, tasks, strata, seeds)


def _print_replays(console: Console, tasks: Tasks, seeds: int, load_: float) -> None:
    table = Table(title=f"{seeds} replays of {COUNT} tasks, {SLOTS} slots, load {load_:g}")
    for heading in (
        "policy",
        "estimates",
        "mean slowdown",
        "against the truth",
        "deadlines missed",
    ):
        table.add_column(heading, justify="left" if heading in ("policy", "estimates") else "right")
    found: dict[tuple[str, str], list[Outcome]] = {}
    for seed in range(seeds):
        work = draw(tasks.duration_s, COUNT, SLOTS, load_, seed)
        found.setdefault(("first come", "none"), []).append(replay(work, SLOTS, first_come))
        for one in tasks.estimates:
            predicted = one.duration_s[work.task]
            key = ("shortest predicted first", one.name)
            found.setdefault(key, []).append(replay(work, SLOTS, shortest(predicted)))
            key = ("earliest feasible deadline", one.name)
            found.setdefault(key, []).append(replay(work, SLOTS, _deadlines(work, one)))
    oracle: dict[str, float] = {}
    for (policy, name), outcomes in sorted(found.items(), key=lambda entry: entry[0][0]):
        slowdown = float(np.mean([o.mean_slowdown for o in outcomes]))
        oracle.setdefault(policy, slowdown)  # the truth is the first of each policy
        late = float(np.mean([o.late for o in outcomes]))
        ratio = f"{slowdown / oracle[policy]:.3f}" if name != "none" else ""
        table.add_row(policy, name, f"{slowdown:.2f}", ratio, f"{late:.1%}")
    console.print(table)


def _deadlines(work: Workload, one: Estimates) -> Policy:
    if one.forecasts is not None:
        return earliest_feasible(work, by_forecast(work, one.forecasts, DURATION))
    return earliest_feasible(work, by_point(work, one.duration_s[work.task]))


def _print_sizes(console: Console, tasks: Tasks, strata: Strata, sets: int) -> None:
    table = Table(title=f"memory reserved for {sets} sets of tasks that run together, risk 1 %")
    for heading in ("estimates", "tasks", "overflow", "unused / used", "against max"):
        table.add_column(heading, justify="left" if heading == "estimates" else "right")
    for together in (4, 8, 16, 32):
        found = {
            one.name: size(one, tasks.memory_kb, together, sets, strata)
            for one in tasks.estimates
            if one.name != "the truth"
        }
        most = found["a constant per function"].waste
        for name, sized in found.items():
            ratio = f"{sized.waste / most:.2f}"
            row = (f"{sized.overflow:.2%}", f"{sized.waste:.1%}", ratio)
            table.add_row(name, str(together), *row)
    console.print(table)


def _print_packing(console: Console, tasks: Tasks, strata: Strata, seeds: int) -> None:
    table = Table(title="nodes of 1 GB filled with tasks, risk 1 %")
    for heading in (
        "estimates",
        "nodes",
        "tasks per node",
        "overflow",
        "left unused",
        "against max",
    ):
        table.add_column(heading, justify="left" if heading == "estimates" else "right")
    found: dict[str, list[Packed]] = {}
    for seed in range(4 * seeds):
        order = np.random.default_rng((7, seed)).permutation(len(tasks)).tolist()
        for name, filler in fillers(tasks.estimates, strata).items():
            found.setdefault(name, []).append(pack(order, filler, tasks.memory_kb))
    most = np.mean([p.waste for p in found["a constant per function"]])
    for name, packed in found.items():
        waste = float(np.mean([p.waste for p in packed]))
        nodes = sum(p.nodes for p in packed)
        overflow = sum(p.overflow * p.nodes for p in packed) / nodes
        each = float(np.mean([p.tasks_per_node for p in packed]))
        ratio = waste / most
        table.add_row(
            name, str(nodes), f"{each:.1f}", f"{overflow:.2%}", f"{waste:.1%}", f"{ratio:.2f}"
        )
    console.print(table)


if __name__ == "__main__":
    main()
