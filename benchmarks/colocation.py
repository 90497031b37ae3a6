"""How much longer a WebAssembly benchmark takes beside a neighbour: predicted for held-out pairs.

    python -m benchmarks.colocation --data DIR [--observed 0.5] [--rows N] [--location-only]

Runs alone and runs beside one neighbour are learned from together (`schemas/wasm_colocation.yaml`).
Two splits: a share of all (workload, neighbour, platform) combinations is observed, both runs of a
combination on the same side; or a share of the (workload, platform) pairs, so that a held-out run
was seen neither alone nor beside anybody.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks.bundles import fit_bundle, predict
from benchmarks.datasets import SCHEMAS, DataSet, Loaded
from foretell.schema_file import load_schema
from foretell_trainer.catalogs import catalogs_from_files
from foretell_trainer.engine.fitting import locate
from foretell_trainer.engine.inputs import Flags, Floats, Integers
from foretell_trainer.snapshot import read_snapshot, snapshot_from_files
from foretell_trainer.training import FitSettings, prepare

ALONE = "alone"
SEED = 5
LEVELS = (0.8, 0.9, 0.95)
ABOUT = DataSet(
    "wasm_colocation",
    "wasm_platforms/interference.parquet",
    "workload",
    "platform",
    (
        ("workloads", "wasm_platforms/workloads.parquet"),
        ("neighbours", "wasm_platforms/workloads.parquet"),
        ("platforms", "wasm_platforms/platforms.parquet"),
    ),
)


@dataclass(frozen=True)
class Split:
    """Which rows are learned from; of the others, those beside a neighbour are predicted."""

    name: str
    observed: Flags


def load_runs(data: Path, folder: Path) -> Loaded:
    """Return all runs, alone and beside a neighbour, as `train` would read them."""
    solo = pq.read_table(data / "wasm_platforms" / "runtimes.parquet")
    beside = pq.read_table(data / ABOUT.file)
    alone = pa.array([ALONE] * len(solo), type=beside.schema.field("corunner").type)
    table = pa.concat_tables(
        [solo.append_column("corunner", alone).select(beside.column_names), beside]
    )
    path = folder / "runs.parquet"
    pq.write_table(table, path)
    schema = load_schema(SCHEMAS / f"{ABOUT.name}.yaml")
    snapshot, report = snapshot_from_files(schema, [path], folder)
    named = [(name, data / file) for name, file in ABOUT.catalogs]
    catalogs, _ = catalogs_from_files(schema, named)
    return Loaded(
        about=ABOUT,
        schema=schema,
        snapshot=snapshot,
        table=pq.read_table(snapshot.path),
        columns=read_snapshot(snapshot, schema),
        catalogs=tuple(catalogs),
        rejected=tuple(map(str, report.rejected)),
    )


def splits(loaded: Loaded, share: float) -> list[Split]:
    """Return both splits, with the same share observed."""
    workload, neighbour, platform = (
        loaded.labels(name) for name in ("workload", "neighbour", "platform")
    )
    # Both runs of a combination happened at once: one would tell about the other.
    both = np.sort(np.column_stack([workload, neighbour]).astype(str), axis=1)
    combination = _codes(both[:, 0], both[:, 1], platform)
    return [
        Split(f"{share:.0%} of the combinations", _some(combination, share)),
        Split(f"{share:.0%} of (workload, platform)", _some(_codes(workload, platform), share)),
    ]


def _codes(*labels: np.ndarray) -> Integers:
    codes = [np.unique(label.astype(str), return_inverse=True)[1] for label in labels]
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
                    "80 / 90 / 95 % hold", "slowdown alone: mean error", "fit s"):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "observed" else "right")
    with tempfile.TemporaryDirectory(prefix="foretell-") as folder:
        loaded = load_runs(data, Path(folder))
        for i, split in enumerate(splits(loaded, observed)):
            if only in (None, i):
                table.add_row(*_measure(loaded, split, rows, threads, location_only=location_only))
    Console(width=140).print(table)


def _measure(
    loaded: Loaded, split: Split, rows: int | None, threads: int, *, location_only: bool
) -> list[str]:
    beside = loaded.labels("neighbour") != ALONE
    kept = np.flatnonzero(split.observed)
    if rows is not None and len(kept) > rows:
        kept = np.sort(np.random.default_rng(SEED).permutation(kept)[:rows])
    out = np.flatnonzero(~split.observed & beside)
    truth = loaded.columns.metrics[out, 0]
    began = time.perf_counter()
    if location_only:
        median, held = _located(loaded, kept, out, threads), "-"
    else:
        median, held = _forecast(loaded, kept, out, threads)
    seconds = time.perf_counter() - began
    error = np.abs(median - truth) / truth
    return [
        split.name,
        str(len(kept)),
        str(len(out)),
        f"{error.mean():.2%}",
        f"{np.median(error):.2%}",
        held,
        _without_neighbours(loaded, kept, out),
        f"{seconds:.0f}",
    ]


def _forecast(loaded: Loaded, kept: Integers, out: Integers, threads: int) -> tuple[Floats, str]:
    """Return the medians of a bundle, and how many of its intervals hold."""
    fit = fit_bundle(loaded, kept, threads, lambda _name, _fraction: None)
    found = predict(fit, loaded, out)
    truth, held = found.actual[:, 0], []
    for level in LEVELS:
        lower, upper = (end[:, 0] for end in found.forecasts.interval(level))
        held.append(f"{((truth >= lower) & (truth <= upper)).mean():.1%}")
    return found.forecasts.median()[:, 0], " / ".join(held)


def _located(loaded: Loaded, kept: Integers, out: Integers, threads: int) -> Floats:
    """Return what the location says, before spread and calibration."""
    with tempfile.TemporaryDirectory(prefix="foretell-") as folder:
        columns = read_snapshot(loaded.subset(kept, Path(folder)), loaded.schema)
    encoder, _, training = prepare(loaded.schema, columns, loaded.catalogs)
    location, unit = locate(training, 0, FitSettings(threads=threads))
    encoded, _ = encoder.encode_table(loaded.features(out), named="name")
    found: Floats = np.exp(
        unit * location.predict(training.input_map(encoded.numbers, encoded.categories))
    )
    return found


def _without_neighbours(loaded: Loaded, kept: Integers, out: Integers) -> str:
    """Return the error of one who knows the run alone exactly and takes the mean slowdown."""
    solo = _solo(loaded)
    truth = loaded.columns.metrics[:, 0]
    beside = loaded.labels("neighbour") != ALONE
    with np.errstate(divide="ignore", invalid="ignore"):
        slowdown = truth / solo
    learned = kept[beside[kept] & np.isfinite(slowdown[kept])]
    usual = float(np.exp(np.log(slowdown[learned]).mean()))
    known = out[np.isfinite(solo[out])]
    error = np.abs(usual * solo[known] - truth[known]) / truth[known]
    return f"{error.mean():.1%}"


def _solo(loaded: Loaded) -> Floats:
    """Return, for every row, the runtime of its workload alone on its platform; NaN if unknown."""
    neighbour, truth = loaded.labels("neighbour"), loaded.columns.metrics[:, 0]
    pair = _codes(loaded.labels("workload"), loaded.labels("platform"))
    alone = np.full(int(pair.max()) + 1, np.nan)
    alone[pair[neighbour == ALONE]] = truth[neighbour == ALONE]
    solo: Floats = alone[pair]
    return solo


if __name__ == "__main__":
    main()
