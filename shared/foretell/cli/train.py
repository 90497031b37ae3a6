"""`foretell train`: files in, a published bundle out, in this process and without a broker."""

from __future__ import annotations

import getpass
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.evaluate import print_report
from foretell.cli.options import (
    catalog_option,
    data_option,
    fit_options,
    json_option,
    more_files,
    named_files,
    registry_option,
    some_files,
    split_options,
)
from foretell.cli.sources import SchemaSource, find_schema, open_registry

if TYPE_CHECKING:
    from foretell.bundle import Manifest
    from foretell.catalog import CatalogTable
    from foretell.registry import Registry
    from foretell.schema import Schema
    from foretell_trainer.engine.training_set import FitSettings, Progress
    from foretell_trainer.gate.gate import Trial
    from foretell_trainer.gate.verdict import Verdict
    from foretell_trainer.ingest import IngestReport
    from foretell_trainer.snapshot import Snapshot


_MOST_NAMES = 10


@click.command(short_help="Train from files, in this process, and publish.")
@click.argument("source", metavar="WORKLOAD_OR_SCHEMA")
@more_files
@data_option
@catalog_option
@registry_option
@fit_options
@split_options
@click.option(
    "--search",
    metavar="trials=N,seconds=S",
    help="First search for settings that err less than the defaults, within this budget.",
)
@click.option("--untuned", is_flag=True, help="Use the defaults, whatever `foretell tune` kept.")
@click.option(
    "--gate",
    is_flag=True,
    help="Compare with the current bundle on rows that neither saw; a worse one is a candidate.",
)
@json_option
def train(
    source: str,
    more: tuple[Path, ...],
    data: tuple[Path, ...],
    catalogs: tuple[str, ...],
    registry: Path | None,
    family: str | None,
    split: str | None,
    folds: int,
    search: str | None,
    untuned: bool,
    gate: bool,
    as_json: bool,
) -> None:
    """Train a workload from files of measurements, and publish the bundle as current.

    It takes over uncompared, unless --gate is given: then rows are held out, and a bundle that is
    worse than the current one is published as `candidate`.

    WORKLOAD_OR_SCHEMA is a built-in workload (serverless, inference), one that the registry
    knows, or a schema's file. A schema from a file is kept in the registry, so that later
    commands can name the workload. With --split the bundle's report card also says how good
    bundles are that did not see the rows, at the cost of one more training for each fold.

    \b
    Example:
      foretell train serverless --data runs.csv --catalog functions=functions.csv
      foretell train render.yaml --data 2025.parquet --data 2026.parquet --registry models
    """
    files = some_files(data, more)
    place = open_registry(registry)
    found = find_schema(source, place)
    began = time.monotonic()
    how = _How(family, split, folds, search, untuned, gate)
    result = _train(found, files, named_files(catalogs), place, how, quiet=as_json)
    seconds = time.monotonic() - began
    if as_json:
        output.print_json(_as_json(result, place, seconds))
    else:
        _print(result, place, seconds)


@dataclass(frozen=True)
class _How:
    """What was asked of the fit."""

    family: str | None
    split: str | None
    folds: int
    search: str | None
    untuned: bool
    gate: bool


@dataclass(frozen=True)
class _Result:
    manifest: Manifest
    report: IngestReport
    conflicts: Sequence[str]
    verdict: Verdict | None
    """What the gate says; None when it was not asked."""

    @property
    def alias(self) -> str:
        """What the bundle was published as."""
        return "current" if self.verdict is None or self.verdict.promote else "candidate"


def _train(
    found: SchemaSource,
    files: Sequence[Path],
    catalogs: Sequence[tuple[str, Path]],
    place: Registry,
    how: _How,
    *,
    quiet: bool,
) -> _Result:
    from foretell.errors import InvalidInput, Violation
    from foretell_trainer.catalogs import catalogs_from_files
    from foretell_trainer.snapshot import snapshot_from_files
    from foretell_trainer.training import train as fit

    schema = found.schema
    with tempfile.TemporaryDirectory(prefix="foretell-train-") as scratch:
        tables, reports = catalogs_from_files(schema, catalogs)
        snapshot, report = snapshot_from_files(schema, files, Path(scratch) / "snapshot")
        output.print_rejections(report.rejected, quiet=quiet)
        output.print_left_out(report.left_out, quiet=quiet)
        output.print_flagged(report.flagged, quiet=quiet)
        if not snapshot.rows:
            first = f", the first because: {report.rejected[0]}" if report.rejected else ""
            why = f"none of {report.rows} rows can be trained on{first}"
            raise InvalidInput([Violation("data", "", why)], why)
        # A registry that cannot be written is said before the fit, not after it.
        place.root.mkdir(parents=True, exist_ok=True)
        folder = Path(scratch) / "bundle"
        trial = _trial(schema, snapshot, tables, place, Path(scratch)) if how.gate else None
        if trial is not None:
            snapshot = trial.snapshot
        with output.progress_of("reading", quiet=quiet) as tell:
            settings, validated = _settled((schema, snapshot, tables), place, how, tell)
            manifest = fit(schema, snapshot, tables, folder, settings, tell, validated=validated)
        found.keep_in(place)
        verdict = None if trial is None else trial.judge(folder)
        why = "not compared" if verdict is None else verdict.sentence()
        version = place.publish(
            schema.workload,
            folder,
            promote=verdict is None or verdict.promote,
            who=getpass.getuser(),
            why=f"foretell train: {why}",
        )
        manifest = place.manifest(schema.workload, version)
    conflicts = [conflict for r in reports for conflict in r.conflicts]
    return _Result(manifest, report, conflicts, verdict)


