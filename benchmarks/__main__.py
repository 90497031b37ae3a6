"""The benchmarks, and how to run each.

python -m benchmarks
python -m benchmarks --data DIR     # and run the quick ones
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: what it shows, its command, and the arguments of a quick run."""

    module: str
    shows: str
    usage: str
    minutes: str
    quick: tuple[str, ...]
    needs_data: bool = True


BENCHMARKS = (
    Benchmark(
        "benchmarks.notebook",
        "the reference notebook's five folds: its SGD and ours",
        "--data DIR",
        "1",
        quick=(),
    ),
    Benchmark(
        "benchmarks.accuracy",
        "accuracy and calibration on six data sets, split by split, beside simpler models",
        "--data DIR [--only SET,...] [--splits SPLIT,...] [--folds N] [--out docs/accuracy.md]",
        "1 to 10 per split, on two cores",
        quick=("--only", "wasm_tasks,llm_models", "--splits", "random", "--quick"),
    ),
    Benchmark(
        "benchmarks.repeats",
        "how far measurements differ that no feature tells apart: what no forecast can be below",
        "--data DIR [--only SET] [--but FEATURE]",
        "1",
        quick=(),
    ),
    Benchmark(
        "benchmarks.anomalies",
        "rows that break what their schema declares, and rates that cannot be",
        "--data DIR [--registry FOLDER]",
        "1",
        quick=(),
    ),
    Benchmark(
        "benchmarks.decisions",
        "hardware for held-out models, limits that hold, rankings and matrices through gRPC",
        "--data DIR [--only vision_models,llm_models] [--folds N] [--no-speed]",
        "20",
        quick=("--only", "llm_models", "--folds", "1"),
    ),
    Benchmark(
        "benchmarks.scheduling",
        "a scheduling simulator: what forecasts are worth, and memory packed by joint risk",
        "--data DIR [--seeds N] [--load 0.85]",
        "5",
        quick=("--folds", "2", "--seeds", "2"),
    ),
    Benchmark(
        "benchmarks.colocation",
        "runtimes of WebAssembly benchmarks beside one neighbour, for held-out pairs",
        "--data DIR [--observed 0.5] [--rows N] [--location-only]",
        "30",
        quick=("--rows", "3000", "--only", "0", "--location-only"),
    ),
    Benchmark(
        "benchmarks.swaps",
        "hot swaps under continuous load: failed requests, growth of memory",
        "--swaps 100",
        "2",
        quick=("--swaps", "20"),
        needs_data=False,
    ),
    Benchmark(
        "benchmarks.telemetry",
        "what metrics, logs and traces cost a request",
        "",
        "1",
        quick=(),
        needs_data=False,
    ),
    Benchmark(
        "benchmarks.gate",
        "how often worse, equal and better bundles are let through the gate",
        "--tries 30",
        "20",
        quick=("--tries", "2"),
        needs_data=False,
    ),
    Benchmark(
        "benchmarks.corrections",
        "a group becomes twice as slow: answers after 20 outcomes, and everybody else's",
        "--data DIR [--only wasm_tasks,vision_models]",
        "3",
        quick=("--only", "wasm_tasks"),
    ),
    Benchmark(
        "benchmarks.newcomers",
        "a name arrives that the fit has not seen: answers after its first outcomes",
        "--data DIR [--only wasm_tasks,llm_models]",
        "4",
        quick=("--only", "wasm_tasks"),
    ),
    Benchmark(
        "benchmarks.retraining",
        "a training run beside 1,000 predictions per second: failures and latency",
        "--rows 21000 --rate 1000",
        "5",
        quick=("--rows", "2000", "--rate", "300", "--family", "ridge"),
        needs_data=False,
    ),
    Benchmark(
        "benchmarks.kills",
        "SIGKILL to every part while outcomes are reported: what is missing or doubled",
        "--seconds 60 --seeds 10",
        "15",
        quick=("--seconds", "5", "--seeds", "1"),
        needs_data=False,
    ),
    Benchmark(
        "benchmarks.following",
        "seconds from a report to answers that have followed, in every server process",
        "--changes 30",
        "1",
        quick=("--changes", "6"),
        needs_data=False,
    ),
    Benchmark(
        "benchmarks.serving",
        "the server beside an echo on its own stack, the graph alone, and peers",
        "[--peers] [--only NAME] [--out FILE]",
        "8; the first run fits a bundle",
        quick=("--rounds", "1", "--seconds", "0.5"),
        needs_data=False,
    ),
    Benchmark(
        "benchmarks.ingest",
        "observations per second into DuckDB: alone, through broker and worker, through gRPC",
        "--rows 60000 --batch 1000,5000",
        "1",
        quick=("--rows", "20000", "--batch", "2000"),
        needs_data=False,
    ),
)


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(data: Path | None) -> None:
    for benchmark in BENCHMARKS:
        click.echo(f"{benchmark.module}: {benchmark.shows}")
        click.echo(f"    python -m {benchmark.module} {benchmark.usage}")
        click.echo(f"    minutes: {benchmark.minutes}")
    if data is None:
        click.echo("\nRun the quick ones with: python -m benchmarks --data DIR")
        return
    codes = [_run(one, data) for one in BENCHMARKS]
    sys.exit(max(codes))


def _run(benchmark: Benchmark, data: Path) -> int:
    command = ["-m", benchmark.module, *benchmark.quick]
    if benchmark.needs_data:
        command += ["--data", str(data)]
    click.echo(f"\n$ python {' '.join(command)}")
    return subprocess.run([sys.executable, *command], check=False).returncode


if __name__ == "__main__":
    main()
