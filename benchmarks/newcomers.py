"""Newcomers on replays: a name that the fit has not seen arrives, and answers follow its outcomes.

    python -m benchmarks.newcomers --data DIR

Each data set is fitted on a third of its rows, without those of a few names (every third of the
largest). Then the rows of each of these come in, in an order by chance: each is predicted with the
corrections of that moment and only then reported. Errors are medians of
|log(measured / predicted)|, widths are of the 90 % interval, in logs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.bundles import Fit, encode, fit_bundle
from benchmarks.corrections import LEVEL, MOST_OWN
from benchmarks.datasets import DATA_SETS, Loaded, load
from foretell.corrections import Corrections
from foretell.forecast import Forecasts
from foretell_trainer.corrections.corrector import Corrector
from foretell_trainer.corrections.levels import Integers
from foretell_trainer.corrections.outcomes import Outcomes

STEPS = (0, 1, 3, 10, 20, MOST_OWN)
"""Between these numbers of outcomes, answers are looked at together."""


@dataclass(frozen=True)
class Scene:
    """What arrives in which data set, and by which metric it is judged."""

    data_set: str
    metric: str
    name: str
    arriving: int


SCENES = (
    Scene("wasm_tasks", "task_duration_sec", "binary_name", 2),
    Scene("llm_models", "throughput_tok_s", "model", 3),
    Scene("llm_models", "throughput_tok_s", "hardware", 2),
    Scene("vision_models", "latency_ms", "model", 8),
)


@dataclass
class Seen:
    """What was seen of answers after some number of outcomes."""

    error: list[float] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    width: list[float] = field(default_factory=list)

    def add(self, forecasts: Forecasts, metric: int, actual: float) -> None:
        """Add one answer and what it turned out to be."""
        if np.isnan(actual):
            return
        median = float(forecasts.median()[0, metric])
        low, high = (float(side[0, metric]) for side in forecasts.interval(LEVEL))
        self.error.append(abs(float(np.log(actual / median))))
        self.held.append(low <= actual <= high)
        self.width.append(float(np.log(high / low)))

    def cells(self) -> tuple[str, str, str]:
        """Return error, how many intervals held, and how wide they were."""
        if not self.error:
            return "-", "-", "-"
        held, width = np.mean(self.held), np.median(self.width)
        return f"{np.median(self.error):.3f}", f"{held:.0%}", f"{width:.2f}"


def replay(fit: Fit, loaded: Loaded, rows: Integers, metric: int) -> list[tuple[Seen, Seen]]:
    """Return, for each step, what was seen of the bundle's answers and of the corrected ones."""
    predictor, corrector = fit.predictor, Corrector(fit.predictor)
    found = [(Seen(), Seen()) for _ in STEPS[1:]]
    for number, row in enumerate(rows):
        step = int(np.searchsorted(STEPS, number, side="right")) - 1
        actual = loaded.columns.metrics[row, metric]
        table = predictor.compile(Corrections("", predictor.version, 1, corrector.entries()))
        for seen, corrections in zip(found[step], (None, table), strict=True):
            predictor.corrections = corrections
            encoded = encode(fit, loaded, np.array([row]))
            seen.add(predictor.forecast(encoded).forecasts, metric, actual)
        predictor.corrections = None
        corrector.learn(_outcome(loaded, row))
    return found


def _outcome(loaded: Loaded, row: int) -> Outcomes:
    measured = loaded.columns.metrics[[row]]
    features = {n: v.tolist() for n, v in loaded.features(np.array([row])).items()}
    return Outcomes(features, measured, np.full_like(measured, np.nan), ["completed"])


def arrivals(
    scene: Scene, loaded: Loaded, threads: int, console: Console
) -> list[tuple[Seen, Seen]]:
    """Fit without the names that arrive, and replay each; return what was seen of all."""
    rng = np.random.default_rng(0)
    labels = loaded.labels(scene.name)
    names, counts = np.unique(labels, return_counts=True)
    arriving = names[np.argsort(-counts, kind="stable")][1::3][: scene.arriving]
    known = np.flatnonzero(~np.isin(labels, arriving))
    rows = np.sort(rng.permutation(known)[: len(known) // 3])
    console.log(f"{scene.data_set}: fits {len(rows)} rows without {', '.join(map(str, arriving))}")
    fit = fit_bundle(loaded, rows, threads, lambda _stage, _fraction: None)
    metric = fit.predictor.schema.metric_names.index(scene.metric)
    found = [(Seen(), Seen()) for _ in STEPS[1:]]
    for name in arriving:
        console.log(f"{scene.data_set}: {name} arrives")
        own = rng.permutation(np.flatnonzero(labels == name))[:MOST_OWN]
        for whole, part in zip(found, replay(fit, loaded, own, metric), strict=True):
            _merge(whole, part)
    return found


def _merge(whole: Sequence[Seen], part: Sequence[Seen]) -> None:
    for into, one in zip(whole, part, strict=True):
        into.error += one.error
        into.held += one.held
        into.width += one.width


@click.command(help=__doc__)
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True
)
@click.option("--only", default="wasm_tasks,llm_models", show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(data: Path, only: str, threads: int) -> None:
    console = Console(width=140)
    columns = ("error", "corrected", "90 % holds", "corrected", "width", "corrected")
    table = Table("arrives", "after outcomes", *columns)
    for scene in SCENES:
        if scene.data_set not in only.split(","):
            continue
        with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
            loaded = load(DATA_SETS[scene.data_set], data, Path(scratch))
            found = arrivals(scene, loaded, threads, console)
        for first, last, (plain, corrected) in zip(STEPS, STEPS[1:], found, strict=False):
            cells = [
                cell for pair in zip(plain.cells(), corrected.cells(), strict=True) for cell in pair
            ]
            when = f"{first}" if last == first + 1 else f"{first} to {last - 1}"
            table.add_row(f"{scene.data_set}, {scene.name}", when, *cells)
    console.print(table)


if __name__ == "__main__":
    main()
