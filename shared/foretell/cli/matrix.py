"""`foretell matrix`: all combinations of some features' values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.deciding import answering, answering_options, asked_by, axis_values, features_of
from foretell.cli.options import FILE, pairs
from foretell.cli.pictures import check_pictures, draw, estimate, print_rows, writing_options

if TYPE_CHECKING:
    from foretell.decide import MatrixTable

SHOWN_CELLS = 50


@click.command(short_help="Forecast all combinations of models, hardware, batch sizes.")
@click.argument("workload")
@click.option(
    "--axis",
    "axes",
    multiple=True,
    metavar="NAME=VALUE,...",
    help="A feature and its values; * is all that are known. May be given many times.",
)
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="The same in every cell.")
@click.option("--metric", "metrics", multiple=True, help="Only these metrics.")
@click.option("--level", default=0.8, show_default=True, help="Level of the intervals.")
@click.option("--out", type=FILE, help="Also write all cells: .csv, .tsv, .jsonl, .parquet.")
@answering_options
@writing_options
def matrix(
    workload: str,
    axes: tuple[str, ...],
    sets: tuple[str, ...],
    metrics: tuple[str, ...],
    level: float,
    out: Path | None,
    registry: Path | None,
    bundle: str | None,
    pictures: tuple[Path, ...],
    as_markdown: bool,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of answering_options
) -> None:
    """Forecast all combinations of some features' values.

    \b
    Example:
      foretell matrix inference --axis model=resnet50,vit_b_16 --axis hardware=* \\
          --set batch_size=64 --metric throughput_per_s --plot throughput.html
    """
    check_pictures(pictures)
    if out is not None:
        from foretell.cli.tables import check_writable

        check_writable(out)
    with answering(workload, registry, bundle, server) as asker:
        from foretell.decide import Axis, Matrix

        named = pairs("--axis", axes, "NAME=VALUE,...")
        question = Matrix(
            tuple(Axis(name, axis_values("--axis", name, text, asker)) for name, text in named),
            features_of("--set", sets, asker.kinds),
        )
        called = {f"axes[{i}]": name for i, (name, _) in enumerate(named)}
        with asked_by("--axis", called):
            table = asker.matrix(question, metrics, level)
    columns = table.columns()
    if out is not None:
        from foretell.cli.tables import write_table

        write_table(out, columns)
    if as_json:
        output.print_json(
            {
                "workload": table.workload,
                "bundle": table.bundle_version,
                "axes": table.axes,
                "interval_level": table.interval_level,
                "units": {m.metric: m.unit for m in table.metrics},
                "cells": columns,
                "out": out,
            }
        )
    else:
        _print(table, out, markdown=as_markdown)
    title = f"{workload}: {', '.join(table.axes)}"
    draw(pictures, lambda: _figures(table, workload), title, quiet=as_json)


def _print(table: MatrixTable, out: Path | None, *, markdown: bool) -> None:
    cells = int(table.support.size)
    header = [*table.axes, *(f"{m.metric} ({m.unit})" for m in table.metrics), "support", "tier"]
    columns = table.columns()
    rows = []
    for i in range(min(cells, SHOWN_CELLS)):
        numbers = [
            estimate(*(columns[m.metric + end][i] for end in ("", "_lower", "_upper")))
            for m in table.metrics
        ]
        keys = [_text(columns[name][i]) for name in table.axes]
        rows.append([*keys, *numbers, f"{columns['support'][i]:.2f}", columns["tier"][i]])
    print_rows(header, rows, markdown=markdown)
    if cells > SHOWN_CELLS:
        where = f": {out}" if out else "; --out FILE writes them all"
        click.echo(f"\n{cells - SHOWN_CELLS} more cells{where}")


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _figures(table: MatrixTable, workload: str) -> list[Any]:
    from foretell.plots import heat_map_figure

    return [heat_map_figure(table, m.metric, f"{workload}: {m.metric}") for m in table.metrics]
