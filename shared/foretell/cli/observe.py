"""`foretell observe`: tell a server what work really took."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.one_item import read_features
from foretell.cli.options import json_option, pairs, server_options
from foretell.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from foretell.client.models import Acknowledgements

OUTCOMES = ("completed", "timeout", "out_of_memory", "cancelled", "failed")


@click.command(short_help="Report to a server what work really took.")
@click.argument("workload")
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="One feature.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME=NUMBER", help="What it took.")
@click.option(
    "--at-least", "bounds", multiple=True, metavar="NAME=NUMBER", help="Reached when it was killed."
)
@click.option("--outcome", type=click.Choice(OUTCOMES), default="completed", show_default=True)
@click.option("--id", "observation_id", help="Unique; the same id is not stored twice.")
@click.option("--prediction-id", default="", help="The prediction that this is the outcome of.")
@click.option("--source", default="foretell observe", show_default=True, help="Who measured it.")
@click.option(
    "--file", type=click.Path(path_type=Path), help="JSON Lines of observations; - is stdin."
)
@server_options
@json_option
def observe(
    workload: str,
    sets: tuple[str, ...],
    metrics: tuple[str, ...],
    bounds: tuple[str, ...],
    outcome: str,
    observation_id: str | None,
    prediction_id: str,
    source: str,
    file: Path | None,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Report one run by flags, or many from a file of JSON Lines.

    With --prediction-id the features need not be given again: for a day, or as long as its setting
    says, the server knows what it was asked.

    A line of the file has features, metrics, and if you like id, time, outcome and the other
    fields of an observation. Exits with 1 when the server rejects any of them.

    \b
    Example:
      foretell observe serverless --set function=sieve --set node=edge-1 --set argument=2000000 \\
          --metric duration_s=0.018 --metric memory_kb=41000
      foretell observe serverless --file runs.jsonl
    """
    from foretell.cli.connection import connect

    if (file is None) == (not (sets or prediction_id)):
        raise click.UsageError("give either --set or --prediction-id, and --metric; or --file")
    with connect(server.pop("address"), **server) as client:
        if file is not None:
            found = client.report(_from_lines(file, workload))
        else:
            observation = {
                "workload": workload,
                "features": read_features(client, workload, sets) if sets else {},
                "metrics": _numbers("--metric", metrics),
                "lower_bounds": _numbers("--at-least", bounds),
                "outcome": outcome,
                "prediction_id": prediction_id,
                "source": source,
                **({"id": observation_id} if observation_id else {}),
            }
            found = client.report([observation])
    _print(found, as_json=as_json)


def _print(found: Acknowledgements, *, as_json: bool) -> None:
    """Print what became of the observations; ClickException when any was rejected."""
    rejected = found.rejected
    if as_json:
        output.print_json(
            {
                "accepted": found.accepted,
                "already_reported": found.already_reported,
                "rejected": [{"id": r.observation_id, "reason": r.rejection} for r in rejected],
                "ids": [item.observation_id for item in found],
            }
        )
    else:
        known = f" ({found.already_reported} already reported)" if found.already_reported else ""
        click.echo(f"{found.accepted} accepted{known}, {len(rejected)} rejected")
    if rejected:
        first = rejected[0]
        raise click.ClickException(
            f"{len(rejected)} of {len(found)} rejected, the first ({first.observation_id}) "
            f"because: {first.rejection}"
        )


def _numbers(option: str, given: Sequence[str]) -> dict[str, float]:
    found, wrong = {}, []
    for name, text in pairs(option, given, "NAME=NUMBER"):
        try:
            found[name] = float(text)
        except ValueError:
            wrong.append(Violation(f"{option} {name}", text, f"{text!r} is not a number"))
    if wrong:
        raise InvalidInput(wrong)
    return found


def _from_lines(file: Path, workload: str) -> Iterator[dict[str, Any]]:
    with sys.stdin if str(file) == "-" else file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise _bad_line(file, number, f"not JSON: {error}") from None
            if not isinstance(entry, dict):
                raise _bad_line(file, number, "not a JSON object")
            yield {"workload": workload, **entry}


def _bad_line(file: Path, number: int, why: str) -> InvalidInput:
    return InvalidInput([Violation(f"{file}:{number}", "", why)])
