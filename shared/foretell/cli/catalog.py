"""`foretell catalog`: facts about hardware, models, functions: shipped, and kept in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foretell.cli import output
from foretell.cli.ingest import store_catalogs
from foretell.cli.options import FILE, json_option
from foretell.cli.sources import find_schema
from foretell.cli.state import Places, state_options

if TYPE_CHECKING:
    from foretell.catalog import CatalogTable
    from foretell.schema import Schema


@click.group(short_help="Keep facts about hardware, models, functions.")
def catalog() -> None:
    """Keep facts about the values of a category: hardware, models, functions, nodes.

    A catalog of common hardware ships with Foretell, and is used where a built-in workload has
    none of its own.

    \b
    Example:
      foretell catalog list
      foretell catalog show inference "NVIDIA A100-SXM4-80GB"
      foretell catalog add inference hardware my-hardware.csv
    """


@catalog.command("list")
@click.argument("source", metavar="[WORKLOAD_OR_SCHEMA]", required=False)
@state_options
@json_option
def listing(source: str | None, places: Places, as_json: bool) -> None:
    """List the catalogs that ship with Foretell, or those of a workload and where they are.

    \b
    Example:
      foretell catalog list inference
    """
    found = list(_of_workload(source, places) if source else _shipped())
    if as_json:
        output.print_json(found)
        return
    header = ("catalog", "describes", "keys", "facts", "from")
    rows = [(c.name, c.describes, str(c.keys), ", ".join(c.facts), c.origin) for c in found]
    output.print_table(header, rows)


@catalog.command("add")
@click.argument("source", metavar="WORKLOAD_OR_SCHEMA")
@click.argument("name", metavar="CATALOG")
@click.argument("file", type=FILE)
@state_options
@json_option
def add(source: str, name: str, file: Path, places: Places, as_json: bool) -> None:
    """Add the facts of a file to a catalog of the store; the newer value of a fact wins.

    The file `builtin` is the catalog of that name that ships with Foretell: it is used by itself
    only as long as the store has none.

    \b
    Example:
      foretell catalog add serverless functions measured/functions.csv
      foretell catalog add inference hardware builtin
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
@click.argument("names", metavar="[NAME]…", nargs=-1)
@state_options
@json_option
def show(source: str, names: tuple[str, ...], places: Places, as_json: bool) -> None:
    """Show the facts that a workload's next training will use: all, or those of some names.

    \b
    Example:
      foretell catalog show serverless --json
      foretell catalog show inference rtx4090 "Tesla T4"
    """
    from foretell.errors import NotFound
    from foretell_trainer.catalogs import stored_catalogs
    from foretell_trainer.store import Store

    schema = find_schema(source, places.registry).schema
    tables = stored_catalogs(Store(places.data), schema)
    unknown = [name for name in names if not any(table.key_of(name) for table in tables)]
    if unknown:
        raise NotFound("name in the catalogs", unknown[0], [k for t in tables for k in t.keys])
    if as_json:
        output.print_json({t.name: {k: t.describe(k) for k in _keys(t, names)} for t in tables})
        return
    for table in tables:
        click.echo(f"{table.name}: {len(table)} keys, {len(table.facts)} facts")
        for key in _keys(table, names):
            facts = ", ".join(f"{name} {value}" for name, value in table.describe(key).items())
            click.echo(f"  {key}: {facts}")


@dataclass(frozen=True)
class _Listed:
    name: str
    describes: str
    keys: int
    facts: tuple[str, ...]
    origin: str


def _shipped() -> Iterator[_Listed]:
    from foretell.shipped import shipped_columns, shipped_names

    for name in shipped_names():
        columns = shipped_columns(name)
        key, *facts = columns
        yield _Listed(name, key, len(columns[key]), tuple(facts), "shipped")


def _of_workload(source: str, places: Places) -> Iterator[_Listed]:
    from foretell_trainer.catalogs import catalogs_from_files, stored_catalogs
    from foretell_trainer.store import Store

    schema: Schema = find_schema(source, places.registry).schema
    defaults, _ = catalogs_from_files(schema, [])
    stored = stored_catalogs(Store(places.data), schema)
    for declared, default, table in zip(schema.catalogs, defaults, stored, strict=True):
        origin = "the store" if table != default else "shipped" if len(default) else "nothing yet"
        yield _Listed(table.name, declared.key, len(table), tuple(table.facts), origin)


def _keys(table: CatalogTable, names: tuple[str, ...]) -> list[str]:
    found = filter(None, map(table.key_of, names))
    return list(dict.fromkeys(found)) if names else list(table.keys)
