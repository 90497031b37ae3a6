"""`foretell prequential`: how fast a family learns, on measurements in the order they came."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict
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
    registry_option,
    some_files,
)
from foretell.cli.sources import find_schema, open_registry

if TYPE_CHECKING:
    from foretell_trainer.prequential import Point

_BAR = 40


@click.command(short_help="Replay files in time: predict each row, then learn it.")
@click.argument("source", metavar="WORKLOAD_OR_SCHEMA")
@more_files
@data_option
@catalog_option
@registry_option
@fit_options
@click.option(
    "--every",
    type=click.IntRange(min=10),
    default=100,
    show_default=True,
    help="Rows between two points of the curve; other families than sgd are fitted anew there.",
)
@click.option("--plot", is_flag=True, help="Draw the curve: normalised RMSE of the last rows.")
@json_option
def prequential(
    source: str,
    more: tuple[Path, ...],
    data: tuple[Path, ...],
    catalogs: tuple[str, ...],
    registry: Path | None,
    family: str | None,
    every: int,
    plot: bool,
    as_json: bool,
) -> None:
    """Predict each row of some files from those before it, then learn from it.

    Rows are taken in the order of their time, or of the file where they have none. Printed is
    the learning curve: RMSE, the same over the standard deviation of what was measured (1 is no
    better than a mean), and MAPE, of the last rows and of all so far. Nothing is published.

    \b
    Example:
      foretell prequential serverless --data runs.csv --family sgd --every 50 --plot
    """
    from foretell_trainer.catalogs import catalogs_from_files
    from foretell_trainer.prequential import replay
    from foretell_trainer.snapshot import read_snapshot, snapshot_from_files
    from foretell_trainer.training import FitSettings

    files = some_files(data, more)
    schema = find_schema(source, open_registry(registry)).schema
    settings = FitSettings(family=family or schema.family)
    with (
        tempfile.TemporaryDirectory(prefix="foretell-prequential-") as scratch,
        output.progress_of("reading", quiet=as_json) as tell,
    ):
        tables, _ = catalogs_from_files(schema, named_files(catalogs))
        snapshot, found = snapshot_from_files(schema, files, Path(scratch))
        columns = read_snapshot(snapshot, schema)
        points = list(replay(schema, columns, tables, settings, every=every, progress=tell))
    output.print_rejections(found.rejected, quiet=as_json)
    output.print_left_out(found.left_out, quiet=as_json)
    if as_json:
        told = {"workload": schema.workload, "family": settings.family, "every": every}
        output.print_json({**told, "points": [asdict(point) for point in points]})
        return
    for metric in schema.metrics:
        _print(metric.name, metric.unit, points, plot=plot)


def _print(metric: str, unit: str, points: Sequence[Point], *, plot: bool) -> None:
    measured = [point for point in points if metric in point.last]
    click.echo(f"{metric}{'' if unit == '1' else f', {unit}'}")
    header = ["rows", "RMSE", "normalised", "MAPE", "RMSE so far", "normalised", "MAPE"]
    most = max((point.last[metric].nrmse for point in measured), default=1.0) or 1.0
    rows = []
    for point in measured:
        cells = [str(point.learnt + point.last[metric].rows)]
        for score in (point.last[metric], point.so_far[metric]):
            share = f"{100 * score.mape:.1f} %"
            cells += [output.short(score.rmse), f"{score.nrmse:.3f}", share]
        bar = "█" * round(_BAR * point.last[metric].nrmse / most)
        rows.append([*cells, bar] if plot else cells)
    output.print_table([*header, "normalised RMSE"] if plot else header, rows, indent=2)
