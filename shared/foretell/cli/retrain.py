"""`foretell retrain`: ask a server for a training run, and watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.options import json_option, server_options

if TYPE_CHECKING:
    from foretell.client.jobs import RetrainMode


@click.command(short_help="Ask a server to train anew.")
@click.argument("workload")
@click.option("--wait", is_flag=True, help="Watch the job until it is over.")
@click.option("--request-id", help="The same id is the same job, however often it is sent.")
@click.option("--include-simulated", is_flag=True, help="Train on simulated observations too.")
@click.option(
    "--skip-gate",
    metavar="REASON",
    default="",
    help="Let the new bundle take over without comparing it; the audit keeps the reason.",
)
@click.option("--reason", default="", help="Why the run is asked for, for the audit.")
@click.option(
    "--mode",
    type=click.Choice(["auto", "full", "windowed", "update"]),
    default="auto",
    show_default=True,
    help="Learn from all observations, from the newest, or from those that are new to the current"
    " bundle alone; auto goes by how much changed.",
)
@click.option("--window-rows", type=click.IntRange(100), help="Observations of a window.")
@click.option("--family", default="", help="Family of estimators; without it, the schema's.")
@click.option(
    "--search",
    metavar="trials=N,seconds=S",
    default="",
    help="First search for settings that err less, within this budget.",
)
@click.option(
    "--split",
    metavar="KIND[:CATEGORY,…]",
    default="",
    help="First cross-validate, by a split such as kfold, grouped:model or time.",
)
@click.option(
    "--join", is_flag=True, help="Take a job that waits or is under way, if there is one."
)
@server_options
@json_option
def retrain(
    workload: str,
    wait: bool,
    request_id: str | None,
    include_simulated: bool,
    skip_gate: str,
    reason: str,
    mode: RetrainMode,
    window_rows: int | None,
    family: str,
    search: str,
    split: str,
    join: bool,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Queue a training run of a workload; with --wait, watch it until its bundle answers.

    A bundle that is worse than the current one is published as `candidate` and does not take
    over; `foretell promote` has it take over all the same. With --wait, exits with 1 when the run
    failed and with 3 when it was cancelled.

    \b
    Example:
      foretell retrain serverless --wait
    """
    from foretell.cli.connection import connect
    from foretell.cli.jobs import as_plain, tell, watched

    with connect(server.pop("address"), **server) as client:
        job = client.retrain(
            workload,
            request_id=request_id,
            include_simulated=include_simulated,
            skip_gate=skip_gate,
            reason=reason,
            mode=mode,
            window_rows=window_rows or 0,
            family=family,
            search=search,
            split=split,
            join=join,
        )
        if wait:
            job = client.until_served(watched(client, job, quiet=as_json))
    if as_json:
        output.print_json(as_plain(job))
    elif wait:
        tell(job)
    else:
        click.echo(f"job {job.id} is {job.state.lower()}; foretell jobs watch {job.id}")
