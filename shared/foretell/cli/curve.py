"""`foretell curve`: metrics along one feature, and where they are best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.deciding import (
    answering,
    answering_options,
    asked_by,
    features_of,
    limit_of,
    limiting_options,
    objective_of,
)
from foretell.cli.options import FILE, pairs
from foretell.cli.pictures import check_pictures, draw, estimate, print_rows, writing_options
from foretell.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from foretell.decide import Curve, CurveAnswer
    from foretell.plots import Measured

_SWEPT = ("feature", "start", "stop", "points", "values")
"""The fields of a question that --sweep fills."""


@click.command(short_help="Follow one feature: bands, knees, the best point under limits.")
@click.argument("workload")
@click.option(
    "--sweep",
    required=True,
    metavar="NAME=START..STOP[:POINTS]",
    help="The number that is swept; or its values, NAME=1,2,4.",
)
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="A feature that is held.")
@limiting_options
@click.option("--price-per-hour", type=float, help="What an hour costs, where cost is weighed.")
@click.option("--level", default=0.8, show_default=True, help="Level of the intervals.")
@click.option("--metric", "metrics", multiple=True, help="Only these metrics, in pictures.")
@click.option("--measured", type=FILE, help="A table of measurements to draw beside the curve.")
@answering_options
@writing_options
def curve(
    workload: str,
    sweep: str,
    sets: tuple[str, ...],
    metrics: tuple[str, ...],
    measured: Path | None,
    registry: Path | None,
    bundle: str | None,
    pictures: tuple[Path, ...],
    as_markdown: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 -- what is weighed, and the server
) -> None:
    """Follow one number, everything else held.

    A curve bends, at its knee, where its elasticity crosses one half: beyond it, a throughput
    gains less than half of what the batch grows by.

    \b
    Example:
      foretell curve inference --sweep batch_size=1..256 --set model=resnet50 \\
          --set hardware=A100 --objective throughput_per_s --limit "latency_ms<=50" --plot c.svg
    """
    check_pictures(pictures)
    if measured is not None and not pictures:
        raise click.UsageError("--measured goes with --plot: it is only drawn")
    if measured is not None and not measured.exists():
        raise InvalidInput([Violation("--measured", str(measured), f"no such file: {measured}")])
    with answering(workload, registry, bundle, _server(given)) as asker:
        features = features_of("--set", sets, asker.kinds)
        question = _question(sweep, features, given)
        with asked_by("--sweep", dict.fromkeys(_SWEPT, ""), sweep):
            found = asker.curve(question)
    if as_json:
        output.print_json(found)
    else:
        _print(found, markdown=as_markdown)
    bounds = {limit.quantity: limit.at_most for limit in map(limit_of, given["limits"])}
    title = ", ".join([workload, *(_named(name, value) for name, value in features.items())])
    points = _measured(measured, found, features) if measured is not None else None
    draw(
        pictures,
        lambda: _figures(found, title, points, metrics, bounds),
        f"{title}: {found.feature}",
        quiet=as_json,
    )


def _named(name: str, value: object) -> str:
    """Return a feature as titles have it: texts speak for themselves, numbers need their name."""
    if isinstance(value, str):
        return value
    return f"{name} {output.short(value)}" if isinstance(value, float) else f"{name} {value}"


def _server(given: dict[str, Any]) -> dict[str, Any]:
    names = ("address", "tls", "ca_file", "token_file", "timeout")
    return {name: given.pop(name) for name in names}


def _question(sweep: str, features: Mapping[str, Any], given: dict[str, Any]) -> Curve:
    from foretell.decide import Accounting, Curve

    ((name, text),) = pairs("--sweep", [sweep], "NAME=START..STOP[:POINTS]")
    weighed = objective_of(given["objectives"], given["risk"], given["quantile"])
    return Curve(
        features,
        name,
        objective=weighed if given["objectives"] else None,
        limits=tuple(map(limit_of, given["limits"])),
        price_per_hour=given["price_per_hour"],
        interval_level=given["level"],
        accounting=Accounting(given["work_metric"] or "", given["power"] or ""),
        **_points(text),
    )


def _points(text: str) -> dict[str, Any]:
    ends, colon, count = text.partition(":")
    start, dots, stop = ends.partition("..")
    try:
        if not dots:
            return {"values": tuple(float(part) for part in text.split(","))}
        points = {"points": int(count)} if colon else {}
        return {"start": float(start), "stop": float(stop), **points}
    except ValueError:
        message = f"{text!r} is not of the form START..STOP[:POINTS] or a list such as 1,2,4"
        raise InvalidInput([Violation("--sweep", text, message)]) from None


def _print(found: CurveAnswer, *, markdown: bool) -> None:
    header = [found.feature, *(f"{m.metric} ({m.unit})" for m in found.metrics), "support"]
    if found.objective:
        header += [f"by {found.objective} ({found.objective_unit})", "limits hold"]
    rows = []
    for i, value in enumerate(found.values.tolist()):
        row = [output.short(value)]
        row += [estimate(m.median[i], m.lower[i], m.upper[i]) for m in found.metrics]
        row.append(f"{found.support[i]:.2f}")
        if found.objective:
            row += [output.short(float(found.objectives[i])), f"{found.holds[i]:.3f}"]
        rows.append(row)
    print_rows(header, rows, markdown=markdown)
    click.echo()
    for m in found.metrics:
        if not math.isnan(m.knee):
            click.echo(f"{m.metric} bends at {found.feature} {output.short(m.knee)}")
        else:
            click.echo(f"{m.metric} has no knee here: it bends nowhere, or more than once")
    if found.best is not None:
        best = f"{found.feature} {output.short(found.best.value)}"
        value = output.short(found.best.objective, found.objective_unit)
        click.echo(f"best: {best}, {found.objective} {value} ({found.why})")
    elif found.objective:
        click.echo(f"no best point: {found.why}")


def _measured(path: Path, found: CurveAnswer, features: Mapping[str, Any]) -> Measured:
    """Return the rows of a table that are on the curve: what is held has the same values."""
    import numpy as np

    from foretell.cli.tables import read_tables
    from foretell.parsing import category_text
    from foretell.plots import Measured

    table = read_tables([path])
    if found.feature not in table.columns:
        message = f"{path} has no column {found.feature!r}"
        raise InvalidInput([Violation("--measured", str(path), message)])
    held = {n: category_text(v) for n, v in features.items() if n in table.columns}
    rows = [
        i
        for i in range(len(table))
        if all(category_text(_cell(table.columns[n][i])) == v for n, v in held.items())
    ]

    def numbers(name: str) -> Any:  # noqa: ANN401 -- an array
        return np.array([_number(table.columns[name][i]) for i in rows])

    shown = [m.metric for m in found.metrics if m.metric in table.columns]
    return Measured(numbers(found.feature), {name: numbers(name) for name in shown})


def _cell(value: Any) -> Any:  # noqa: ANN401 -- whatever a file holds
    """Return a cell as features are compared: a number that is written as a text is a number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _number(value: Any) -> float:  # noqa: ANN401 -- whatever a file holds
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _figures(
    found: CurveAnswer,
    title: str,
    measured: Measured | None,
    metrics: Sequence[str],
    limits: Mapping[str, float | None],
) -> list[Any]:
    from foretell.plots import curve_figure

    known = {name: value for name, value in limits.items() if value is not None}
    return [curve_figure(found, title, measured, metrics, known)]
