"""`foretell catalog`: facts about hardware, models, functions, kept in the store."""

from __future__ import annotations

from pathlib import Path

import click

from foretell.cli import output
from foretell.cli.ingest import store_catalogs
from foretell.cli.options import FILE, json_option
from foretell.cli.sources import find_schema
from foretell.cli.state import Places, state_options


@click.group(short_help="Keep facts about hardware, models, functions.")
def catalog() -> None:
    """Keep facts about the values of a category: hardware, models, functions, nodes.

    \b
    Example:
      foretell catalog add inference hardware my-hardware.csv
      foretell catalog show inference
    """


@catalog.command("add")
@click.argument("source", metavar="WORKLOAD_OR_SCHEMA")
@click.argument("name", metavar="CATALOG")
@click.argument("file", type=FILE)
@state_options
@json_option
def add(source: str, name: str, file: Path, places: Places, as_json: bool) -> None:
    """Add the facts of a file to a catalog of the store; the newer value of a fact wins.

    \b
    Example:
      foretell catalog add serverless functions measured/functions.csv
    """
    from foretell_trainer.store import Store

    schema = find_schema(source, places.registry).schema
    report = store_catalogs(Store(places.data), schema, [(name, file)])[0]
    if as_json:
        output.print_json(report)
        return
    click.echo(f"{report.added} added, {report.changed} changed, {report.keys} in all")
    for conflict in report.conflicts:
        click.echo(f"  {conflict}")


@catalog.command("show")
@click.argument("source", metavar="WORKLOAD_OR_SCHEMA")
@state_options
@json_option
def show(source: str, places: Places, as_json: bool) -> None:
    """Show the catalogs of a workload in the store.

    \b
    Example:
      foretell catalog show serverless --json
    """
    from foretell_trainer.catalogs import stored_catalogs
    from foretell_trainer.store import Store

    schema = find_schema(source, places.registry).schema
    tables = stored_catalogs(Store(places.data), schema)
    if as_json:
        found = {t.name: {key: t.describe(key) for key in t.keys} for t in tables}
        output.print_json(found)
        return
    for table in tables:
        click.echo(f"{table.name}: {len(table)} keys, {len(table.facts)} facts")
        for key in table.keys:
            facts = ", ".join(f"{name} {value}" for name, value in table.describe(key).items())
            click.echo(f"  {key}: {facts}")
