"""Measuring with real processes: timeouts, refusals, crashes, budgets, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import psutil
import pytest

from foretell.errors import InvalidInput, NotFound, Unavailable
from foretell.measure import (
    NODES,
    TASKS,
    Configuration,
    Measurement,
    Task,
    held_out_plan,
    measure_wasm,
    run_one,
    run_plan,
)
from foretell.measure.child import peak_memory_kb
from foretell.measure.launcher import Launcher
from foretell.measure.runner import run_all
from foretell.measure.sweep import LONGER

pytestmark = pytest.mark.process

SPEED = "cranelift-speed"


def own_task(folder: Path, text: str) -> Configuration:
    """A task of somebody else's making, with the argument 1."""
    path = folder / "own.wat"
    path.write_text(text, encoding="utf-8")
    return Configuration(Task("own", path, float, probe=1, largest=10), NODES[SPEED], 1)


def launchers() -> list[psutil.Process]:
    """The processes of this test that start runs; other tests may keep servers going."""
    alive = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
    return [p for p in alive if any("child.py" in argument for argument in p.cmdline())]


@pytest.fixture
def no_process_left() -> Iterator[None]:
    """Fails the test if it leaves a process behind."""
    yield
    assert launchers() == []


@pytest.mark.parametrize("node", NODES)
def test_a_run_is_measured_on_every_node(node: str) -> None:
    """Each engine setting runs the task for real: right result, times and memory that fit."""
    run = run_one("fib_recursive", 25, node)
    assert (run.outcome, run.result) == ("completed", 75_025)
    assert run.duration_s is not None
    assert run.cpu_s is not None
    assert run.memory_kb is not None
    assert 1e-5 < run.duration_s < 60.0
    assert 0 < run.cpu_s < run.duration_s * 1.2 + 0.01
    assert run.compile_s is not None
    assert run.pace_s is not None
    assert run.pace_s > 0
    assert run.reason == ""
    assert dict(run.lower_bounds) == {}


def test_peak_memory_is_what_the_run_touches() -> None:
    """Two matrices of 2000 x 2000 words are 31250 KiB more than nearly nothing."""
    small, large = run_one("transpose", 10, SPEED), run_one("transpose", 2000, SPEED)
    assert small.memory_kb is not None
    assert large.memory_kb is not None
    assert large.memory_kb - small.memory_kb == pytest.approx(31_250, rel=0.05)


def test_peak_memory_is_not_that_of_the_parent() -> None:
    """A process that is started by a large one does not inherit its peak."""
    ballast = bytearray(b"x") * 300_000_000
    run = run_one("fib_recursive", 10, SPEED)
    assert run.memory_kb is not None
    assert run.memory_kb < 100_000
    assert len(ballast) == 300_000_000


