"""Choosing what to run: the probes, the sweep, and the held-out configurations.

Everything is random from a seed and in random order, so that the machine getting warmer or
busier with time does not look like an effect of a feature.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from foretell.errors import InvalidInput, Violation
from foretell.measure.configuration import Configuration
from foretell.measure.measurements import Measurement, Measurements
from foretell.measure.nodes import Node, node_named
from foretell.measure.tasks import Task, task_named

Cell = tuple[Task, Node]
Pace = Mapping[Cell, float]
"""Seconds per unit of a task's work, on a node of this machine."""

_GOLDEN = (math.sqrt(5) - 1) / 2
# A sweep of half a minute has three rounds or more.
_EARLY_ROUNDS = 3
# How often to look for an argument that is new, before going on with another task.
_DRAWS = 20


def probe_plan(tasks: Sequence[Task], nodes: Sequence[Node], seed: int) -> list[Configuration]:
    """One run of moderate length per task and node, in random order."""
    plan = [Configuration(task, node, task.probe) for task in tasks for node in nodes]
    random.Random(seed).shuffle(plan)  # noqa: S311  (a plan, not a secret)
    return plan


def pace_of(probes: Sequence[Measurement]) -> dict[Cell, float]:
    """The pace of every task and node that was probed; those whose probe failed are missing."""
    pace = {}
    for run in probes:
        task, node = task_named(run.function), node_named(run.node)
        took = run.duration_s or run.lower_bounds.get("duration_s")
        if took is not None:
            pace[task, node] = took / task.work(run.argument)
    return pace


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the runs of a sweep should take."""

    shortest_s: float
    longest_s: float

    def at(self, fraction: float) -> float:
        """The duration at a fraction of the way from the shortest to the longest, in log."""
        return self.shortest_s * math.pow(self.longest_s / self.shortest_s, fraction)


def sweep_plan(pace: Pace, lengths: Lengths, *, repeats: int, seed: int) -> Iterator[Configuration]:
    """Configurations without end; none when no pace is known.

    In rounds: each task and node once per round, in random order, so that a sweep cut short has
    seen them all equally often. The expected durations of one task and node are spread evenly
    over the log of the lengths. Every configuration comes `repeats` times, in separate rounds;
    one probe per task comes once more in an early round, to tell the noise of repeats from.
    """
    rng = random.Random(seed + 1)  # noqa: S311  (a plan, not a secret)
    offsets = {cell: rng.random() for cell in pace}
    again = [(rng.randrange(_EARLY_ROUNDS), probe) for probe in _second_probes(pace)]
    for number in count() if pace else ():
        cells = [_in_round(cell, offsets[cell], number, pace, lengths) for cell in pace]
        for repeat in range(repeats):
            extra = [probe for early, probe in again if (early, 0) == (number, repeat)]
            yield from rng.sample(cells + extra, len(cells) + len(extra))


def _in_round(
    cell: Cell, offset: float, number: int, pace: Pace, lengths: Lengths
) -> Configuration:
    task, node = cell
    # Steps of the golden ratio fill [0, 1) evenly however many there will be. Stretched and
    # clipped, one in ten falls on an end of the range, which a model has to know well.
    fraction = min(max(1.1 * ((offset + number * _GOLDEN) % 1) - 0.05, 0.0), 1.0)
    return Configuration(task, node, task.argument_for(lengths.at(fraction) / pace[cell]))


def held_out_plan(measurements: Measurements, n: int, seed: int = 0) -> list[Configuration]:
    """Up to `n` configurations that were not measured, on the tasks and nodes that were.

    Four of five arguments lie between the smallest and the largest that were measured for their
    task and node; every fifth is `beyond`, by 10 to 60 % more expected work, unless the task
    ends there. Tasks take turns. Fewer than `n` only when there are not that many. Raises
    `InvalidInput` when no task has two arguments to hold out between.
    """
    rng = random.Random(seed + 2)  # noqa: S311  (a plan, not a secret)
    measured = _measured_arguments(measurements)
    cells = [cell for cell, arguments in measured.items() if len(arguments) > 1]
    if not cells:
        why = "no task was measured with two different arguments on one node"
        raise InvalidInput([Violation("measurements", f"{len(measurements.runs)} runs", why)])
    taken = {cell: set(arguments) for cell, arguments in measured.items()}
    plan: list[Configuration] = []
    for task, node in _in_turns(cells, rng, draws=10 * n):
        if len(plan) == n:
            break
        arguments, beyond = measured[task, node], len(plan) % 5 == 4
        drawn = (_draw_argument(task, arguments, rng, beyond=beyond) for _ in range(_DRAWS))
        argument = next((a for a in drawn if a not in taken[task, node]), None)
        if argument is not None:
            taken[task, node].add(argument)
            plan.append(Configuration(task, node, argument, beyond=argument > max(arguments)))
    return plan


def _second_probes(pace: Pace) -> list[Configuration]:
    first_node: dict[str, Configuration] = {}
    for task, node in pace:
        first_node.setdefault(task.name, Configuration(task, node, task.probe))
    return list(first_node.values())


def _measured_arguments(measurements: Measurements) -> dict[Cell, set[int]]:
    found: dict[Cell, set[int]] = {}
    for run in measurements.runs:
        if run.duration_s is not None:
            cell = task_named(run.function), node_named(run.node)
            found.setdefault(cell, set()).add(run.argument)
    return found


def _in_turns(cells: Sequence[Cell], rng: random.Random, draws: int) -> Iterator[Cell]:
    """Random cells, `draws` in all; a task comes back only after all the others."""
    nodes: dict[Task, list[Node]] = {}
    for task, node in cells:
        nodes.setdefault(task, []).append(node)
    tasks: list[Task] = []
    for _ in range(draws):
        tasks = tasks or rng.sample(list(nodes), len(nodes))
        task = tasks.pop()
        yield task, rng.choice(nodes[task])


def _draw_argument(task: Task, measured: set[int], rng: random.Random, *, beyond: bool) -> int:
    low, high = task.work(min(measured)), task.work(max(measured))
    if beyond:
        return task.argument_for(high * rng.uniform(1.1, 1.6))
    return task.argument_for(low * (high / low) ** rng.random())
