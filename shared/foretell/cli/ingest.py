"""`foretell ingest`: files of measurements into the trainer's store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.options import (
    catalog_option,
    data_option,
    json_option,
    more_files,
    named_files,
    some_files,
)
from foretell.cli.sources import find_schema
from foretell.cli.state import Places, state_options

if TYPE_CHECKING:
    from foretell.schema import Schema
    from foretell_trainer.catalogs import CatalogReport
    from foretell_trainer.ingest import IngestReport
    from foretell_trainer.store import Store


@click.command(short_help="Read files of measurements into the store.")
@click.argument("source", metavar="WORKLOAD_OR_SCHEMA")
@more_files
@data_option
@catalog_option
@state_options
@json_option
def ingest(
    source: str,
    more: tuple[Path, ...],
    data: tuple[Path, ...],
    catalogs: tuple[str, ...],
    places: Places,
    as_json: bool,
) -> None:
    """Read files into the DuckDB store that the worker trains from.

    A row that is there already is not stored twice. The worker may run meanwhile: the store
    is held for moments only. A schema from a file is kept in the registry.

    \b
    Example:
      foretell ingest serverless --data runs.csv later.parquet --state .foretell
    """
    from foretell.cli.tables import warn_of_absent
    from foretell_trainer.store import Store

    files = some_files(data, more)
    found = find_schema(source, places.registry)
    store = Store(places.data)
    tables = store_catalogs(store, found.schema, named_files(catalogs))
    reports = _ingest(store, found.schema, files, quiet=as_json)
    found.keep_in(places.registry)
    _tell_worker(places, store, found.schema.workload, reports)
    if as_json:
        output.print_json(_as_json(files, reports, tables))
        return
    for path, report in zip(files, reports, strict=True):
        click.echo(
            f"{path}: {report.rows} rows, {report.stored} stored, {report.duplicates} known "
            f"already, {len(report.rejected)} rejected"
        )
        warn_of_absent(report.absent_columns)
        output.print_rejections(report.rejected)
        output.print_left_out(report.left_out)
        output.print_flagged(report.flagged)
    for table in tables:
        click.echo(f"catalog {table.catalog}: {table.added} added, {table.changed} changed")
    click.echo(f"next: foretell retrain {found.schema.workload} --wait")


def _ingest(
    store: Store, schema: Schema, files: Sequence[Path], *, quiet: bool
) -> list[IngestReport]:
    from foretell_trainer.ingest import ingest_file

    reports = []
    with output.progress_bar(quiet=quiet) as progress:
        for path in progress.track(files, description="ingesting"):
            reports.append(ingest_file(store, schema, path))
    return reports


def _tell_worker(
    places: Places, store: Store, workload: str, reports: Sequence[IngestReport]
) -> None:
    """Let the worker know of what it did not store itself. Where none runs there is nobody to
    tell: the next one looks for what cannot be when it starts."""
    if places.broker_url is None:
        return
    import redis

    from foretell_trainer.news import tell_stored

    with (
        suppress(redis.RedisError),  # all is stored, whether a worker can be told or not
        redis.Redis.from_url(places.broker_url, socket_timeout=5) as client,
    ):
        stored = sum(report.stored for report in reports)
        flagged = sum(report.flagged for report in reports)
        tell_stored(client, store, workload, stored=stored, flagged=flagged)


def store_catalogs(
    store: Store, schema: Schema, files: Sequence[tuple[str, Path]]
) -> list[CatalogReport]:
    """Add catalogs from files to the store's; the newer value of a fact wins."""
    from foretell_trainer.catalogs import catalog_from_file, store_catalog

    tables = [(catalog_from_file(schema, name, path), path) for name, path in files]
    return [store_catalog(store, schema.workload, table, str(path)) for table, path in tables]


def _as_json(
    files: Sequence[Path], reports: Sequence[IngestReport], tables: Sequence[CatalogReport]
) -> dict[str, Any]:
    return {
        "files": [
            {
                "file": path,
                "rows": report.rows,
                "stored": report.stored,
                "duplicates": report.duplicates,
                "rejected": len(report.rejected),
                "rejections": [
                    {"source": r.source, "line": r.line, "reason": r.reason}
                    for r in report.rejected
                ],
                "left_out": [str(row) for row in report.left_out],
                "flagged": report.flagged,
            }
            for path, report in zip(files, reports, strict=True)
        ],
        "catalogs": tables,
    }
