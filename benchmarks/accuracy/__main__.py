"""How good forecasts are on each data set, split by split, beside simpler models.

    python -m benchmarks.accuracy --data DIR --only llm_models --splits unseen-pair,large-batch

Results are kept per split: a run that was stopped goes on where it was, and a split is run again
when the engine, its schema or its data has changed.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.accuracy.records import DEFAULT_FILE, Key, Record, Records, sources_digest
from benchmarks.accuracy.report import render
from benchmarks.accuracy.runs import run
from benchmarks.accuracy.splits import Split, splits_of
from benchmarks.datasets import DATA_SETS, DataSet, Loaded, load

Wanted = tuple[DataSet, Split]


@click.command(help=__doc__)
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True
)
@click.option("--only", default="", help="Data sets, separated by commas; all by default.")
@click.option("--splits", default="", help="Splits, separated by commas; all by default.")
@click.option(
    "--folds", default=2, show_default=True, type=click.IntRange(1), help="Fits of each split."
)
@click.option("--quick", is_flag=True, help="One fold, at most 1,500 rows: does it run at all.")
@click.option("--no-baselines", is_flag=True, help="Ours alone.")
@click.option("--fresh", is_flag=True, help="Run again what is known already.")
@click.option("--threads", default=2, show_default=True, help="Threads of LightGBM.")
@click.option("--list", "listed", is_flag=True, help="List the splits, run none.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Markdown file.")
@click.option("--cache", type=click.Path(path_type=Path), default=DEFAULT_FILE, show_default=True)
def main(
    data: Path,
    only: str,
    splits: str,
    folds: int,
    quick: bool,
    no_baselines: bool,
    fresh: bool,
    threads: int,
    listed: bool,
    out: Path | None,
    cache: Path,
) -> None:
    wanted = _wanted(only, splits)
    if listed:
        for about, split in wanted:
            click.echo(f"{about.name:15} {split.name:18} {split.question}")
        return
    records = Records(cache)
    digests = {about.name: sources_digest(about, data) for about, _ in wanted}
    done: list[Record] = []
    with tempfile.TemporaryDirectory(prefix="foretell-") as folder:
        shelf = _Shelf(data, Path(folder))
        for about, split in wanted:
            key = Key(
                about.name,
                split.name,
                1 if quick else folds,
                quick,
                not no_baselines,
                digests[about.name],
            )
            record = None if fresh else records.find(key)
            if record is None:
                progress = _Progress(f"[{len(done) + 1}/{len(wanted)}] {about.name} {split.name}")
                record = run(shelf.loaded(about), split, key, threads, progress.show)
                records.add(record)
                progress.done(record)
            done.append(record)
    questions = {(about.name, split.name): split.question for about, split in wanted}
    report = render(done, questions, _command(done[0].key, only, splits))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(report)
        click.echo(f"{out}: {len(done)} splits", err=True)
    else:
        click.echo(report)


class _Shelf:
    """Keeps the data set in use, so that its splits share one reading."""

    def __init__(self, data: Path, folder: Path) -> None:
        self._data = data
        self._folder = folder
        self._loaded: Loaded | None = None

    def loaded(self, about: DataSet) -> Loaded:
        if self._loaded is None or self._loaded.about != about:
            self._loaded = load(about, self._data, self._folder)
        return self._loaded


class _Progress:
    """One line on standard error that says what is going on; a log gets the results alone."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._live = sys.stderr.isatty()

    def show(self, stage: str, fraction: float) -> None:
        if self._live:
            line = f"{self._title} {stage} {fraction:.0%}"
            click.echo(f"\r\x1b[K{line[:110]}", nl=False, err=True)

    def done(self, record: Record) -> None:
        errors = ", ".join(
            f"{name} {found['mape']:.2%} ({found['median_ape']:.2%})"
            for name, found in record.metrics.items()
            if found["rows"]
        )
        start = "\r\x1b[K" if self._live else ""
        click.echo(f"{start}{self._title}: {errors}; fit {record.fit_seconds:.1f} s", err=True)


def _wanted(only: str, splits: str) -> list[Wanted]:
    """Return what is asked for, in the order of the report; unknown names are usage errors."""
    names = _chosen(only, list(DATA_SETS), "--only")
    every = {name: splits_of(DATA_SETS[name]) for name in names}
    known = list(dict.fromkeys(split for found in every.values() for split in found))
    chosen = _chosen(splits, known, "--splits")
    return [
        (DATA_SETS[name], split)
        for name in names
        for split in every[name].values()
        if split.name in chosen
    ]


def _chosen(text: str, known: Sequence[str], option: str) -> list[str]:
    asked = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(known)}", param_hint=option)
    return [name for name in known if name in asked] if asked else list(known)


def _command(key: Key, only: str, splits: str) -> str:
    """Return the command to repeat this run with; where the data lies is the reader's matter."""
    options = [f"--only {only}" if only else "", f"--splits {splits}" if splits else ""]
    options += ["--quick" if key.quick else f"--folds {key.folds}"]
    options += ["" if key.baselines else "--no-baselines"]
    return " ".join(filter(None, ("python -m benchmarks.accuracy --data DIR", *options)))


if __name__ == "__main__":
    main()
