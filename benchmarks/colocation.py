"""How much longer a WebAssembly benchmark takes beside a neighbour: predicted for held-out pairs.

    python -m benchmarks.colocation --data DIR [--observed 0.5] [--rows N] [--location-only]

What is learned (`schemas/wasm_colocation.yaml`): runtimes alone, and slowdowns beside one neighbour
where the run alone is among what is observed. The runtime beside a neighbour is forecast as the one
times the other; a run alone that was observed is taken as it was. With --location-only, observed
runs beside a neighbour tell about the run alone too: divided by their slowdown, they are one.

Two splits: a share of the combinations (workload, neighbour, platform) is seen, both runs of one on
the same side; or a share of the pairs (workload, platform), so that what is held out was seen
neither alone nor beside anybody.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.datasets import SCHEMAS
from foretell.catalog import CatalogTable
from foretell.decide.outcomes import Strata
from foretell.predictor import Predictor
from foretell.schema import Schema
from foretell.schema_file import load_schema
from foretell_trainer.blas import one_thread
from foretell_trainer.catalogs import catalogs_from_files
from foretell_trainer.engine.fitting import locate
from foretell_trainer.engine.inputs import Flags, Floats, Integers
from foretell_trainer.prepared import prepare
from foretell_trainer.snapshot import read_snapshot, snapshot_from_files
from foretell_trainer.training import FitSettings, train

ALONE = "alone"
SEED = 5
LEVELS = (0.8, 0.9, 0.95)
FOLDER = "wasm_platforms"
_AT_ONCE = 2000
_FORECAST_COUNTS = 0.5
_CATALOGS = (("workloads", "workloads"), ("neighbours", "workloads"), ("platforms", "platforms"))


@dataclass(frozen=True)
class Runs:
    """All runs, alone and beside a neighbour, [n] each."""

    workload: np.ndarray[Any, Any]
    neighbour: np.ndarray[Any, Any]
    platform: np.ndarray[Any, Any]
    runtime: Floats

    @property
    def beside(self) -> Flags:
        """Which runs had a neighbour."""
        found: Flags = self.neighbour != ALONE
        return found

    def alone(self, known: Flags) -> Floats:
        """Return the runtime alone of each run's workload on its platform, NaN if not known."""
        pair = _codes(self.workload, self.platform)
        found = np.full(int(pair.max()) + 1, np.nan)
        rows = known & ~self.beside
        found[pair[rows]] = self.runtime[rows]
        times: Floats = found[pair]
        return times


@dataclass(frozen=True)
class Split:
    """Which rows are learned from; of the others, those beside a neighbour are predicted."""

    name: str
    observed: Flags


@dataclass(frozen=True)
class Forecast:
    """Of the held-out runs beside a neighbour."""

    median: Floats
    held: str
    """How many intervals of each level hold; "-" without intervals."""


def load_runs(data: Path) -> Runs:
    """Return all runs."""
    solo = pq.read_table(data / FOLDER / "runtimes.parquet")
    beside = pq.read_table(data / FOLDER / "interference.parquet")
    names = beside["corunner"].to_pylist()

    def both(name: str) -> np.ndarray[Any, Any]:
        return np.array([*solo[name].to_pylist(), *beside[name].to_pylist()])

    neighbour = np.array([*([ALONE] * len(solo)), *names])
    return Runs(both("workload"), neighbour, both("platform"), both("runtime"))


def splits(runs: Runs, share: float) -> list[Split]:
    """Return both splits, with the same share observed."""
    # Both runs of a combination happened at once: one would tell about the other.
    both = np.sort(np.column_stack([runs.workload, runs.neighbour]), axis=1)
    combination = _codes(both[:, 0], both[:, 1], runs.platform)
    pair = _codes(runs.workload, runs.platform)
    return [
        Split(f"{share:.0%} of the combinations", _some(combination, share)),
        Split(f"{share:.0%} of (workload, platform)", _some(pair, share)),
    ]


def _codes(*labels: np.ndarray[Any, Any]) -> Integers:
    codes = [np.unique(label, return_inverse=True)[1] for label in labels]
    found: Integers = np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].reshape(-1)
    return found


