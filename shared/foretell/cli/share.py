"""`foretell share`: how several items shall share one device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.batches import OF_ITEMS, item_of, rows_of
from foretell.cli.deciding import answering, answering_options, limit_of
from foretell.cli.options import FILE
from foretell.cli.pictures import check_pictures, draw, print_rows, writing_options

if TYPE_CHECKING:
    from foretell.decide import Sharing

_FIELDS = ("goal", "memory", "overflow_risk", "neighbour_feature", "item_feature", "slowdown",
           "batch_feature", "memory_metric")  # fmt: skip


@click.command(short_help="Run several items on one device: in parallel, in sequence, batched.")
@click.argument("workload")
@click.option("--items", required=True, type=FILE, help="Table: name, work, and features.")
@click.option(
    "--goal",
    type=click.Choice(["makespan", "mean_completion", "memory"]),
    default="makespan",
    show_default=True,
    help="What shall be small.",
)
@click.option("--memory", type=float, help="What the device has, in the metric's unit.")
@click.option("--overflow-risk", default=0.01, show_default=True, help="Risk of too little.")
@click.option("--limit", "limits", multiple=True, metavar="LIMIT", help='"latency_ms<=50@0.95".')
@click.option("--slowdown", type=float, help="Factor by which each item slows the others down.")
@click.option("--neighbour-feature", default="", help="Names what runs beside; else `neighbour`.")
@click.option("--item-feature", default="", help="By what items are named there.")
@click.option("--batch-feature", default="batch_size", show_default=True, help="What batches.")
@click.option("--batch-size", "sizes", multiple=True, type=float, help="A size to choose from.")
@click.option("--memory-metric", default="", help="The metric of memory.")
@click.option("--work-metric", default="", help="Metric of the time of a unit of work.")
@answering_options
@writing_options
def share(
    workload: str,
    items: Path,
    limits: tuple[str, ...],
    sizes: tuple[float, ...],
    work_metric: str,
    registry: Path | None,
    bundle: str | None,
    pictures: tuple[Path, ...],
    as_markdown: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 -- what is asked, and the server
) -> None:
    """Say how several items shall share one device, with timeline and memory.

    \b
    Example:
      foretell share inference --items models.csv --memory 24000 --limit "latency_ms<=100"
    """
    check_pictures(pictures)
    asked = {name: given.pop(name) for name in _FIELDS}
    with answering(workload, registry, bundle, given) as asker:
        from foretell.decide import Accounting, Share

        found = asker.share(
            Share(
                tuple(map(item_of, rows_of(items, "--items", OF_ITEMS, asker.kinds))),
                limits=tuple(map(limit_of, limits)),
                batch_sizes=sizes,
                accounting=Accounting(work_metric),
                **asked,
            )
        )
    if as_json:
        output.print_json(found)
    else:
        _print(found, markdown=as_markdown)
    title = f"{workload}: {found.goal}"
    draw(pictures, lambda: _figures(found, title), title, quiet=as_json)


def _print(found: Sharing, *, markdown: bool) -> None:
    rows = [
        [
            one.name,
            "yes" if one.feasible else "no",
            output.short(one.value, found.goal_unit),
            output.short(one.makespan_s, "s"),
            output.short(one.mean_completion_s, "s"),
            _memory(one.memory_needed, found.memory_unit),
            one.why,
        ]
        for one in found.strategies
    ]
    header = ["strategy", "feasible", found.goal, "all done", "mean done", "memory", "why"]
    print_rows(header, rows, markdown=markdown)
    for one in found.strategies:
        click.echo()
        timeline = [
            [
                part.item,
                output.short(part.start_s, "s"),
                output.short(part.end_s, "s"),
                f"{part.slowdown:.2f}",
                "-" if part.batch_size is None else output.short(part.batch_size),
            ]
            for part in one.timeline
        ]
        print_rows([one.name, "begins", "ends", "slowdown", "batch"], timeline, markdown=markdown)
    for why in found.left_out:
        click.echo(f"\nnot judged: {why}")


def _memory(needed: float | None, unit: str) -> str:
    return "-" if needed is None else output.short(needed, unit)


def _figures(found: Sharing, title: str) -> list[Any]:
    from foretell.plots import sharing_figure

    return [sharing_figure(found, title)]
