"""`foretell place`: a batch of items on nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from foretell.cli import output
from foretell.cli.batches import OF_ITEMS, item_of, rows_of
from foretell.cli.deciding import answering, answering_options
from foretell.cli.options import FILE
from foretell.cli.pictures import check_pictures, draw, estimate, print_rows, writing_options

if TYPE_CHECKING:
    from foretell.decide import Placement

T = TypeVar("T")

_OF_NODES = ("memory", "power", "slots", "free_in_s", "price_per_hour")


@click.command(short_help="Place a batch of items on nodes.")
@click.argument("workload")
@click.option(
    "--items", required=True, type=FILE, help="Table: name, deadline_s, work, and features."
)
@click.option(
    "--nodes",
    required=True,
    type=FILE,
    help="Table: name (or node), kind, memory, power, slots, free_in_s, price_per_hour, facts.",
)
@click.option(
    "--goal",
    type=click.Choice(["makespan", "cost", "deadline_misses"]),
    default="makespan",
    show_default=True,
    help="What shall be small.",
)
@click.option("--node-feature", default="", help="What nodes are values of.")
@click.option("--overflow-risk", default=0.01, show_default=True, help="Risk of a full node.")
@click.option("--at-once", is_flag=True, help="All begin at once; what does not fit is left out.")
@click.option("--memory-metric", default="", help="The metric that is packed.")
@click.option("--work-metric", default="", help="Metric of the time of a unit of work.")
@click.option("--power-metric", default="", help="Metric of the power that is drawn.")
@click.option("--seconds", default=2.0, show_default=True, help="How long to search.")
@answering_options
@writing_options
def place(
    workload: str,
    items: Path,
    nodes: Path,
    registry: Path | None,
    bundle: str | None,
    pictures: tuple[Path, ...],
    as_markdown: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 -- what is asked, and the server
) -> None:
    """Place a batch of items on nodes, memory packed by the joint risk that it overflows.

    \b
    Example:
      foretell place serverless --items jobs.csv --nodes nodes.csv --goal deadline_misses \\
          --plot placement.html
    """
    check_pictures(pictures)
    names = ("goal", "node_feature", "overflow_risk", "at_once", "memory_metric", "work_metric",
             "power_metric", "seconds")  # fmt: skip
    asked = {name: given.pop(name) for name in names}
    with answering(workload, registry, bundle, given) as asker:
        from foretell.decide import Accounting, Place
        from foretell.decide.candidates import NODE_FEATURES

        usual = [name for name in NODE_FEATURES if name in asker.kinds]
        # So that a catalog of nodes can be given as it is.
        named_by = [asked["node_feature"]] if asked["node_feature"] else usual[:1]
        found = asker.place(
            Place(
                tuple(map(item_of, rows_of(items, "--items", OF_ITEMS, asker.kinds))),
                tuple(map(_node, rows_of(nodes, "--nodes", _OF_NODES, asker.kinds, named_by))),
                asked["goal"],
                asked["node_feature"],
                asked["overflow_risk"],
                not asked["at_once"],
                asked["memory_metric"],
                Accounting(asked["work_metric"], asked["power_metric"]),
                asked["seconds"],
            )
        )
    if as_json:
        output.print_json(found)
    else:
        _print(found, markdown=as_markdown)
    title = f"{workload}: {len(found.assigned)} items on {len(found.nodes)} nodes"
    draw(pictures, lambda: _figures(found, title), title, quiet=as_json)


def _node(row: dict[str, Any]) -> Any:  # noqa: ANN401 -- a Node
    from foretell.decide import Node

    if "slots" in row:
        row["slots"] = int(row["slots"])
    return Node(**row)


def _print(found: Placement, *, markdown: bool) -> None:
    rows = [
        [
            a.item,
            a.node,
            output.short(a.start_s, "s"),
            output.short(a.end_s, "s"),
            # All three are means, so that they add up.
            estimate(a.end_s - a.start_s, a.lower_s, a.upper_s),
            "-" if a.probability_late is None else f"{100 * a.probability_late:.1f} %",
        ]
        for a in found.assigned
    ]
    header = ["item", "node", "begins (mean)", "ends (mean)", "takes (s, mean, 80 %)", "late"]
    print_rows(header, rows, markdown=markdown)
    click.echo()
    unit = found.memory_unit
    rows = [
        [
            load.node,
            str(load.item_count),
            output.short(load.done_s, "s"),
            _of(load.memory_needed, load.memory_capacity, unit),
            output.short(load.memory_worst_cases, unit),
            f"{100 * load.overflow_probability:.2f} %",
        ]
        for load in found.nodes
    ]  # fmt: skip
    header = ["node", "items", "done (mean)", "memory needed", "sum of worst cases", "overflow"]
    print_rows(header, rows, markdown=markdown)
    click.echo()
    gap = "no bound" if found.gap is None else f"the best is at most {100 * found.gap:.2g} % lower"
    value = output.short(found.value, found.goal_unit)
    click.echo(f"{found.goal} {value}: {found.method}, {gap}.")
    ends = f"[{output.short(found.makespan_lower_s)}, {output.short(found.makespan_upper_s)}]"
    cost = "" if found.cost is None else f", cost {output.short(found.cost)}"
    click.echo(
        f"All done in {output.short(found.makespan_s, 's')} {ends}{cost}, "
        f"{found.expected_misses:.2f} deadlines missed, in expectation."
    )
    for one in found.unplaced:
        click.echo(f"not placed: {one.item}: {one.why}")


def _of(needed: float, capacity: float | None, unit: str) -> str:
    return "-" if capacity is None else f"{output.short(needed)} of {output.short(capacity, unit)}"


def _figures(found: Placement, title: str) -> list[Any]:
    from foretell.plots import placement_figure

    return [placement_figure(found, title)]
