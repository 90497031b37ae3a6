"""Anomalies: which rows of the data sets cannot be, by what their schemas declare.

    python -m benchmarks.anomalies --data DIR
    python -m benchmarks.anomalies --data DIR --registry FOLDER

Each set whose schema has links is read through the checks of ingest, and so is `dirty.parquet`: the
rows of the source of `llm_models` that break the identity, or report impossible rates. With a
registry that has a bundle of `llm_models`, what the identity leaves of them is compared with
forecasts, as the watch does. Nothing is copied: the files are read where they are.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import click

from benchmarks.datasets import DATA_SETS
from foretell.predictor import Predictor
from foretell.registry import FolderRegistry
from foretell.schema_file import load_schema
from foretell_trainer.corrections.outcomes import read_outcomes
from foretell_trainer.ingest import IngestReport, ingest_file
from foretell_trainer.store import Store
from foretell_trainer.watch.scored import score_outcomes

DIRTY = "llm_models/dirty.parquet"


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--registry", type=click.Path(exists=True, path_type=Path))
def main(data: Path, registry: Path | None) -> None:
    """Print how many rows are flagged."""
    for about in DATA_SETS.values():
        if load_schema(about.schema_path).links:
            _print(about.file, _flagged(about.schema_path, data / about.file, None))
    _print(DIRTY, _flagged(DATA_SETS["llm_models"].schema_path, data / DIRTY, registry))


def _flagged(schema_path: Path, file: Path, registry: Path | None) -> IngestReport:
    schema = load_schema(schema_path)
    with tempfile.TemporaryDirectory(prefix="foretell-") as folder:
        store = Store(Path(folder))
        report = ingest_file(store, schema, file)
        if registry is not None:
            _compare(store, FolderRegistry(registry), schema.workload)
    return report


def _print(name: str, report: IngestReport) -> None:
    share = report.flagged / max(report.stored, 1)
    click.echo(f"{name}: {report.stored} rows, {report.flagged} break an identity ({share:.1%})")


def _compare(store: Store, registry: FolderRegistry, workload: str) -> None:
    """Print which of the rows that are not flagged are far beyond their forecasts."""
    predictor = Predictor.load(registry.path(workload, registry.current(workload)))
    outcomes, _ = read_outcomes(store, predictor.schema, 0, 100_000)
    scored = score_outcomes(predictor, outcomes)
    names = outcomes.features["framework"]
    rows = Counter(map(str, names))
    far = Counter(str(names[row]) for row in scored.beyond)
    for name, count in rows.items():
        click.echo(f"  {name}: {far[name]} of {count} others are far beyond their forecasts")


if __name__ == "__main__":
    main()
