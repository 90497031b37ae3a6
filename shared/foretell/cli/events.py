"""`foretell events`: what happens to workloads, as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.options import json_option, server_options
from foretell.errors import DeadlinePassed

if TYPE_CHECKING:
    from foretell.events import Event

PAUSE_S = 2.0
KINDS = ("drift", "bias", "coverage", "anomaly", "regression", "shadow")


@click.command(short_help="Follow drift, bias, anomalies and regressions as they are noticed.")
@click.argument("workload", default="")
@click.option(
    "--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Only these; many times."
)
@click.option(
    "--last",
    type=click.IntRange(0, 1000),
    default=20,
    show_default=True,
    help="Begin with so many that happened already.",
)
@click.option("--follow/--no-follow", default=True, show_default=True, help="Go on until Ctrl-C.")
@server_options
@json_option
def events(
    workload: str,
    kinds: tuple[Any, ...],
    last: int,
    follow: bool,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Print what happened, and what happens, to a workload or to all: one line for each event.

    \b
    Example:
      foretell events serverless --kind drift --kind regression
    """
    from foretell.cli.connection import connect

    # What happened already comes at once; a caller who does not follow stops at the first pause.
    seconds = float("inf") if follow else PAUSE_S
    with connect(server.pop("address"), **server) as client:
        try:
            for event in client.events(workload, kinds=kinds, last=last, timeout=seconds):
                _print(event, as_json=as_json)
        except DeadlinePassed:
            return


def _print(event: Event, *, as_json: bool) -> None:
    if as_json:
        output.print_json(event.model_dump(), compact=True)
        return
    what = f"{event.kind}{' over' if event.recovered else ''}"
    click.echo(f"{event.time:%Y-%m-%d %H:%M:%S}  {event.workload}  {what}: {event.message}")
