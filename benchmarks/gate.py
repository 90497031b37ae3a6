"""The gate under test: how often it lets worse bundles, equal ones and better ones take over.

python -m benchmarks.gate --tries 30
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foretell.registry import FolderRegistry
from foretell.schema import Feature, Metric, Schema
from foretell.settings import Settings
from foretell_trainer.engine.training_set import FitSettings
from foretell_trainer.gate.gate import Gate
from foretell_trainer.gate.verdict import Verdict
from foretell_trainer.snapshot import Snapshot
from foretell_trainer.training import train

WORKLOAD = "world"
FUNCTIONS, NODES = 4, 2
METRICS = ("duration_s",)
FAST = FitSettings(family="ridge", most_rounds=20, random_folds=2, grouped_folds=2, threads=1)
START = datetime(2026, 1, 1, tzinfo=UTC)

Floats = NDArray[np.float64]


def schema() -> Schema:
    """Return a workload of functions on nodes."""
    return Schema(
        workload=WORKLOAD,
        features=(
            Feature(name="function", kind="category", required=True),
            Feature(name="node", kind="category", required=True),
            Feature(name="size", kind="number", scale="log"),
        ),
        metrics=tuple(Metric(name=name) for name in METRICS),
        groups=(("function",), ("node",), ("function", "node")),
    )


@dataclass(frozen=True)
class Rows:
    """Observations in the order in which they were made."""

    number: NDArray[np.int64]
    function: NDArray[np.int64]
    node: NDArray[np.int64]
    size: Floats
    metrics: Floats

    def __len__(self) -> int:
        return len(self.size)

    def then(self, later: Rows) -> Rows:
        """Return these and later ones."""
        mine, theirs = vars(self), vars(later)
        return Rows(**{name: np.concatenate([mine[name], theirs[name]]) for name in mine})

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """Return some of them."""
        return Rows(**{name: values[rows] for name, values in vars(self).items()})

    def with_metrics(self, metrics: Floats) -> Rows:
        """Return the same runs with something else measured."""
        return replace(self, metrics=metrics)

    def write(self, folder: Path, name: str) -> Snapshot:
        """Return them as a snapshot in a folder."""
        moments = [START + timedelta(minutes=i) for i in self.number.tolist()]
        naive = [moment.replace(tzinfo=None) for moment in moments]
        nothing = np.full(len(self), np.nan)
        table = pa.table(
            {
                "observation_id": [f"run {i}" for i in self.number],
                "observed_at": pa.array(naive, pa.timestamp("us")),
                "source": ["world"] * len(self),
                "tag": [""] * len(self),
                "outcome": ["completed"] * len(self),
                "f:function": [f"f{i}" for i in self.function],
                "f:node": [f"n{i}" for i in self.node],
                "f:size": self.size,
                **{f"m:{metric}": self.metrics[:, m] for m, metric in enumerate(METRICS)},
                **{f"lb:{metric}": nothing for metric in METRICS},
            }
        )
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.parquet"
        pq.write_table(table, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        named = path.rename(folder / f"{WORKLOAD}-{name}-{digest[:8]}.parquet")
        return Snapshot(named, WORKLOAD, digest, len(self), (moments[0], moments[-1]), ("world",))


class World:
    """Draws runs of one law."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._function = self.rng.normal(0, 1.0, (FUNCTIONS, 1))
        self._node = self.rng.normal(0, 0.4, (NODES, 1))
        self._made = 0

    def run(self, count: int, slower: float = 1.0) -> Rows:
        """Return the next runs; `slower` is by how much every node is."""
        rng = self.rng
        function, node = rng.integers(0, FUNCTIONS, count), rng.integers(0, NODES, count)
        size = np.exp(rng.uniform(0, 5, count))
        centre = self._function[function] + self._node[node] + np.outer(np.log(size), [0.8])
        metrics = np.exp(centre + rng.normal(0, 0.15, (count, 1))) * slower
        number = np.arange(self._made, self._made + count)
        self._made += count
        return Rows(number, function, node, size, metrics)


Spoil = Callable[[Rows, np.random.Generator], Rows]


def keep(rows: Rows, _rng: np.random.Generator) -> Rows:
    """Let nothing go wrong."""
    return rows


@dataclass(frozen=True)
class Scene:
    """What the current bundle was fitted on, and what the candidate is."""

    before: Rows
    now: Rows
    spoil: Spoil = keep
    """What goes wrong between the snapshot and the candidate's fit."""
    spoil_before: Spoil = keep
    """The same of the current bundle."""


def unit_mistake(world: World) -> Scene:
    """What came since was reported in thousandths."""
    before, new = world.run(1200), world.run(600)
    return Scene(before, before.then(new.with_metrics(1000 * new.metrics)))


