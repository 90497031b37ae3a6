"""`foretell live` and `foretell regressions`: how answers do in the world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.options import json_option, server_options

if TYPE_CHECKING:
    from foretell.live import LiveScore, Regression


@click.command(short_help="Show how a workload's answers have done lately.")
@click.argument("workload")
@click.option("--groups", is_flag=True, help="Of each group, too.")
@server_options
@json_option
def live(
    workload: str,
    groups: bool,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Show coverage, bias and error of the answers to the newest outcomes.

    Of the bundle that is served, with its corrections, and of the candidate that answers
    alongside, if there is one.

    \b
    Example:
      foretell live serverless --groups
    """
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        scores = client.live_scores(workload, groups=groups)
    if as_json:
        output.print_json([score.model_dump() for score in scores])
    elif not scores:
        click.echo("no outcomes since the current bundle was made")
    else:
        header = ["metric", "of", "bundle", "outcomes", "in 90 %", "ratio", "error", "alarms"]
        output.print_table(header, [_score_row(score) for score in scores])


@click.command(short_help="Show what has become slower, or costs more, than it did.")
@click.argument("workload")
@server_options
@json_option
def regressions(
    workload: str,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Show the groups that are worse than they were by more than `regression_percent`.

    \b
    Example:
      foretell regressions serverless
    """
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        found = client.regressions(workload)
    if as_json:
        output.print_json([regression.model_dump() for regression in found])
    elif not found:
        click.echo("nothing has become slower")
    else:
        header = ["metric", "of", "times worse", "since (UTC)", "version", "outcomes", "before"]
        output.print_table(header, [_regression_row(regression) for regression in found])


def _score_row(score: LiveScore) -> list[str]:
    return [
        score.metric,
        _named(score.group),
        f"{score.bundle_version}{' (candidate)' if score.is_shadow else ''}",
        str(score.outcomes),
        f"{score.coverage:.0%}",
        f"{score.median_ratio:.3g}",
        f"{score.median_error:.1%}",
        ", ".join(score.alarms),
    ]


def _regression_row(found: Regression) -> list[str]:
    return [
        found.metric,
        _named(found.group),
        f"{found.ratio:.2f}",
        f"{found.since:%Y-%m-%d %H:%M:%S}",
        f"{found.baseline_tag or '?'} → {found.tag}" if found.tag else "",
        str(found.outcomes),
        str(found.baseline),
    ]


def _named(group: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in group.items()) or "all"
