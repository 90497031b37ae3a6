"""`foretell jobs`: the training runs of a server, listed, watched, cancelled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from foretell.cli import output
from foretell.cli.listing import ListFirst
from foretell.cli.options import json_option, server_options

if TYPE_CHECKING:
    from foretell.client import Client, Job

F = TypeVar("F", bound=Callable[..., Any])

_NUMBERS_SHOWN = 4


@click.group(cls=ListFirst, no_args_is_help=False, short_help="List, watch, cancel training runs.")
def jobs() -> None:
    """List the training runs of a server, follow one, or stop it.

    \b
    Example:
      foretell jobs serverless
      foretell jobs cancel 8f0c2d6be1f74a5c9d3e7a5b1c2d3e4f
    """


def _of_one(command: F) -> F:
    for add in (json_option, server_options, click.argument("job_id", metavar="JOB")):
        command = add(command)
    return command


@jobs.command("list", short_help="List them, newest first.")
@click.argument("workload", default="")
@server_options
@json_option
def list_(
    workload: str,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """List the training runs of a workload, or of all, newest first.

    \b
    Example:
      foretell jobs list serverless
    """
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        found = client.jobs(workload)
    if as_json:
        output.print_json([as_plain(job) for job in found])
    elif not found:
        click.echo("no training run was asked for yet")
    else:
        header = ["asked (UTC)", "job", "workload", "why", "state", "what came of it"]
        output.print_table(header, [_row(job) for job in found])


@jobs.command(short_help="Follow one until it is over.")
@_of_one
def watch(
    job_id: str,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Follow a training run, stage by stage, until it is over; with --json a line per change.

    Where standard error is no terminal, each stage is a line of JSON there. Exits with 1 when the
    run failed, with 3 when it was cancelled; Ctrl-C ends the watching alone, with 130.

    \b
    Example:
      foretell jobs watch 8f0c2d6be1f74a5c9d3e7a5b1c2d3e4f
    """
    from foretell.cli.connection import connect
    from foretell.client.jobs import succeeded

    with connect(server.pop("address"), **server) as client:
        job = client.job(job_id)
        if as_json:
            for job in client.watch(job_id):
                output.print_json(as_plain(job), compact=True)
            succeeded(job)
        else:
            tell(watched(client, job))


@jobs.command(short_help="Ask one to stop.")
@_of_one
def cancel(
    job_id: str,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Ask a training run to stop: one that waits is over at once, one that runs stops at its
    next step, within a fit too, and publishes nothing.

    \b
    Example:
      foretell jobs cancel 8f0c2d6be1f74a5c9d3e7a5b1c2d3e4f
    """
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        job = client.cancel(job_id)
    if as_json:
        output.print_json(as_plain(job))
    elif job.done:
        click.echo(f"job {job.id} is {job.state.lower()}")
    else:
        click.echo(f"job {job.id} was asked to stop while {job.stage or job.state.lower()}")


def watched(client: Client, job: Job, *, quiet: bool = False) -> Job:
    """Show a job's progress until it is over; raises its error if it failed."""
    from foretell.client.jobs import succeeded

    try:
        with output.stages_of(job.id, quiet=quiet) as tell:
            for job in client.watch(job.id):  # noqa: B020, PLR1704 -- the job as it changes
                tell(job.stage or job.state.lower(), job.fraction_done, job.numbers)
    except KeyboardInterrupt:
        click.echo(f"the job goes on; to stop it: foretell jobs cancel {job.id}", err=True)
        raise
    return succeeded(job)


def tell(job: Job) -> None:
    """Print what came of a job that succeeded."""
    click.echo(f"{job.workload}: {job.outcome or f'{job.bundle_version} is published'}")


def as_plain(job: Job) -> dict[str, Any]:
    """Return a job as it is printed as JSON."""
    return {
        "job": job.id,
        "workload": job.workload,
        "state": job.state,
        "stage": job.stage,
        "fraction_done": job.fraction_done,
        "numbers": job.numbers,
        "bundle": job.bundle_version,
        "outcome": job.outcome,
        "promoted": job.promoted,
        "request_id": job.request_id,
        "reason": job.reason,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


def _row(job: Job) -> list[str]:
    asked = f"{job.created_at:%Y-%m-%d %H:%M:%S}" if job.created_at else ""
    what = job.outcome or (job.error.message if job.error else _so_far(job))
    return [asked, job.id, job.workload, job.reason or "by hand", job.state.lower(), what]


def _so_far(job: Job) -> str:
    """Return what a job does and how far it is: "searching, gain 0.12, trials 7"."""
    # Messages keep no order. Numbers of single metrics are many, and have dots in their names.
    ordered = sorted(job.numbers.items(), key=lambda item: ("." in item[0], item[0]))
    shown = output.numbers_text(dict(ordered[:_NUMBERS_SHOWN]))
    return ", ".join(filter(None, (job.stage, shown)))