def unit_mistake_of_one(world: World) -> Scene:
    """One function's runs were reported in thousandths."""
    before, new = world.run(1200), world.run(600)
    factor = np.where(new.function == 0, 1000.0, 1.0)[:, None]
    return Scene(before, before.then(new.with_metrics(factor * new.metrics)))


def stale(world: World) -> Scene:
    """The store is an old one, from before all nodes became slower, with a few new runs."""
    old, since, few = world.run(600), world.run(900, 1.6), world.run(80, 1.6)
    return Scene(old.then(since), old.then(few))


def shuffled(world: World) -> Scene:
    """The labels of one function came into disorder on their way to the fit."""
    before, new = world.run(1200), world.run(600)
    return Scene(before, before.then(new), spoil=_shuffle_first)


def _shuffle_first(rows: Rows, rng: np.random.Generator) -> Rows:
    own = np.flatnonzero(rows.function == 0)
    metrics = rows.metrics.copy()
    metrics[own] = metrics[rng.permutation(own)]
    return rows.with_metrics(metrics)


def disorder(world: World) -> Scene:
    """The labels of one function are in disorder in what came since: a third of its rows."""
    before, new = world.run(1200), world.run(600)
    return Scene(before, before.then(_shuffle_first(new, world.rng)))


def older(world: World) -> Scene:
    """The store ends before that of the current bundle."""
    old, since = world.run(600), world.run(900)
    return Scene(old.then(since), old)


def equal(world: World) -> Scene:
    """Nothing changed."""
    before, new = world.run(1200), world.run(600)
    return Scene(before, before.then(new))


def better(world: World) -> Scene:
    """The current bundle was fitted on few runs, and their sizes were misread."""
    before, new = world.run(400), world.run(1200)
    return Scene(before, before.then(new), spoil_before=_blur_sizes)


def _blur_sizes(rows: Rows, rng: np.random.Generator) -> Rows:
    return replace(rows, size=rows.size * np.exp(rng.normal(0, 0.3, len(rows))))


SCENES: Mapping[str, Callable[[World], Scene]] = {
    scene.__name__: scene
    for scene in (
        shuffled,
        unit_mistake,
        unit_mistake_of_one,
        stale,
        older,
        disorder,
        equal,
        better,
    )
}


def attempt(name: str, seed: int, folder: Path) -> Verdict:
    """Fit a current bundle and a candidate of one scene, and let the gate decide."""
    world = World(seed)
    scene = SCENES[name](world)
    settings = Settings()
    registry = FolderRegistry(folder / "registry")
    gate = Gate(registry, folder / "snapshots", settings)
    verdict = Verdict(promote=True, reasons=())
    steps = (("before", scene.before, scene.spoil_before), ("now", scene.now, scene.spoil))
    for step, rows, spoil in steps:
        snapshot = rows.write(folder / "snapshots", step)
        scratch = folder / step
        scratch.mkdir()
        trial = gate.hold_out(schema(), snapshot, (), scratch)
        spoilt = spoil(rows.take(trial.held_out.fit), world.rng)
        fitted = replace(trial.snapshot, path=spoilt.write(scratch, "fitted").path)
        train(schema(), fitted, (), scratch / "bundle", FAST)
        verdict = trial.judge(scratch / "bundle")
        registry.publish(
            WORKLOAD,
            scratch / "bundle",
            promote=verdict.promote,
            who="benchmark",
            why=verdict.sentence(),
        )
    return verdict


def gain(verdict: Verdict) -> float:
    """Return by which share the candidate's error on the newest rows is below the current's."""
    about = verdict.scores.get("newest", {}).values()
    ratios = [m["candidate"]["crps"] / m["current"]["crps"] for m in about]
    return 1 - float(np.mean(ratios)) if ratios else float("nan")


@click.command(help=__doc__)
@click.option("--tries", default=30, show_default=True)
@click.option("--only", default=",".join(SCENES), show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(tries: int, only: str, seed: int) -> None:
    gain_of = "median gain in error on the newest rows"
    click.echo(f"| scene | what happened | tries | promoted | {gain_of} | seconds |")
    click.echo("|---|---|---|---|---|---|")
    for name in only.split(","):
        began = time.perf_counter()
        verdicts = []
        for number in range(seed, seed + tries):
            click.echo(f"{name}: try {number - seed + 1} of {tries}", err=True)
            with tempfile.TemporaryDirectory(prefix="foretell-gate-") as folder:
                verdicts.append(attempt(name, number, Path(folder)))
        promoted = sum(verdict.promote for verdict in verdicts)
        took = time.perf_counter() - began
        middle = float(np.median([gain(verdict) for verdict in verdicts]))
        gained = "-" if np.isnan(middle) else f"{middle:.0%}"
        what = (SCENES[name].__doc__ or "").strip()
        click.echo(f"| {name} | {what} | {tries} | {promoted} | {gained} | {took:.0f} |")
    click.echo("\nOf `better` nearly all should be promoted, of `equal` any, of all others none.")


if __name__ == "__main__":
    main()
