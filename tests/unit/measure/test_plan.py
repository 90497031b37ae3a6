"""What is run is spread over tasks, nodes and arguments, reproducibly, within the time there is."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime
from itertools import islice, pairwise

import pytest

from foretell.errors import InvalidInput
from foretell.measure.configuration import Configuration
from foretell.measure.measurements import Measurement, Measurements
from foretell.measure.nodes import NODES
from foretell.measure.plan import Lengths, Pace, held_out_plan, pace_of, probe_plan, sweep_plan
from foretell.measure.tasks import TASKS

TASK_CHOICE = [TASKS[name] for name in ("sieve", "matmul", "nbody", "fib_recursive")]
NODE_CHOICE = [NODES["cranelift-speed"], NODES["cranelift-none"]]
LENGTHS = Lengths(shortest_s=0.001, longest_s=1.0)
# As if every probe had taken 50 ms.
PACE: Pace = {(t, n): 0.05 / t.work(t.probe) for t in TASK_CHOICE for n in NODE_CHOICE}


def measurement(function: str, node: str, argument: int, duration_s: float) -> Measurement:
    now = datetime.now(UTC)
    return Measurement("id", now, function, node, argument, "completed", duration_s=duration_s)


def expected_s(configuration: Configuration) -> float:
    task = configuration.task
    return PACE[task, configuration.node] * task.work(configuration.argument)


def plan(runs: int, repeats: int = 1, seed: int = 0) -> list[Configuration]:
    return list(islice(sweep_plan(PACE, LENGTHS, repeats=repeats, seed=seed), runs))


def measured() -> Measurements:
    runs = [
        measurement(task.name, node.name, task.argument_for(work), 0.1)
        for task in TASK_CHOICE
        for node in NODE_CHOICE
        for work in (task.work(task.probe) / 30, task.work(task.probe), task.work(task.probe) * 9)
    ]
    return Measurements(tuple(runs), (), (), {})


def test_probes_cover_every_task_on_every_node_once() -> None:
    """The pace of each pair is known after the probes."""
    probes = probe_plan(TASK_CHOICE, NODE_CHOICE, seed=0)
    assert {(p.task, p.node) for p in probes} == set(PACE)
    assert len(probes) == len(PACE)


def test_pace_is_seconds_per_work_and_knows_censored_probes() -> None:
    """A probe that was ended still says that the pair is slow; one that failed says nothing."""
    now = datetime.now(UTC)
    ended = Measurement(
        "b", now, "sieve", "cranelift-none", 1000, "timeout", lower_bounds={"duration_s": 10.0}
    )
    failed = Measurement("c", now, "nbody", "cranelift-none", 5, "failed")
    pace = pace_of([measurement("matmul", "cranelift-speed", 10, 2.0), ended, failed])
    assert pace == {
        (TASKS["matmul"], NODES["cranelift-speed"]): 2.0 / 10**3,
        (TASKS["sieve"], NODES["cranelift-none"]): 10.0 / 1000,
    }


def test_arguments_are_spread_over_the_log_of_durations() -> None:
    """Of the runs on one pair, about a third falls into each decade of the expected duration."""
    decades = Counter(
        min(2, math.floor(math.log10(expected_s(c) / 0.001)))
        for c in plan(1600)
        if c.task.name == "nbody"
    )
    assert set(decades) == {0, 1, 2}
    assert max(decades.values()) < 1.6 * min(decades.values())


def test_expected_durations_stay_within_the_lengths() -> None:
    """No argument is chosen for a run shorter or longer than asked, up to rounding."""
    durations = [expected_s(c) for c in plan(800) if c.task.name != "fib_recursive"]
    assert min(durations) == pytest.approx(0.001, rel=0.05)
    assert max(durations) == pytest.approx(1.0, rel=0.05)


def test_a_sweep_cut_short_has_seen_all_pairs_equally_often() -> None:
    """At any point the most and the least frequent pair differ by two runs at most."""
    sweep = plan(240)
    for end in range(1, len(sweep)):
        seen = Counter((c.task, c.node) for c in sweep[:end])
        assert max(seen.values()) - min(seen.get(cell, 0) for cell in PACE) <= 2


def test_the_order_is_random_but_reproducible() -> None:
    """One seed gives one plan; tasks do not come in blocks."""
    assert plan(120, seed=3) == plan(120, seed=3)
    assert plan(120, seed=3) != plan(120, seed=4)
    names = [c.task.name for c in plan(240)]
    changes = sum(a != b for a, b in pairwise(names))
    assert changes > len(names) / 2


def test_repeats_come_in_separate_rounds() -> None:
    """With two repeats, configurations come twice, and other ones lie between."""
    sweep = plan(240, repeats=2)
    places: dict[Configuration, list[int]] = {}
    for place, configuration in enumerate(sweep):
        places.setdefault(configuration, []).append(place)
    twice = [p for p in places.values() if len(p) >= 2]
    assert len(twice) > 0.8 * len(places)
    assert sum(p[1] - p[0] for p in twice) / len(twice) > 2


def test_one_probe_per_task_comes_again() -> None:
    """Even without repeats there is something to tell the noise from."""
    again = [c for c in plan(4 * len(PACE)) if c.argument == c.task.probe]
    assert {c.task for c in again} == set(TASK_CHOICE)


def test_without_any_pace_there_is_no_plan() -> None:
    """When all probes failed, the sweep ends instead of searching forever."""
    assert list(sweep_plan({}, LENGTHS, repeats=1, seed=0)) == []


def test_held_out_configurations_were_not_measured() -> None:
    """None of them is among the measured ones, none comes twice, and tasks take turns."""
    measurements = measured()
    held_out = held_out_plan(measurements, 20, seed=1)
    seen = {(run.function, run.node, run.argument) for run in measurements.runs}
    keys = [(c.task.name, c.node.name, c.argument) for c in held_out]
    assert len(set(keys)) == 20
    assert not seen & set(keys)
    turns = Counter(c.task.name for c in held_out).values()
    assert max(turns) - min(turns) <= 2


def test_held_out_arguments_lie_between_and_a_bit_beyond() -> None:
    """Every fifth is beyond the largest measured argument, by at most 60 % more work."""
    measurements = measured()
    held_out = held_out_plan(measurements, 20, seed=1)
    assert sum(c.beyond for c in held_out) == 4
    for c in held_out:
        arguments = [r.argument for r in measurements.runs if r.function == c.task.name]
        assert min(arguments) < c.argument
        assert (c.argument > max(arguments)) == c.beyond
        # The Fibonacci numbers' whole arguments are steps of 62 %.
        assert c.task.work(c.argument) <= c.task.work(max(arguments)) * 1.62


def test_nothing_can_be_held_out_from_single_points() -> None:
    """There is no between when each pair was measured with one argument."""
    one = measurement("sieve", "cranelift-speed", 1000, 0.1)
    with pytest.raises(InvalidInput, match="two different arguments"):
        held_out_plan(Measurements((one, one), (), (), {}), 3)
