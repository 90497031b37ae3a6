"""`foretell evaluate`: how good forecasts are for files of measurements.

Of a bundle that was not trained on them, or, with a split, of bundles trained on some of their
rows and asked for the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    split_options,
)
from foretell.cli.sources import find_schema, open_registry


@click.command(short_help="Compare a bundle's forecasts with files.")
@click.argument("workload", metavar="WORKLOAD_OR_SCHEMA")
@more_files
@data_option
@registry_option
@click.option("--by", metavar="COLUMN", help="Column whose values are the groups to compare.")
@click.option("--bundle", metavar="VERSION", help="A version or an alias.  [default: current]")
@split_options
@fit_options
@catalog_option
@json_option
def evaluate(
    workload: str,
    more: tuple[Path, ...],
    data: tuple[Path, ...],
    registry: Path | None,
    by: str | None,
    bundle: str | None,
    split: str | None,
    folds: int,
    family: str | None,
    catalogs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compare the forecasts of a workload's bundle with what was really measured.

    Use files that the bundle was not trained on: errors on its own training data flatter. With
    --split no bundle is needed: some rows of the files are trained on and others predicted, in
    turn; nothing is published.

    \b
    Example:
      foretell evaluate serverless --data later.csv --by node --json
      foretell evaluate inference --data runs.csv --split grouped:model
    """
    files = some_files(data, more)
    if split is None and (family or catalogs):
        raise click.UsageError("--family and --catalog are for --split: a bundle has its own")
    if split is not None and (by or bundle):
        raise click.UsageError("--by and --bundle are for a bundle; --split trains its own")
    if split is not None:
        asked = (split, folds, family)
        report, rejected = _validate(workload, files, catalogs, registry, asked, quiet=as_json)
    else:
        report, rejected = _evaluate(workload, files, registry, by, bundle, quiet=as_json)
    output.print_rejections(rejected, quiet=as_json)
    if as_json:
        output.print_json({**report, "rejected": len(rejected)})
    else:
        print_report(report)


def _evaluate(
    workload: str,
    files: list[Path],
    registry: Path | None,
    by: str | None,
    bundle: str | None,
    *,
    quiet: bool,
) -> tuple[dict[str, Any], list[str]]:
    from foretell.cli.bundles import load_predictor
    from foretell.cli.measured import read_measured
    from foretell_trainer.engine.evaluation import evaluate as compare

    predictor = load_predictor(open_registry(registry), workload, bundle)
    rows = read_measured(predictor, files)
    output.print_left_out(rows.left_out, quiet=quiet)
    labels = {by: rows.labels(by)} if by is not None else None
    report = compare(predictor, predictor.schema, rows.encoded, rows.metrics, labels)
    return report, rows.rejected


def _validate(
    source: str,
    files: list[Path],
    catalogs: tuple[str, ...],
    registry: Path | None,
    asked: tuple[str, int, str | None],
    *,
    quiet: bool,
) -> tuple[dict[str, Any], list[str]]:
    import tempfile

    from foretell.splits import parse_split
    from foretell_trainer.catalogs import catalogs_from_files
    from foretell_trainer.cross_validation import cross_validate
    from foretell_trainer.snapshot import snapshot_from_files
    from foretell_trainer.training import FitSettings

    schema = find_schema(source, open_registry(registry)).schema
    kind, folds, family = asked
    split = parse_split(kind, schema, folds)
    with (
        tempfile.TemporaryDirectory(prefix="foretell-evaluate-") as scratch,
        output.progress_of("reading", quiet=quiet) as tell,
    ):
        tables, _ = catalogs_from_files(schema, named_files(catalogs))
        snapshot, found = snapshot_from_files(schema, files, Path(scratch))
        settings = FitSettings(family=family or schema.family)
        report = cross_validate(schema, snapshot, tables, split, settings, tell)
    output.print_left_out(found.left_out, quiet=quiet)
    return report, [str(row) for row in found.rejected]


def print_report(report: Mapping[str, Any]) -> None:
    """Print what there is to say of each metric, one row each."""
    if "split" in report:
        left = f"{report['left out']}, {report['folds']} folds"
        click.echo(f"split {report['split']} ({left}), {report['rows']} rows predicted")
    else:
        click.echo(f"bundle {report['bundle']}, {report['rows']} rows")
    header = ["metric", "rows", "median error", "mean error", "bias", "R²",
              "80 % holds", "95 % holds", "worst group at 90 %"]  # fmt: skip
    rows = []
    for name, found in report["metrics"].items():
        if not found["rows"]:
            rows.append([name, "0", *["-"] * 7])
            continue
        worst = found["worst_group"]
        rows.append(
            [
                name,
                str(found["rows"]),
                _percent(found["median_ape"]),
                _percent(found["mape"]),
                "-" if found["bias"] is None else f"{found['bias']:+.3f}",
                "-" if found["r2"] is None else f"{found['r2']:.3f}",
                _percent(found["coverage"]["0.8"]),
                _percent(found["coverage"]["0.95"]),
                f"{worst['name']} {_percent(worst['coverage'])}" if worst else "-",
            ]
        )
    output.print_table(header, rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
