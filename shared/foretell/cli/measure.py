"""`foretell measure`: real work, measured on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foretell.cli import output
from foretell.cli.options import FOLDER, json_option

if TYPE_CHECKING:
    from foretell.measure import Measurement, Measurements


@click.group(short_help="Measure real work on this machine.")
def measure() -> None:
    """Measure real work on this machine, to have something to learn from.

    \b
    Example:
      foretell measure wasm --out measured
    """


@measure.command("wasm")
@click.option(
    "--out", type=FOLDER, default=Path("measured"), show_default=True, help="Folder to write."
)
@click.option("--budget", default=30.0, show_default=True, help="Seconds in all.")
@click.option("--task", "tasks", multiple=True, help="Only this task; may be given many times.")
@click.option("--node", "nodes", multiple=True, help="Only this engine setting; likewise.")
@click.option("--repeats", default=1, show_default=True, help="Runs per configuration.")
@click.option("--parallel", default=1, show_default=True, help="Runs at a time; above 1 is noisy.")
@click.option("--timeout", default=10.0, show_default=True, help="Seconds until a run is ended.")
@click.option("--longest", default=1.0, show_default=True, help="Seconds of the longest runs.")
@click.option("--seed", default=0, show_default=True, help="Of the choice of arguments.")
@click.option("--force", is_flag=True, help="Replace measurements that are there already.")
@json_option
def wasm(
    out: Path,
    budget: float,
    tasks: tuple[str, ...],
    nodes: tuple[str, ...],
    repeats: int,
    parallel: int,
    timeout: float,
    longest: float,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Run WebAssembly tasks, each in a fresh process, under several engine settings.

    Writes observations.parquet and .csv, the catalogs functions.csv and nodes.csv, and
    about.json. A run that is timed out is kept as a lower bound.

    \b
    Example:
      foretell measure wasm --budget 30 --out measured
      foretell train serverless --data measured/observations.parquet \\
          --catalog functions=measured/functions.csv --catalog nodes=measured/nodes.csv
    """
    from foretell.measure import measure_wasm

    if (out / "observations.parquet").exists() and not force:
        why = f"{out} holds measurements already; name another folder, or --force replaces them"
        raise click.UsageError(why)
    out.mkdir(parents=True, exist_ok=True)
    with output.progress_bar(quiet=as_json) as progress:
        task = progress.add_task("measuring", total=None, note="")

        def tell(done: int, expected: int, last: Measurement) -> None:
            progress.update(task, completed=done, total=expected, note=describe(last))

        measured = measure_wasm(
            budget,
            tasks=tasks or None,
            nodes=nodes or None,
            repeats=repeats,
            parallel=parallel,
            timeout_s=timeout,
            longest_s=longest,
            seed=seed,
            on_progress=tell,
        )
    measured.write(out)
    if as_json:
        output.print_json({"out": out, **measured.about})
    else:
        _print(measured, out)


def describe(run: Measurement) -> str:
    """Return a run in a few words."""
    took = output.duration(run.duration_s) if run.duration_s is not None else run.outcome
    return f"{run.function}({run.argument}) on {run.node}: {took}"


def _print(measured: Measurements, out: Path) -> None:
    about = measured.about
    outcomes = ", ".join(f"{count} {name}" for name, count in about["outcomes"].items())
    click.echo(f"{about['runs']} runs ({outcomes or 'none'}) in {out}/")
    if about["pairs_measured"] < about["pairs"]:
        click.echo(
            f"the budget was too short: {about['pairs_measured']} of {about['pairs']} pairs of "
            "task and node were run"
        )
    if about["repeat_noise"] is not None:
        click.echo(f"repeats of one configuration lie {100 * about['repeat_noise']:.1f} % apart")
