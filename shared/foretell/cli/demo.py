"""`foretell demo`: all of Foretell, on work that this machine really does."""

from __future__ import annotations

import os
import platform
import signal
from pathlib import Path
from types import FrameType

import click

from foretell.cli import output
from foretell.cli.options import FOLDER, json_option


@click.command(short_help="Measure, train, predict and check the predictions.")
@click.option("--budget", default=30.0, show_default=True, help="Seconds to measure for.")
@click.option("--longest", default=1.0, show_default=True, help="Seconds of the longest runs.")
@click.option("--runs", default=40, show_default=True, help="Runs to predict, then to run.")
@click.option("--task", "tasks", multiple=True, help="Only this task; may be given many times.")
@click.option("--keep", type=FOLDER, help="Keep all state in this folder.")
@click.option("--seed", default=0, show_default=True, help="Of the choice of arguments.")
@json_option
def demo(
    budget: float,
    longest: float,
    runs: int,
    tasks: tuple[str, ...],
    keep: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Measure real work here, train, predict other work, then run it and compare.

    Real processes: a broker, a worker, a server. Everything that is shown was measured on
    this machine in this run; nothing is canned. Ctrl-C cleans up.

    \b
    Example:
      foretell demo --budget 30 --keep demo-state
    """
    from foretell.demo import DemoSettings, run_demo
    from foretell.demo.screen import Screen

    console = output.console(stderr=as_json)
    screen = Screen(console)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    screen.title(
        f"foretell demo: {cores} cores, Python {platform.python_version()}; nothing below is canned"
    )
    settings = DemoSettings(budget, longest, runs, tasks, keep, seed)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        screen.interrupted = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        result = run_demo(settings, screen)
    except KeyboardInterrupt:
        click.echo("interrupted; processes and temporary files are gone", err=True)
        raise
    finally:
        signal.signal(signal.SIGINT, before)
    screen.end(result)
    if as_json:
        output.print_json(result.as_json())