def _some(codes: Integers, share: float) -> Flags:
    count = int(codes.max()) + 1
    chosen = np.random.default_rng(SEED).permutation(count)[: round(share * count)]
    return np.isin(codes, chosen)


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--observed", default=0.5, show_default=True, help="Share that is observed.")
@click.option("--rows", type=int, help="Learn from so many of the observed rows, at most.")
@click.option("--only", type=click.IntRange(0, 1), help="One of the two splits.")
@click.option("--threads", default=2, show_default=True, help="Threads of LightGBM.")
@click.option("--location-only", is_flag=True, help="No intervals, in a fraction of the time.")
def main(
    data: Path,
    observed: float,
    rows: int | None,
    only: int | None,
    threads: int,
    location_only: bool,
) -> None:
    """Print one row for each split."""
    table = Table(title="runtime beside one neighbour, held out")
    for heading in ("observed", "learned from", "predicted", "mean error", "median error",
                    "alone observed / beside another / neither", "80 / 90 / 95 % hold",
                    "usual slowdown: mean error", "fit s"):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "observed" else "right")
    runs = load_runs(data)
    for i, split in enumerate(splits(runs, observed)):
        if only in (None, i):
            learner = _Learner(data, runs, split, rows, threads)
            table.add_row(*learner.measure(location_only=location_only))
    Console(width=140).print(table)


