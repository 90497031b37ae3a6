"""`foretell work`: the workers of the queues in the foreground."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import click

from foretell.cli import output
from foretell.cli.options import json_option, setting_options
from foretell.cli.parent import parent_options, with_parent

QUEUES = ("ingest", "train")


@click.command(short_help="Run the worker that ingests and trains.")
@click.option(
    "--queue", "queues", type=click.Choice(QUEUES), multiple=True, help="Only this queue."
)
@setting_options(
    "registry",
    "data",
    "broker_url",
    "retrain_after_observations",
    "retrain_every_s",
    "retrain_at",
    "retrain_on_drift",
    "regression_percent",
    "log_level",
    "log_format",
)
@parent_options
@json_option
def work(
    queues: tuple[str, ...],
    config: Path | None,
    ready_fd: int | None,
    parent: int | None,
    as_json: bool,
    **flags: Any,  # noqa: ANN401 -- the settings of setting_options
) -> None:
    """Work on the queues `ingest` and `train` of a broker until SIGTERM or Ctrl-C.

    There is one process for each queue, so that a fit never blocks ingest. Observations go to
    the DuckDB store in the folder --data, bundles to the registry.

    \b
    Example:
      foretell work --broker-url redis://127.0.0.1:6379/0 --registry models --data data
    """
    from foretell import logs
    from foretell.settings import load_settings
    from foretell_trainer.processes import WorkerProcesses
    from foretell_trainer.schedule import Schedule

    settings = load_settings(config, **flags)
    logs.configure(settings.log_level, settings.log_format)
    tell_parent = with_parent(ready_fd, parent)
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    schedule = Schedule(settings)
    with WorkerProcesses(settings, queues or QUEUES), schedule:
        tell_parent("ready")
        if as_json:
            output.print_json({"queues": queues or QUEUES}, compact=True)
        asked.wait()
