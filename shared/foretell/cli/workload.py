"""`foretell workload`: schemas shown, written from a table, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.options import FILE, json_option, registry_option, server_options
from foretell.cli.sources import find_schema, is_schema_file, open_registry
from foretell.disk import naming
from foretell.errors import InvalidInput, SchemaError, Violation

if TYPE_CHECKING:
    from foretell.schema import Feature, Schema


@click.group(short_help="Show, write and check schemas.")
def workload() -> None:
    """Show, write and check the schemas of workloads.

    \b
    Example:
      foretell workload init render --from runs.csv --metric seconds:s
      foretell workload check render.yaml
    """


@workload.command("list")
@registry_option
@server_options
@json_option
def list_workloads(
    registry: Path | None,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """List the workloads of a registry, or of a server with --address.

    \b
    Example:
      foretell workload list
    """
    rows = _of_server(server) if server["address"] is not None else _of_registry(registry)
    if as_json:
        output.print_json(rows)
        return
    lines = [[r["workload"], r["bundle"] or "-", ", ".join(r["metrics"]), r["title"]] for r in rows]
    output.print_table(["workload", "bundle", "metrics", ""], lines)


def _of_registry(folder: Path | None) -> list[dict[str, Any]]:
    from foretell.schema_file import builtin_schemas

    place = open_registry(folder)
    found = []
    for name in sorted({*place.workloads(), *builtin_schemas()}):
        schema = place.schema(name)
        found.append(
            {
                "workload": name,
                "title": schema.title,
                "metrics": schema.metric_names,
                "bundle": place.aliases(name).get("current", ""),
            }
        )
    return found


def _of_server(server: dict[str, Any]) -> list[dict[str, Any]]:
    from foretell.cli.connection import connect

    with connect(server.pop("address"), **server) as client:
        return [
            {"workload": w.name, "title": w.title, "metrics": w.metrics, "bundle": w.bundle_version}
            for w in client.workloads()
        ]


@workload.command("show")
@click.argument("source", metavar="WORKLOAD_OR_SCHEMA")
@registry_option
@json_option
def show(source: str, registry: Path | None, as_json: bool) -> None:
    """Show what a workload is described by, and what is predicted of it.

    \b
    Example:
      foretell workload show inference
    """
    schema = find_schema(source, open_registry(registry)).schema
    if as_json:
        output.print_json({**schema.model_dump(mode="json"), "fingerprint": schema.fingerprint})
    else:
        _print_schema(schema)


def _print_schema(schema: Schema) -> None:
    click.echo(f"{schema.workload}: {schema.title}")
    rows = [_feature_row(feature, "feature") for feature in schema.features]
    for catalog in schema.catalogs:
        rows += [_feature_row(fact, f"{catalog.name} by {catalog.key}") for fact in catalog.facts]
    rows += [
        [m.name, f"metric, {m.direction} is better", m.unit, m.scale, m.description]
        for m in schema.metrics
    ]
    output.print_table(["name", "what", "unit", "scale", ""], rows)
    if schema.groups:
        click.echo("groups: " + "; ".join(" x ".join(group) for group in schema.groups))


def _feature_row(feature: Feature, place: str) -> list[str]:
    what = f"{place}, {feature.kind}" + (", required" if feature.required else "")
    unit = feature.unit if feature.kind == "number" else ""
    scale = feature.scale if feature.kind == "number" else ""
    return [feature.name, what, unit, scale, feature.description]


@workload.command("init")
@click.argument("name")
@click.option("--from", "table", type=FILE, required=True, help="CSV, Parquet, JSON Lines, DuckDB.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    required=True,
    metavar="COLUMN[:UNIT]",
    help="A column to predict; may be given many times.",
)
@click.option(
    "--leave-out",
    "not_known",
    multiple=True,
    metavar="COLUMN",
    help="A column that nobody knows before the work runs; may be given many times.",
)
@click.option("--out", type=FILE, help="File to write; - prints it.  [default: NAME.yaml]")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@json_option
def init(
    name: str,
    table: Path,
    metrics: tuple[str, ...],
    not_known: tuple[str, ...],
    out: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a first schema for a table of your own; what is guessed says that it is a guess.

    \b
    Example:
      foretell workload init render --from runs.csv --metric seconds:s --metric peak_mb:MB
    """
    from foretell.schema_file import load_schema
    from foretell.schema_guess import guess_schema
    from foretell_trainer.readers import read_table

    found = read_table(table)
    # Before anything is guessed: rows that cannot be read may be why nothing can.
    output.print_rejections(found.rejected, quiet=as_json)
    wanted = _metrics(metrics, list(found.columns))
    text = guess_schema(name, found.columns, wanted, not_known)
    target = out or Path(f"{name}.yaml")
    if str(target) == "-":
        click.echo(text, nl=False)
        return
    if target.exists() and not force:
        why = f"{target} is there already; --force overwrites it"
        raise InvalidInput([Violation("--out", str(target), why)])
    with naming(target):
        target.write_text(text, encoding="utf-8")
    guesses = sum("guess" in line for line in text.splitlines()) - 1
    features = [feature.name for feature in load_schema(target).features]
    if as_json:
        told = {"workload": name, "file": target, "features": features, "guesses": guesses}
        output.print_json(told)
        return
    click.echo(f"wrote {target}, which predicts {', '.join(wanted)} from {', '.join(features)}")
    click.echo("--leave-out a COLUMN that nobody knows before the work runs")
    click.echo(f"look at its {guesses} guesses, then:")
    click.echo(f"  foretell workload check {target} --data {table}")
    click.echo(f"  foretell train {target} --data {table}")


