"""`foretell models`: the bundles of a registry or a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.bundles import resolve
from foretell.cli.options import json_option, registry_option, server_options
from foretell.cli.sources import open_registry

if TYPE_CHECKING:
    from foretell.registry import Registry


@click.group(short_help="Show the bundles of a registry or a server.")
def models() -> None:
    """Show the bundles of a registry (--registry) or of a running server (--address).

    \b
    Example:
      foretell models list
      foretell models show serverless current
    """


@models.command("list")
@click.argument("workload", required=False)
@registry_option
@server_options
@json_option
def list_models(
    workload: str | None,
    registry: Path | None,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """List bundles, newest first, of one workload or of all.

    \b
    Example:
      foretell models list serverless --registry models
      foretell models list --address localhost:50051
    """
    if server["address"] is not None:
        rows = _of_server(workload, server)
    else:
        place = open_registry(registry)
        names = [workload] if workload else place.workloads()
        rows = [row for name in names for row in _of_registry(place, name)]
    if as_json:
        output.print_json(rows)
    elif not rows:
        click.echo("no bundles yet; foretell train, or foretell retrain, makes one")
    else:
        _print(rows)


def _of_registry(place: Registry, workload: str) -> list[dict[str, Any]]:
    from foretell.errors import BundleRejected

    place.schema(workload)
    aliases = place.aliases(workload)
    rows: list[dict[str, Any]] = []
    for version in place.versions(workload) if workload in place.workloads() else []:
        row: dict[str, Any] = {
            "workload": workload,
            "version": version,
            "aliases": [alias for alias, meant in aliases.items() if meant == version],
        }
        try:
            manifest = place.manifest(workload, version)
        except BundleRejected as error:
            rows.append({**row, "rows": None, "created_at": None, "refusal": error.why})
        else:
            created = manifest.created_at
            rows.append(
                {**row, "rows": manifest.lineage.rows, "created_at": created, "refusal": ""}
            )
    return rows


def _of_server(workload: str | None, server: dict[str, Any]) -> list[dict[str, Any]]:
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        names = [workload] if workload else [w.name for w in client.workloads()]
        return [
            {
                "workload": bundle.workload,
                "version": bundle.version,
                "aliases": list(bundle.aliases),
                "rows": bundle.training_rows,
                "created_at": bundle.created_at,
                "serving": bundle.serving,
                "refusal": bundle.refusal,
            }
            for name in names
            for bundle in client.bundles(name)
        ]


def _print(rows: Sequence[dict[str, Any]]) -> None:
    lines = [
        [
            row["workload"],
            row["version"],
            ", ".join(row["aliases"]),
            "-" if row["rows"] is None else str(row["rows"]),
            f"refused: {row['refusal']}" if row["refusal"] else "",
        ]
        for row in rows
    ]
    output.print_table(["workload", "version", "aliases", "rows", ""], lines)


@models.command("show")
@click.argument("workload")
@click.argument("version", default="current")
@registry_option
@json_option
def show(workload: str, version: str, registry: Path | None, as_json: bool) -> None:
    """Show one bundle: what it was trained on, when, and its report card.

    VERSION is a version or an alias: current, candidate, previous.

    \b
    Example:
      foretell models show serverless current --json
    """
    place = open_registry(registry)
    manifest = place.manifest(workload, resolve(place, workload, version))
    aliases = [a for a, meant in place.aliases(workload).items() if meant == manifest.version]
    lineage = manifest.lineage
    if as_json:
        output.print_json(
            {
                "workload": workload,
                "version": manifest.version,
                "aliases": aliases,
                "created_at": manifest.created_at,
                "family": manifest.family,
                "lineage": lineage.model_dump(),
                "training": manifest.training,
                "evaluation": manifest.evaluation,
                "libraries": manifest.libraries,
                "files": {name: file.model_dump() for name, file in manifest.files.items()},
            }
        )
        return
    click.echo(f"{workload} {manifest.version} {', '.join(aliases)}".rstrip())
    click.echo(f"  made       {manifest.created_at:%Y-%m-%d %H:%M:%S %Z}")
    click.echo(f"  trained on {lineage.rows} rows from {', '.join(lineage.sources) or 'unnamed'}")
    click.echo(f"  snapshot   sha256 {lineage.snapshot_sha256}")
    rows = _report_rows(manifest.evaluation)
    if rows:
        click.echo("  report card, of forecasts made out of fold:")
        header = [
            "metric",
            "split",
            "rows",
            "median error",
            "mean error",
            "80 % holds",
            "95 % holds",
        ]
        output.print_table(header, rows, indent=4)


def _report_rows(card: Mapping[str, Any]) -> list[list[str]]:
    """Return the lines of a report card, one per metric and split."""
    return [
        [
            metric,
            split,
            str(found.get("rows", "")),
            _percent(found.get("median_ape")),
            _percent(found.get("mape")),
            _percent(found.get("coverage", {}).get("0.8")),
            _percent(found.get("coverage", {}).get("0.95")),
        ]
        for metric, about in card.get("metrics", {}).items()
        for split, found in about.get("splits", {}).items()
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
