"""`foretell predict`: a table, with a bundle of the registry; or one item, here or by a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.options import (
    data_option,
    json_option,
    more_files,
    registry_option,
    server_options,
)
from foretell.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from foretell.client import Prediction


@click.command(short_help="Predict a table, or one item of work.")
@click.argument("workload")
@more_files
@data_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
@registry_option
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="One feature of one item.")
@click.option("--level", default=0.8, show_default=True, help="Level of the interval, for --set.")
@click.option("--bundle", metavar="VERSION", help="A version or an alias.  [default: current]")
@server_options
@json_option
def predict(
    workload: str,
    more: tuple[Path, ...],
    data: tuple[Path, ...],
    out: Path | None,
    registry: Path | None,
    sets: tuple[str, ...],
    level: float,
    bundle: str | None,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of server_options
) -> None:
    """Predict a table of work from a file, or one item from --set.

    A table is answered in this process, with a bundle of the registry. All its columns are
    kept, and for each metric `<metric>` (the median), `<metric>_p10`, `<metric>_p90` and
    `<metric>_confidence` are added, and `support`. A column that has a metric's name already,
    because it was measured, is kept as `<metric>_measured`.

    One item is asked of a server; with --registry it is answered in this process, too, without
    the corrections that a server has from recent outcomes, and without a prediction id.

    \b
    Example:
      foretell predict serverless --data planned.csv --out predicted.csv
      foretell predict serverless --set function=sieve --set node=edge-1 --set argument=2e6
      foretell predict serverless --set function=sieve --set node=edge-1 --registry models
    """
    if bool(data) == bool(sets):
        raise click.UsageError("give either --data FILE and --out FILE, or --set NAME=VALUE")
    if sets:
        if out is not None:
            raise click.UsageError("--out goes with --data; the forecast of --set is printed")
        if registry is not None and server["address"] is not None:
            raise click.UsageError("give either --registry, to predict here, or --address")
        _predict_item(workload, sets, level, registry, bundle, server, as_json=as_json)
        return
    if out is None:
        raise click.UsageError("Missing option '--out': where is the table to be written?")
    if server["address"] is not None:
        raise click.UsageError("--data reads the registry (--registry); --address goes with --set")
    _predict_table(workload, [*data, *more], out, registry, bundle, as_json=as_json)


def _predict_table(
    workload: str,
    files: Sequence[Path],
    out: Path,
    registry: Path | None,
    bundle: str | None,
    *,
    as_json: bool,
) -> None:
    from foretell.cli.bundles import load_predictor
    from foretell.cli.forecast_columns import with_forecasts
    from foretell.cli.sources import open_registry
    from foretell.cli.tables import (
        absent_columns,
        check_writable,
        read_tables,
        warn_of_absent,
        write_table,
    )

    check_writable(out)
    predictor = load_predictor(open_registry(registry), workload, bundle)
    table = read_tables(files)
    if not len(table) and not table.rejected:
        why = f"there are no rows in {table.source}"
        raise InvalidInput([Violation("data", "", why)], why)
    absent = absent_columns(predictor.schema, table.columns)
    warn_of_absent(absent)
    columns, refused = with_forecasts(predictor, table.columns)
    write_table(out, columns)
    rejected = [str(row) for row in table.rejected]
    rejected += [f"{table.source}:{table.lines[row]}: {why}" for row, why in refused]
    output.print_rejections(rejected, quiet=as_json)
    if as_json:
        output.print_json(
            {
                "bundle": predictor.version,
                "rows": len(table),
                "predicted": len(table) - len(refused),
                "rejected": len(rejected),
                "rejections": rejected,
                "absent_columns": absent,
                "out": out,
            }
        )
    else:
        predicted = len(table) - len(refused)
        click.echo(f"{predicted} of {len(table)} rows predicted by {predictor.version}: {out}")


def _predict_item(
    workload: str,
    sets: Sequence[str],
    level: float,
    registry: Path | None,
    bundle: str | None,
    server: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    from foretell.cli import one_item

    if registry is not None:
        features, prediction = one_item.predict_here(workload, sets, level, registry, bundle)
    else:
        features, prediction = one_item.ask_server(workload, sets, level, bundle, server)
    if as_json:
        output.print_json(_as_json(prediction, features))
    else:
        click.echo(str(prediction))


def _as_json(prediction: Prediction, features: dict[str, Any]) -> dict[str, Any]:
    return {
        "workload": prediction.workload,
        "bundle": prediction.bundle_version,
        "prediction_id": prediction.prediction_id,
        "tier": prediction.tier,
        "support": prediction.support,
        "unknown_features": prediction.unknown_features,
        "features": features,
        "metrics": {
            name: {
                "unit": forecast.unit,
                "median": forecast.median,
                "lower": forecast.interval.lower,
                "upper": forecast.interval.upper,
                "level": forecast.interval.level,
                "confidence": forecast.confidence,
            }
            for name, forecast in prediction.metrics.items()
        },
    }