def _trial(
    schema: Schema,
    snapshot: Snapshot,
    catalogs: Sequence[CatalogTable],
    place: Registry,
    scratch: Path,
) -> Trial:
    """Return what is fitted on and what judges it, held out of it."""
    from foretell.settings import load_settings
    from foretell_trainer.gate.gate import Gate

    gate = Gate(place, snapshot.path.parent, load_settings())
    return gate.hold_out(schema, snapshot, catalogs, scratch)


def _settled(
    rows: tuple[Schema, Snapshot, Sequence[CatalogTable]],
    place: Registry,
    how: _How,
    tell: Progress,
) -> tuple[FitSettings, dict[str, Any]]:
    """Return how to fit, and what search and cross-validation, where asked for, say of it."""
    from foretell.settings import load_settings
    from foretell.splits import parse_split
    from foretell_trainer.cross_validation import cross_validate
    from foretell_trainer.search.budget import Budget
    from foretell_trainer.search.job import search_snapshot
    from foretell_trainer.training import FitSettings
    from foretell_trainer.tuned import read_tuned

    schema = rows[0]
    family = how.family or schema.family
    tuned = {} if how.untuned else read_tuned(place.root, schema.workload, family)
    settings = FitSettings(family=family, tuned=tuned)
    validated: dict[str, Any] = {}
    if how.search is not None:
        budget, folder = Budget.parse(how.search), load_settings().data / "searches"
        verdict = search_snapshot(*rows, settings, budget, folder, progress=tell)
        validated["search"] = verdict.describe()
        if verdict.is_better:
            settings = replace(settings, tuned=dict(verdict.tuned))
    if how.split is not None:
        split = parse_split(how.split, schema, how.folds)
        validated["cross_validation"] = cross_validate(*rows, split, settings, tell)
    return settings, validated


def _as_json(result: _Result, place: Registry, seconds: float) -> dict[str, Any]:
    manifest, report = result.manifest, result.report
    return {
        "workload": manifest.workload,
        "version": manifest.version,
        "alias": result.alias,
        "gate": None if result.verdict is None else result.verdict.sentence(),
        "registry": str(place.root),
        "rows": report.rows,
        "rows_used": manifest.lineage.rows,
        "rejected": len(report.rejected),
        "rejections": [
            {"source": r.source, "line": r.line, "reason": r.reason} for r in report.rejected
        ],
        "left_out": [str(row) for row in report.left_out],
        "duplicates": report.duplicates,
        "unused_columns": report.unused_columns,
        "absent_columns": report.absent_columns,
        "catalog_conflicts": result.conflicts,
        "seconds": round(seconds, 3),
        "evaluation": manifest.evaluation,
    }


def _what_catalogs_knew(manifest: Manifest) -> Iterator[str]:
    """Yield, for each catalog that knows anything, which names it read otherwise or not at all."""
    keys = {catalog.name: catalog.key for catalog in manifest.schema_.catalogs}
    for table in filter(len, manifest.catalogs):
        values = manifest.vocabulary[keys[table.name]]
        found = {value: table.key_of(value) for value in values}
        read = [f"{value} as {key}" for value, key in found.items() if key not in (None, value)]
        without = [value for value, key in found.items() if key is None]
        if read:
            yield f"catalog {table.name}: read {', '.join(read)}"
        if without:
            yield f"catalog {table.name}: no facts about {', '.join(without[:_MOST_NAMES])}" + (
                f" and {len(without) - _MOST_NAMES} more" if len(without) > _MOST_NAMES else ""
            )


def _judged(result: _Result) -> str:
    """Return what became of the comparison with the bundle before, for people."""
    if result.verdict is not None:
        return result.verdict.sentence()
    return "not compared with the bundle before; with --gate it would be"


def _print(result: _Result, place: Registry, seconds: float) -> None:
    manifest, report = result.manifest, result.report
    workload = manifest.workload
    click.echo(
        f"trained {workload} in {seconds:.1f} s on {manifest.lineage.rows} rows "
        f"({report.rows} read, {len(report.rejected)} rejected, {report.duplicates} twice)"
    )
    if report.unused_columns:
        click.echo(f"columns not used: {', '.join(report.unused_columns)}")
    if report.absent_columns:
        lacking = ", ".join(report.absent_columns)
        click.echo(
            f"columns of the schema that the files lack: {lacking}; the bundle learns nothing "
            "about them, and answers to who sends them have no support"
        )
    for line in _what_catalogs_knew(manifest):
        click.echo(line)
    for conflict in result.conflicts:
        click.echo(f"two values for one fact, the later is used: {conflict}")
    if "search" in manifest.evaluation:
        click.echo(f"search: {manifest.evaluation['search']['verdict']}")
    elif manifest.training["settings"]["tuned"]:
        click.echo("fitted with what `foretell tune` kept")
    if "cross_validation" in manifest.evaluation:
        print_report(manifest.evaluation["cross_validation"])
    click.echo(f"published {manifest.version} as {result.alias} in {place.root}")
    click.echo(_judged(result))
    shelf = f"--registry {place.root}"
    click.echo(f"next: foretell serve {shelf}   or: foretell predict {workload} {shelf} --data …")