class _Learner:
    """Learns from the observed half of the runs."""

    def __init__(
        self, data: Path, runs: Runs, split: Split, rows: int | None, threads: int
    ) -> None:
        self._runs, self._split = runs, split
        self._settings = FitSettings(threads=threads)
        self._schema: Schema = load_schema(SCHEMAS / "wasm_colocation.yaml")
        named = [(name, data / FOLDER / f"{file}.parquet") for name, file in _CATALOGS]
        self._catalogs: list[CatalogTable] = list(catalogs_from_files(self._schema, named)[0])
        self._alone = runs.alone(split.observed)
        usable = split.observed & (~runs.beside | np.isfinite(self._alone))
        kept = np.flatnonzero(usable)
        if rows is not None and len(kept) > rows:
            kept = np.sort(np.random.default_rng(SEED).permutation(kept)[:rows])
        self._kept = kept
        self._out = np.flatnonzero(~split.observed & runs.beside)
        self._seen_beside = np.flatnonzero(split.observed & runs.beside)

    def measure(self, *, location_only: bool) -> list[str]:
        """Return what the table says of the split."""
        truth = self._runs.runtime[self._out]
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="foretell-") as folder:
            found = (self._located if location_only else self._forecast)(Path(folder))
        seconds = time.perf_counter() - began
        error = np.abs(found.median - truth) / truth
        return [
            self._split.name,
            str(len(self._kept)),
            str(len(self._out)),
            f"{error.mean():.2%}",
            f"{np.median(error):.2%}",
            self._by_what_was_seen(error),
            found.held,
            self._usual_slowdown(),
            f"{seconds:.0f}",
        ]

    def _snapshot(self, folder: Path) -> Any:  # noqa: ANN401 -- a Snapshot
        runs, rows = self._runs, self._kept
        beside = runs.beside[rows]
        slowdown = np.where(beside, runs.runtime[rows] / self._alone[rows], np.nan)
        table = {
            "workload": runs.workload[rows],
            "corunner": runs.neighbour[rows],
            "platform": runs.platform[rows],
            "runtime": pa.array(runs.runtime[rows], mask=beside),
            "slowdown": pa.array(slowdown, mask=~beside),
        }
        path = folder / "runs.parquet"
        pq.write_table(pa.table(table), path)
        return snapshot_from_files(self._schema, [path], folder)[0]

    def _asked(self, rows: Integers, neighbour: np.ndarray[Any, Any]) -> dict[str, Any]:
        runs = self._runs
        named = {"workload": runs.workload, "platform": runs.platform, "neighbour": neighbour}
        return {name: values[rows].astype(object) for name, values in named.items()}

    def _both(self, rows: Integers) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the features of runs, alone and as they were."""
        alone = np.full(len(self._runs.neighbour), ALONE)
        return self._asked(rows, alone), self._asked(rows, self._runs.neighbour)

    def _by_what_was_seen(self, error: Floats) -> str:
        """Return the mean errors by what was observed of the same workload on the same platform."""
        alone = np.isfinite(self._alone[self._out])
        beside = ~alone & np.isin(self._pairs[self._out], self._pairs[self._seen_beside])
        parts = (alone, beside, ~alone & ~beside)
        return " / ".join(f"{error[p].mean():.2%}" if p.any() else "-" for p in parts)

    @cached_property
    def _pairs(self) -> Integers:
        return _codes(self._runs.workload, self._runs.platform)

    def _located(self, folder: Path) -> Forecast:
        """Return what the locations say, before spread and calibration."""
        columns = read_snapshot(self._snapshot(folder), self._schema)
        encoder, _, training = prepare(self._schema, columns, self._catalogs)

        def read(metric: int, *rows: Integers) -> list[Floats]:
            name, began = self._schema.metric_names[metric], time.perf_counter()
            click.echo(f"fits {name} to {len(self._kept):,} runs", err=True)
            with one_thread():
                location, unit = locate(training, metric, self._settings)
            click.echo(f"fitted {name} in {time.perf_counter() - began:.0f} s", err=True)
            found = []
            for asked in (self._both(r)[metric] for r in rows):
                encoded, _ = encoder.encode_table(asked, named="name")
                inputs = training.input_map(encoded.numbers, encoded.categories)
                found.append(np.asarray(unit * location.predict(inputs)))
            return found

        (forecast,) = read(0, self._out)
        slower, slower_seen = read(1, self._out, self._seen_beside)
        alone = self._alone_told(forecast, slower_seen)
        return Forecast(np.exp(alone + slower), "-")

    def _alone_told(self, forecast: Floats, slower_seen: Floats) -> Floats:
        """Return the logs of runs alone: as observed, else as forecast and as runs beside tell."""
        pairs, rows = self._pairs, self._seen_beside
        told, count = np.zeros(int(pairs.max()) + 1), np.zeros(int(pairs.max()) + 1)
        np.add.at(told, pairs[rows], np.log(self._runs.runtime[rows]) - slower_seen)
        np.add.at(count, pairs[rows], 1.0)
        mine = pairs[self._out]
        # As if the forecast were half a run: it errs by a little more than one does.
        blended = (told[mine] + _FORECAST_COUNTS * forecast) / (count[mine] + _FORECAST_COUNTS)
        observed = np.log(self._alone[self._out])
        return np.where(np.isfinite(observed), observed, blended)

    def _forecast(self, folder: Path) -> Forecast:
        """Return the medians of both factors' product, outcome by outcome, and its intervals."""
        bundle = folder / "bundle"
        train(self._schema, self._snapshot(folder), self._catalogs, bundle, self._settings)
        predictor = Predictor.load(bundle, self._schema)
        parts = [
            self._products(predictor, self._out[start : start + _AT_ONCE])
            for start in range(0, len(self._out), _AT_ONCE)
        ]
        quantiles = np.concatenate(parts, axis=1)
        truth, held = self._runs.runtime[self._out], []
        for i in range(len(LEVELS)):
            low, high = quantiles[1 + 2 * i], quantiles[2 + 2 * i]
            held.append(f"{((truth >= low) & (truth <= high)).mean():.1%}")
        return Forecast(quantiles[0], " / ".join(held))

    def _products(self, predictor: Predictor, rows: Integers) -> Floats:
        """Return the median and both ends of each interval of some runs, [1 + 2 levels, rows]."""
        strata, factors = Strata(self._schema), []
        for metric, asked in zip(("runtime", "slowdown"), self._both(rows), strict=True):
            encoded, _ = predictor.encoder.encode_table(asked, named="name")
            forecasts = predictor.forecast(encoded).forecasts
            factors.append(strata.outcomes(forecasts, 0.0).metric(metric))
        alone = self._alone[rows][:, None]
        factors[0] = np.where(np.isfinite(alone), alone, factors[0])
        ends = [end for level in LEVELS for end in ((1 - level) / 2, (1 + level) / 2)]
        found: Floats = np.quantile(factors[0] * factors[1], [0.5, *ends], axis=1)
        return found

    def _usual_slowdown(self) -> str:
        """Return the error of one who knows the run alone exactly and takes the mean slowdown."""
        runs = self._runs
        truly = runs.alone(np.ones(len(runs.runtime), dtype=np.bool_))[self._out]
        rows = self._kept[runs.beside[self._kept]]
        usual = float(np.exp(np.log(runs.runtime[rows] / self._alone[rows]).mean()))
        known = np.isfinite(truly)
        truth = runs.runtime[self._out][known]
        return f"{(np.abs(usual * truly[known] - truth) / truth).mean():.1%}"


if __name__ == "__main__":
    main()
