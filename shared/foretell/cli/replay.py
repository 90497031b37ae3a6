"""`foretell replay`: an answer of the past, given once more by what gave it."""

from __future__ import annotations

from typing import Any

import click

from foretell.cli import output
from foretell.cli.options import json_option, server_options


@click.command(short_help="Give an answer of the past once more, by its id.")
@click.argument("prediction_id")
@server_options
@json_option
def replay(
    prediction_id: str,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Answer what was asked then, with the bundle and the corrections of then.

    \b
    Example:
      foretell replay 5f0c8a77d1e2-1c4
    """
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        found = client.replay(prediction_id)
    if as_json:
        output.print_json(found)
        return
    asked = ", ".join(f"{name}={value}" for name, value in found.features.items())
    click.echo(f"asked {found.answered_at:%Y-%m-%d %H:%M:%S} UTC about {asked}")
    if found.correction:
        click.echo(f"answered with corrections number {found.correction}")
    click.echo(str(found.prediction))