def _metrics(given: Sequence[str], columns: Sequence[str]) -> dict[str, str | None]:
    """Return COLUMN[:UNIT] as a mapping; a column may itself have a colon in its name."""
    found: dict[str, str | None] = {}
    for text in given:
        column, colon, unit = text.rpartition(":")
        if text in columns or not colon:
            found[text] = None
        else:
            found[column] = unit or None
    return found


@workload.command("check")
@click.argument("source", metavar="WORKLOAD_OR_SCHEMA")
@click.option("--data", type=FILE, help="Also check whether this file fits the schema.")
@registry_option
@json_option
def check(source: str, data: Path | None, registry: Path | None, as_json: bool) -> None:
    """Check a schema's file, and with --data whether a table fits it; exits with 1 if not.

    \b
    Example:
      foretell workload check render.yaml --data runs.csv
    """
    try:
        schema = find_schema(source, open_registry(registry)).schema
    except SchemaError as error:
        _report_problems(error, as_json=as_json)
        raise click.ClickException(
            f"{source}: {_count(len(error.violations), 'problem')}"
        ) from None
    report = _check_table(schema, data) if data is not None else None
    if as_json:
        about = {"ok": True, "workload": schema.workload, "fingerprint": schema.fingerprint}
        output.print_json({**about, **({"data": report} if report else {})})
    else:
        kind = "file" if is_schema_file(source) else "workload"
        click.echo(
            f"{kind} {source} is fine: {_count(len(schema.features), 'feature')}, "
            f"{_count(len(schema.metrics), 'metric')}, {_count(len(schema.groups), 'group')}"
        )
        if report is not None:
            _print_table_report(report)
    if report is not None and report["rows"] == report["rejected"]:
        raise click.ClickException(f"none of the {report['rows']} rows of {data} can be used")


def _report_problems(error: SchemaError, *, as_json: bool) -> None:
    if as_json:
        problems = [{"field": v.field, "message": v.message} for v in error.violations]
        output.print_json({"ok": False, "problems": problems})
        return
    for violation in error.violations:
        click.echo(violation.message)


def _check_table(schema: Schema, data: Path) -> dict[str, Any]:
    from foretell_trainer.ingest import check_file

    checked = check_file(schema, data)
    return {
        "rows": checked.rows,
        "rejected": len(checked.batch.rejected),
        "rejections": [str(row) for row in checked.batch.rejected],
        "left_out": [str(row) for row in checked.batch.left_out],
        "unused_columns": checked.unused_columns,
        "absent_columns": checked.absent_columns,
    }


def _print_table_report(report: dict[str, Any]) -> None:
    click.echo(f"{report['rows']} rows, {report['rejected']} of them cannot be used")
    output.print_rejections(report["rejections"])
    output.print_left_out(report["left_out"])
    for what in ("unused", "absent"):
        if report[f"{what}_columns"]:
            click.echo(f"{what} columns: {', '.join(report[f'{what}_columns'])}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
