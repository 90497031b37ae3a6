"""`foretell tune`: settings that err less than the defaults, searched for within a budget."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from foretell.cli import output
from foretell.cli.options import (
    catalog_option,
    data_option,
    fit_options,
    json_option,
    more_files,
    named_files,
    some_files,
)
from foretell.cli.sources import SchemaSource, find_schema
from foretell.cli.state import Places, state_options

if TYPE_CHECKING:
    from foretell_trainer.search.budget import Budget, Verdict


@click.command(short_help="Search for settings that err less than the defaults.")
@click.argument("source", metavar="WORKLOAD_OR_SCHEMA")
@more_files
@data_option
@catalog_option
@state_options
@fit_options
@click.option("--trials", type=click.IntRange(min=1), default=50, show_default=True, help="In all.")
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=600, show_default=True, help="Of this run."
)
@click.option("--workers", is_flag=True, help="Spread the trials over the broker's workers, too.")
@click.option("--broker-url", help="With --workers.  [default: that of the settings]")
@click.option("--dry-run", is_flag=True, help="Keep nothing for later trainings.")
@click.option("--forget", is_flag=True, help="Return to the defaults, and search for nothing.")
@json_option
def tune(
    source: str,
    more: tuple[Path, ...],
    data: tuple[Path, ...],
    catalogs: tuple[str, ...],
    places: Places,
    family: str | None,
    trials: int,
    seconds: float,
    workers: bool,
    broker_url: str | None,
    dry_run: bool,
    forget: bool,
    as_json: bool,
) -> None:
    """Search for settings of a workload's family that err less than the defaults.

    What wins is compared with the defaults once more, on folds that no trial saw. If it is
    better by more than noise, the registry keeps it, and later trainings of the workload use it.
    A search that was cut short goes on where it was when it is called again on the same data.

    \b
    Example:
      foretell tune inference --data runs.csv --trials 30 --seconds 900
    """
    from foretell_trainer.search.budget import Budget
    from foretell_trainer.tuned import forget_tuned, write_tuned

    found = find_schema(source, places.registry)
    workload, root = found.schema.workload, places.registry.root
    if forget:
        gone = forget_tuned(root, workload)
        output.say(f"{workload}: {'the defaults hold again' if gone else 'nothing was kept'}")
        return
    broker = (broker_url or _broker_url()) if workers else None
    verdict = _search(
        *(found, some_files(data, more), catalogs, places, family),
        Budget(trials, seconds),
        broker,
        quiet=as_json,
    )
    kept = verdict.is_better and not dry_run
    if kept:
        found.keep_in(places.registry)
        write_tuned(root, workload, verdict.describe())
    if as_json:
        output.print_json({"workload": workload, **verdict.describe(), "kept": kept})
    else:
        _print(workload, verdict, root if kept else None)


def _search(
    found: SchemaSource,
    files: list[Path],
    catalogs: tuple[str, ...],
    places: Places,
    family: str | None,
    budget: Budget,
    broker: str | None,
    *,
    quiet: bool,
) -> Verdict:
    from foretell_trainer.catalogs import catalogs_from_files
    from foretell_trainer.crew.sharing import Help
    from foretell_trainer.search.job import search_snapshot
    from foretell_trainer.snapshot import snapshot_from_files
    from foretell_trainer.training import FitSettings

    schema = found.schema
    folder = places.data / "searches"
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the store: there the workers of this store can read it.
    with (
        tempfile.TemporaryDirectory(prefix=".snapshot-", dir=folder) as scratch,
        output.progress_of("reading", quiet=quiet) as tell,
    ):
        tables, _ = catalogs_from_files(schema, named_files(catalogs))
        snapshot, report = snapshot_from_files(schema, files, Path(scratch).resolve())
        output.print_rejections(report.rejected, quiet=quiet)
        output.print_left_out(report.left_out, quiet=quiet)
        return search_snapshot(
            *(schema, snapshot, tables, FitSettings(family=family or schema.family)),
            budget,
            folder,
            helped_by=Help(broker, is_worker=False) if broker else None,
            progress=tell,
        )


def _broker_url() -> str:
    from foretell.settings import load_settings

    return load_settings().broker_url


def _print(workload: str, verdict: Verdict, registry: Path | None) -> None:
    click.echo(
        f"{workload} ({verdict.family}): {verdict.trials} trials, {verdict.stopped} stopped early, "
        f"{verdict.failed} failed or cut short, in {verdict.seconds:.0f} s"
    )
    click.echo(verdict.words)
    for name, value in verdict.tuned.items():
        click.echo(f"  {name} {output.short(value)}")
    if registry is not None:
        click.echo(f"kept in {registry}: later trainings of {workload} use it")
