"""Repeats: how far measurements differ that no feature tells apart, which no forecast can be below.

    python -m benchmarks.repeats --data DIR
    python -m benchmarks.repeats --data DIR --only vision_models --but framework

Rows of a data set that are equal in all features that were sent, but for those that are named, are
taken as measured again. What they are off the mean of their logs is scaled up for that mean being
their own (by √(n / (n - 1))), and can be compared with the errors in `docs/accuracy.md`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np

from benchmarks.datasets import DATA_SETS, Loaded, load
from foretell_trainer.engine.inputs import Floats, Integers


@click.command(help=__doc__)
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--only", multiple=True, type=click.Choice([*DATA_SETS]), help="A data set.")
@click.option("--but", multiple=True, metavar="FEATURE", help="A feature that may differ.")
def main(data: Path, only: tuple[str, ...], but: tuple[str, ...]) -> None:
    click.echo("| data | metric | sets | rows | mean off | median off | 95 % within |")
    click.echo("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="foretell-") as folder:
        for name, about in DATA_SETS.items():
            if not only or name in only:
                _print(name, load(about, data, Path(folder)), but)


def _print(name: str, loaded: Loaded, but: tuple[str, ...]) -> None:
    names = [feature for feature in loaded.columns.features if feature not in but]
    which = _sets([loaded.labels(feature) for feature in names])
    for number, metric in enumerate(loaded.schema.metric_names):
        values = loaded.columns.metrics[:, number]
        usable = np.isfinite(values) & (values > 0)
        off, sets = deviations(np.log(values[usable]), which[usable])
        numbers = (np.mean, np.median, lambda sizes: np.quantile(sizes, 0.95))
        said = [f"{float(np.expm1(of(off))):.2%}" for of in numbers] if len(off) else ["-"] * 3
        click.echo(f"| {name} | {metric} | {sets:,} | {len(off):,} | {' | '.join(said)} |")


def _sets(columns: list[np.ndarray[tuple[int], np.dtype[np.object_]]]) -> Integers:
    """Return which rows are the same in all columns, [n]."""
    codes = [
        np.unique(column.astype(str), return_inverse=True)[1].reshape(-1) for column in columns
    ]
    which = np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1]
    return np.asarray(which).reshape(-1)


def deviations(logs: Floats, which: Integers) -> tuple[Floats, int]:
    """Return how far the rows of sets of several are off their mean, and how many sets there are.

    Both are [n]: the logs, and the set of each row. Of n rows they are scaled by √(n / (n - 1)).
    """
    rows = np.bincount(which)
    means = np.bincount(which, logs) / np.maximum(rows, 1)
    several = rows[which] > 1
    count = rows[which][several]
    off = np.abs(logs - means[which])[several] * np.sqrt(count / (count - 1))
    return off, int((rows > 1).sum())


if __name__ == "__main__":
    main()
