"""`foretell anomalies`: observations that cannot be, and what somebody found them to be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.listing import ListFirst
from foretell.cli.options import json_option, login, server_options

if TYPE_CHECKING:
    from foretell.anomalies import Anomaly
    from foretell.client import Client
    from foretell.client.monitoring import Resolution

DONE_WITHIN_S = 10.0
ASKED_EVERY_S = 0.1


@click.group(cls=ListFirst, short_help="List, confirm and discard observations that cannot be.")
def anomalies() -> None:
    """List observations that cannot be, and say whether they are real.

    They are kept out of training until somebody confirms them.

    \b
    Example:
      foretell anomalies inference
      foretell anomalies discard inference run-17 run-18 --reason "the batch was not counted"
    """


@anomalies.command("list", short_help="List those that wait for somebody to look.")
@click.argument("workload")
@server_options
@json_option
def list_(
    workload: str,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """List the open anomalies of a workload, those found last first.

    \b
    Example:
      foretell anomalies list inference
    """
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        found = client.anomalies(workload)
    if as_json:
        output.print_json([anomaly.model_dump() for anomaly in found])
    elif not found:
        click.echo("no open anomalies")
    else:
        rows = [[f"{a.time:%Y-%m-%d %H:%M:%S}", a.observation_id, a.reason] for a in found]
        output.print_table(["when (UTC)", "observation", "why"], rows)
        click.echo(f"{len(found)} open; kept out of training until confirmed")


@dataclass(frozen=True)
class _Chosen:
    """Which anomalies are meant."""

    workload: str
    ids: tuple[str, ...]
    all_of_them: bool = field(kw_only=True)

    def among(self, known: list[Anomaly]) -> set[str]:
        if bool(self.ids) == self.all_of_them:
            raise click.UsageError("Give the ids of observations, or --all.")
        return {a.observation_id for a in known} if self.all_of_them else set(self.ids)


def _resolving(command: Callable[..., None]) -> Callable[..., None]:
    """Add the arguments and options that say which anomalies are meant, and why."""

    @click.argument("workload")
    @click.argument("ids", nargs=-1)
    @click.option("--all", "all_of_them", is_flag=True, help="All that are open now.")
    @click.option("--reason", required=True, help="Why, for whoever asks later.")
    @server_options
    @json_option
    @wraps(command)
    def resolving(workload: str, ids: tuple[str, ...], all_of_them: bool, **more: Any) -> None:  # noqa: ANN401
        command(_Chosen(workload, ids, all_of_them=all_of_them), **more)

    return resolving


@anomalies.command(short_help="Say that they are real: they are trained on.")
@_resolving
def confirm(
    chosen: _Chosen,
    reason: str,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- options
) -> None:
    """Say that observations are real, so that they are trained on from now on.

    \b
    Example:
      foretell anomalies confirm inference run-17 --reason "two streams at once"
    """
    _resolve(chosen, "confirmed", reason, as_json=as_json, server=server)


@anomalies.command(short_help="Say that they are wrong: they are never trained on.")
@_resolving
def discard(
    chosen: _Chosen,
    reason: str,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- options
) -> None:
    """Say that observations are wrong, so that they are never trained on.

    \b
    Example:
      foretell anomalies discard inference --all --reason "the batch was not counted"
    """
    _resolve(chosen, "discarded", reason, as_json=as_json, server=server)


def _resolve(
    chosen: _Chosen, resolution: Resolution, reason: str, *, as_json: bool, server: dict[str, Any]
) -> None:
    from foretell.cli.connection import connect

    workload = chosen.workload
    with connect(server.pop("address"), **server) as client:
        before = client.anomalies(workload)
        ids = chosen.among(before)
        if ids:
            client.resolve_anomalies(workload, ids, resolution, reason=reason, author=login())
        left = _wait(client, workload, ids, before)
    known = {anomaly.observation_id for anomaly in before}
    if as_json:
        output.print_json({resolution: sorted(known & ids), "open": len(left)})
    else:
        click.echo(f"{len(known & ids)} {resolution}, {len(left)} open")
    for name in sorted(ids - known):
        click.echo(f"{name}: not among the open ones", err=True)
    if ids - known:
        click.get_current_context().exit(1)


def _wait(client: Client, workload: str, chosen: set[str], left: list[Anomaly]) -> list[Anomaly]:
    """Wait until the trainer has written the decision down; return what is open then."""
    deadline = time.monotonic() + DONE_WITHIN_S
    while any(a.observation_id in chosen for a in left) and time.monotonic() < deadline:
        time.sleep(ASKED_EVERY_S)
        left = client.anomalies(workload)
    return left
