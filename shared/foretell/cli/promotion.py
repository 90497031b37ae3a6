"""`foretell promote`, `rollback` and `history`: which bundle answers, and how that came about."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from foretell.cli import output
from foretell.cli.options import json_option, login, registry_option, server_options

if TYPE_CHECKING:
    from foretell.client import AuditEntry, Bundle

F = TypeVar("F", bound=Callable[..., Any])

reason_option = click.option("--reason", required=True, help="Why, for the audit.")


def _changing(command: F) -> F:
    for option in (json_option, server_options, reason_option):
        command = option(command)
    return command


@click.command(short_help="Make a bundle current.")
@click.argument("workload")
@click.argument("version", default="candidate")
@_changing
def promote(
    workload: str,
    version: str,
    reason: str,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Make a bundle current on a running server, in one swap.

    VERSION is a version or an alias; without one, it is the candidate that a training run left.
    What was current becomes `previous`; `foretell rollback` takes it back.

    \b
    Example:
      foretell promote serverless candidate --reason "the new nodes are in"
    """
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        bundle = client.promote(workload, version, reason=reason, author=login())
    _tell(bundle, as_json=as_json)


@click.command(short_help="Make the bundle before the current one current again.")
@click.argument("workload")
@_changing
def rollback(
    workload: str,
    reason: str,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Go back to the bundle before the current one, in one swap; the two change places.

    \b
    Example:
      foretell rollback serverless --reason "forecasts are off since noon"
    """
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        # Named, so that a call which is repeated does not undo itself.
        current = client.bundle(workload).version
        bundle = client.rollback(workload, reason=reason, from_version=current, author=login())
    _tell(bundle, as_json=as_json)


@click.command(short_help="Show what was done to a workload's bundles, and why.")
@click.argument("workload")
@registry_option
@server_options
@json_option
def history(
    workload: str,
    registry: Path | None,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Show who published, promoted and rolled back bundles, when and why, newest first.

    Of a registry's folder, or with --address of a running server.

    \b
    Example:
      foretell history serverless --address localhost:50051
    """
    if server["address"] is not None:
        from foretell.cli.connection import connect

        with connect(server.pop("address"), **server) as client:
            rows = [_of_client(entry) for entry in client.history(workload)]
    else:
        rows = _of_registry(workload, registry)
    if as_json:
        output.print_json(rows)
    elif not rows:
        click.echo("nothing was done yet")
    else:
        _print(rows)


def _of_client(entry: AuditEntry) -> dict[str, Any]:
    return {
        "when": entry.time,
        "action": entry.action,
        "who": entry.author,
        "why": entry.reason,
        "from": entry.from_version,
        "to": entry.to_version,
    }


def _of_registry(workload: str, folder: Path | None) -> list[dict[str, Any]]:
    from foretell.cli.sources import open_registry

    place = open_registry(folder)
    place.schema(workload)
    entries = place.history(workload) if workload in place.workloads() else []
    return [
        {
            "when": entry.when,
            "action": entry.action,
            "who": entry.who,
            "why": entry.why,
            "from": entry.old,
            "to": entry.new,
        }
        for entry in reversed(entries)
    ]


def _print(rows: Iterable[dict[str, Any]]) -> None:
    lines = [
        [f"{row['when']:%Y-%m-%d %H:%M:%S}", row["action"], row["to"], row["who"], row["why"]]
        for row in rows
    ]
    output.print_table(["when (UTC)", "what", "version", "who", "why"], lines)


def _tell(bundle: Bundle, *, as_json: bool) -> None:
    if as_json:
        output.print_json(
            {
                "workload": bundle.workload,
                "bundle": bundle.version,
                "aliases": bundle.aliases,
                "serving": bundle.serving,
            }
        )
    else:
        click.echo(f"{bundle.workload}: {bundle.version} is current")
