"""How fast the server answers: against an echo on the same stack, the graph alone, and peers.

    python -m benchmarks.serving

Starts everything that it measures, in turns, and prints one table. The first run fits the bundle
that it serves. With --peers, servers of other projects take part; each has an environment of its
own, which the first run makes.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from benchmarks.serving import model
from benchmarks.serving.contests import duels
from benchmarks.serving.duel import fight
from benchmarks.serving.field import Field
from benchmarks.serving.table import render, show
from foretell import logs


@click.command(help=__doc__)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=2.0, show_default=True, help="Of each turn.")
@click.option("--only", default="", help="Rows whose name contains this text.")
@click.option("--peers", is_flag=True, help="Also KServe and MLServer with the same graph.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of a bundle of the workload `serverless`; a new one is fitted without it.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Markdown file.")
def main(
    rounds: int, seconds: float, only: str, peers: bool, bundle: Path | None, out: Path | None
) -> None:
    logs.configure("error")
    folder = bundle or model.bundle()
    with tempfile.TemporaryDirectory(prefix="foretell-serving-") as scratch, ExitStack() as stack:
        field = Field.start(stack, folder, Path(scratch), peers=peers)
        results = []
        for duel in duels(field, seconds):
            if only in duel.name:
                results.append(fight(duel, rounds))
                show(results[-1])
    if out:
        out.write_text(render(results))


if __name__ == "__main__":
    main()
