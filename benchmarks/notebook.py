"""The reference notebook's protocol on its own rows: five shuffled folds of `wasm_tasks`.

    python -m benchmarks.notebook --data DIR

The notebook shuffles the rows with seed 42 and then takes KFold(5, shuffle, seed 42). Its model,
StandardScaler + SGDRegressor on ten features, is fitted on the same folds in the same run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.model_selection import KFold

from benchmarks.bundles import Predicted, fit_bundle, pooled, predict
from benchmarks.datasets import DATA_SETS, Loaded, load
from benchmarks.sgd import fit_sgd
from foretell.forecast import Forecasts
from foretell_trainer.engine.inputs import Floats, Integers

SEED = 42
FOLDS = 5
LEVEL = 0.8
SGD_FEATURES = (
    "binary_size_bytes",
    "data_section_size_bytes",
    "import_count",
    "export_count",
    "function_count",
    "type_definition_count",
    "total_local_variables",
    "max_local_variables_per_function",
    "avg_local_variables_per_function",
    "request_payload_size",
)
"""The notebook's ten; any such ten with the payload's size give its 5.87 s within 0.02 s."""


@dataclass(frozen=True)
class Result:
    """What one protocol gave: per fold, then over all rows; errors as fractions."""

    fold_rmse: tuple[float, ...]
    """Of the duration, in seconds."""
    median_ape: Floats
    """[M]"""
    coverage: Floats | None = None
    """[M], of the 80 % interval."""


def folds_of(rows: int, *, shuffled: bool) -> Iterator[tuple[Integers, Integers]]:
    """Yield (train, test) rows, as positions in the file."""
    order = np.arange(rows)
    if shuffled:
        # What pandas' sample(frac=1, random_state=42) draws; it has no newer generator.
        order = np.random.RandomState(SEED).permutation(rows)
    for kept, out in KFold(FOLDS, shuffle=True, random_state=SEED).split(order):
        yield order[kept], order[out]


def sgd_result(loaded: Loaded, *, shuffled: bool) -> Result:
    """Run the notebook's model."""
    inputs = np.column_stack([loaded.columns.features[name] for name in SGD_FEATURES])
    metrics = loaded.columns.metrics
    predicted, tested = [], []
    for kept, out in folds_of(len(loaded), shuffled=shuffled):
        models = [fit_sgd(inputs[kept], metrics[kept, m]) for m in range(metrics.shape[1])]
        predicted.append(np.column_stack([model(inputs[out]) for model in models]))
        tested.append(metrics[out])
    return _result(predicted, tested)


def our_result(loaded: Loaded, threads: int, *, shuffled: bool) -> Result:
    """Run `train` on each fold, and predict the rest through the exported graph."""
    parts: list[Predicted] = []
    console = Console(stderr=True)
    for kept, out in folds_of(len(loaded), shuffled=shuffled):
        with console.status(f"fold {len(parts) + 1} of {FOLDS}"):
            parts.append(
                predict(fit_bundle(loaded, kept, threads, lambda _s, _f: None), loaded, out)
            )
    forecasts, actual = pooled(parts)
    medians = [part.forecasts.median() for part in parts]
    found = _result(medians, [part.actual for part in parts])
    return Result(found.fold_rmse, found.median_ape, _coverage(forecasts, actual))


def _result(predicted: list[Floats], tested: list[Floats]) -> Result:
    rmse = [_rmse(p[:, 0], t[:, 0]) for p, t in zip(predicted, tested, strict=True)]
    every, truth = np.concatenate(predicted), np.concatenate(tested)
    return Result(tuple(rmse), np.median(np.abs(every - truth) / truth, axis=0))


def _rmse(predicted: Floats, actual: Floats) -> float:
    return float(np.sqrt(((predicted - actual) ** 2).mean()))


def _coverage(forecasts: Forecasts, actual: Floats) -> Floats:
    lower, upper = forecasts.interval(LEVEL)
    return np.asarray(((actual >= lower) & (actual <= upper)).mean(axis=0))


def _row(name: str, result: Result) -> list[str]:
    folds = ", ".join(f"{value:.2f}" for value in result.fold_rmse)
    covered = "" if result.coverage is None else " / ".join(f"{c:.1%}" for c in result.coverage)
    mean = f"{np.mean(result.fold_rmse):.3f}"
    return [name, folds, mean, *(f"{error:.2%}" for error in result.median_ape), covered]


@click.command(help=__doc__.splitlines()[0])
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--threads", default=2, show_default=True, help="Threads of LightGBM.")
@click.option("--as-is", is_flag=True, help="Also run the folds on rows that are not shuffled.")
def main(data: Path, threads: int, as_is: bool) -> None:
    """Print the notebook's numbers and ours, one row each."""
    table = Table(title="wasm_tasks, KFold(5, shuffle, seed 42)")
    for heading in ("model", "duration RMSE by fold, s", "mean"):
        table.add_column(heading)
    for heading in ("duration median APE", "memory median APE", "80 % covers"):
        table.add_column(heading, justify="right")
    with tempfile.TemporaryDirectory(prefix="foretell-") as folder:
        loaded = load(DATA_SETS["wasm_tasks"], data, Path(folder))
        for shuffled in (True, False) if as_is else (True,):
            order = "" if shuffled else ", rows as they are"
            table.add_row(*_row(f"SGD{order}", sgd_result(loaded, shuffled=shuffled)))
            table.add_row(*_row(f"Foretell{order}", our_result(loaded, threads, shuffled=shuffled)))
    table.add_row("to reach", "", "0.6", "2.5%", "1.2%", "77-83%")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