def test_memory_that_cannot_be_read_is_not_nothing() -> None:
    """Of a process that has ended, buried or not, no peak is known; that is never given as 0."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert peak_memory_kb(ended.pid) is None
    ended.wait()
    assert peak_memory_kb(ended.pid) is None
    assert (peak_memory_kb() or 0) > 1000


@pytest.mark.usefixtures("no_process_left")
def test_a_run_that_takes_too_long_is_censored() -> None:
    """It is ended at the timeout; its duration is known to be longer, and it is not a metric."""
    run = run_one("fib_recursive", 46, SPEED, timeout_s=0.3)
    assert run.outcome == "timeout"
    assert run.duration_s is None
    assert run.memory_kb is None
    assert 0.3 <= run.lower_bounds["duration_s"] < 60.0
    assert run.lower_bounds["memory_kb"] > 10_000
    assert run.reason == "killed after 0.3 s"


def test_memory_that_is_refused_is_out_of_memory(tmp_path: Path) -> None:
    """A task that asks for more than the limit of 1 GiB gets an outcome of its own."""
    greedy = """(module (memory 1) (func (export "run") (param i32) (result i32)
        (if (i32.eq (memory.grow (i32.const 20000)) (i32.const -1)) (then (unreachable)))
        (i32.const 1)))"""
    [run] = run_plan([own_task(tmp_path, greedy)])
    assert run.outcome == "out_of_memory"
    assert run.lower_bounds["memory_kb"] > 10_000


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("(i32.div_u (i32.const 1) (i32.const 0))", "divide by zero"),
        ("(i32.load (i32.const -1))", "out of bounds"),
        ("(call $run (local.get 0))", "stack exhausted"),
    ],
)
def test_a_trap_is_a_failure_with_its_reason(tmp_path: Path, body: str, reason: str) -> None:
    """What the engine says about the trap is kept; nothing is reported as measured."""
    text = f'(module (memory 1) (func $run (export "run") (param i32) (result i32) {body}))'
    [run] = run_plan([own_task(tmp_path, text)])
    assert run.outcome == "failed"
    assert reason in run.reason
    assert run.duration_s is None


def test_a_process_that_breaks_down_is_a_failure(tmp_path: Path) -> None:
    """A module without a function called run ends the process; its last words are the reason."""
    [run] = run_plan([own_task(tmp_path, '(module (func (export "other")))')])
    assert run.outcome == "failed"
    assert "exit status 1" in run.reason
    assert "run" in run.reason


def test_a_text_that_is_no_module_is_refused(tmp_path: Path) -> None:
    """A wrong .wat is an error of the input, with its name, before anything runs."""
    with pytest.raises(InvalidInput, match=r"own\.wat"):
        run_plan([own_task(tmp_path, "(module (fun))")])


@pytest.mark.usefixtures("no_process_left")
def test_a_sweep_keeps_to_its_budget() -> None:
    """No run begins when the budget is over, which few runs on a slow machine stretch;
    progress comes after every run, and both catalogs are there."""
    progress: list[tuple[int, int, Measurement]] = []
    found = measure_wasm(
        3.0,
        tasks=["sieve", "fib_iterative"],
        nodes=[SPEED, "cranelift-speed-fuel"],
        longest_s=0.1,
        fewest_runs=8,
        on_progress=lambda done, total, run: progress.append((done, total, run)),
    )
    began = datetime.fromisoformat(found.about["started_at"])
    assert max(run.time for run in found.runs) < began + timedelta(seconds=3.0 * LONGER)
    assert [done for done, _, _ in progress] == list(range(1, len(found.runs) + 1))
    assert tuple(run for _, _, run in progress) == found.runs
    assert progress[-1][1] >= len(found.runs)
    assert len(found.runs) >= 8
    assert {run.outcome for run in found.runs} == {"completed"}
    assert {(run.function, run.node) for run in found.runs} == {
        (task, node)
        for task in ("sieve", "fib_iterative")
        for node in (SPEED, "cranelift-speed-fuel")
    }
    assert [row["function"] for row in found.functions] == ["sieve", "fib_iterative"]
    assert [row["node"] for row in found.nodes] == [SPEED, "cranelift-speed-fuel"]
    assert len({run.id for run in found.runs}) == len(found.runs)
    assert found.about["simulated"] is False
    assert all(c.task.name in TASKS for c in held_out_plan(found, 3))


def test_a_budget_that_is_too_short_is_said() -> None:
    """What was measured until then is returned, and how much of it there is."""
    found = measure_wasm(0.5)
    assert found.about["pairs_measured"] < found.about["pairs"] == len(TASKS) * 3
    assert found.about["runs"] == len(found.runs)


@pytest.mark.usefixtures("no_process_left")
def test_two_at_a_time_measure_all_of_a_plan() -> None:
    """Running in parallel loses and doubles nothing."""
    plan = [Configuration.of("sieve", argument, SPEED) for argument in range(1000, 1008)]
    runs = run_plan(plan, parallel=2)
    assert sorted(run.argument for run in runs) == list(range(1000, 1008))


@pytest.mark.usefixtures("no_process_left")
def test_leaving_early_ends_what_is_running() -> None:
    """Whoever stops listening in the middle leaves no process behind."""
    plan = [
        Configuration.of("sieve", 1000, SPEED),
        Configuration.of("fib_recursive", 46, SPEED),
    ]
    with closing(run_all(plan, timeout_s=60.0, parallel=2)) as runs:
        assert next(runs).function == "sieve"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"budget_s": 0.0}, "budget_s: 0.0 must be more than 0 seconds"),
        ({"repeats": 0}, "repeats: 0 must be 1 or more"),
        ({"longest_s": 0.0001}, "longest_s: 0.0001 must be more than shortest_s"),
        ({"tasks": []}, "tasks: must name one or more"),
    ],
)
def test_settings_without_sense_are_refused(settings: dict[str, float], why: str) -> None:
    """The error names the setting, its value and what is allowed."""
    with pytest.raises(InvalidInput, match=why):
        measure_wasm(**settings)  # type: ignore[arg-type]  # wrong on purpose


def test_unknown_names_are_refused() -> None:
    """A task or node that does not exist is answered with those that do."""
    with pytest.raises(NotFound, match="no task named 'bogosort'"):
        measure_wasm(tasks=["bogosort"])
    with pytest.raises(NotFound, match="no node named 'moon'"):
        run_one("sieve", 10, "moon")


ENDLESS = """
from foretell.measure import Configuration
from foretell.measure.launcher import Launcher
from foretell.measure.runner import run_all
plan = [Configuration.of("sieve", 1000, "cranelift-speed"),
        Configuration.of("fib_recursive", 46, "cranelift-speed")]
for run in run_all(plan, timeout_s=60.0):
    print(run.function, flush=True)
"""


def endless_parent() -> tuple[subprocess.Popen[bytes], list[psutil.Process]]:
    """A process that is in the middle of a run of twenty seconds, and all that it has started."""
    parent = subprocess.Popen(
        [sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"sieve\n"
    parent.stdout.close()
    # The launcher, and the run that it has forked.
    while len(started := psutil.Process(parent.pid).children(recursive=True)) < 2:
        assert parent.poll() is None
    return parent, started


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_parent_ends_its_runs(how: signal.Signals) -> None:
    """Ctrl-C, a polite and a rude kill all leave no process behind."""
    parent, started = endless_parent()
    parent.send_signal(how)
    assert parent.wait(timeout=60) != 0
    assert psutil.wait_procs(started, timeout=60)[1] == []


def test_a_run_that_is_killed_is_a_failure() -> None:
    """When something else ends a run, such as the kernel for lack of memory, the signal is said."""
    plan = [Configuration.of("fib_recursive", 46, SPEED)]
    with ThreadPoolExecutor() as pool:
        measured = pool.submit(run_plan, plan, timeout_s=60.0)
        while not (runs := [run for launcher in launchers() for run in launcher.children()]):
            assert not measured.done()
        runs[0].kill()
        [run] = measured.result(timeout=60)
    assert run.outcome == "failed"
    assert "SIGKILL" in run.reason


def test_a_launcher_that_is_killed_is_said() -> None:
    """Without the process that starts the runs, measuring ends with an error, not with silence."""
    with Launcher() as launcher:
        [process] = launchers()
        process.kill()
        process.wait(timeout=60)
        with pytest.raises(Unavailable, match="the process that starts measured runs"):
            launcher.start({}, [0, 1, 2])
