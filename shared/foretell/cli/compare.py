"""`foretell compare`: whether one configuration is really better than another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.deciding import (
    answering,
    answering_options,
    features_of,
    named_features,
    objective_of,
    weighing_options,
)
from foretell.cli.pictures import check_pictures, draw, estimate, print_told, writing_options

if TYPE_CHECKING:
    from foretell.decide import Comparison, Configuration


@click.command(short_help="Say whether one configuration is really better than another.")
@click.argument("workload")
@click.option(
    "--side",
    "sides",
    multiple=True,
    metavar="NAME,FEATURE=VALUE...",
    help="A configuration and what is its own; also price_per_hour=... Two or more.",
)
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="What all of them share.")
@weighing_options
@click.option("--certainty", default=0.95, show_default=True, help="From where it is certain.")
@click.option("--level", default=0.8, show_default=True, help="Level of the intervals.")
@answering_options
@writing_options
def compare(
    workload: str,
    sides: tuple[str, ...],
    sets: tuple[str, ...],
    objectives: tuple[str, ...],
    risk: float,
    quantile: float | None,
    work_metric: str | None,
    power: str | None,
    certainty: float,
    level: float,
    registry: Path | None,
    bundle: str | None,
    pictures: tuple[Path, ...],
    as_markdown: bool,
    as_json: bool,
    **server: Any,  # noqa: ANN401 -- the options of answering_options
) -> None:
    """Compare configurations with the first of them, and say what is certain.

    \b
    Example:
      foretell compare inference --set model=resnet50 --objective throughput_per_s \\
          --side now,hardware=T4,batch_size=32 --side new,hardware=A10,batch_size=64
    """
    check_pictures(pictures)
    with answering(workload, registry, bundle, server) as asker:
        from foretell.decide import Accounting, WhatIf

        shared = features_of("--set", sets, asker.kinds)
        found = asker.what_if(
            WhatIf(
                tuple(_side(text, shared, asker.kinds) for text in sides),
                objective_of(objectives, risk, quantile),
                certainty,
                level,
                Accounting(work_metric or "", power or ""),
            )
        )
    if as_json:
        output.print_json(found)
    else:
        _print(found, markdown=as_markdown)
    title = f"{workload}: {found.objective}"
    draw(pictures, lambda: _figures(found, title), title, quiet=as_json)


def _side(text: str, shared: Mapping[str, Any], kinds: Mapping[str, str]) -> Configuration:
    from foretell.decide import Configuration

    name, own, numbers = named_features("--side", text, kinds, ("price_per_hour",))
    return Configuration(name, {**shared, **own}, numbers.get("price_per_hour"))


def _print(found: Comparison, *, markdown: bool) -> None:
    metrics = [f"{e.metric} ({e.unit})" for e in found.sides[0].estimates]
    header = ["", f"by {found.objective} ({found.objective_unit})", "best", *metrics,
              "cost", "energy", "support", "tier"]  # fmt: skip
    rows = [
        [
            side.name,
            output.short(side.objective),
            f"{100 * side.probability_best:.0f} %",
            *(estimate(e.median, e.lower, e.upper)
              for e in side.estimates),
            "-" if side.cost is None else output.short(side.cost),
            "-" if side.energy_j is None else output.short(side.energy_j, "J"),
            f"{side.support:.2f}",
            side.tier,
        ]
        for side in found.sides
    ]  # fmt: skip
    print_told(header, rows, markdown=markdown)
    click.echo()
    for difference in found.differences:
        ratio = ""
        if difference.ratio is not None:
            ends = (difference.ratio_lower or 0.0, difference.ratio_upper or 0.0)
            ratio = f", loss x {difference.ratio:.3g} [{ends[0]:.3g}, {ends[1]:.3g}]"
        click.echo(f"{difference.why}{ratio}.")


def _figures(found: Comparison, title: str) -> list[Any]:
    from foretell.plots import comparison_figure

    return [comparison_figure(found, title)]
