"""Cross-validation: how good bundles are that did not see the rows, by a split of one's choice.

Each fold goes the whole way, from rows to a bundle that was written, loaded and asked, so that
what is judged is what would be served. The rows of all folds are scored together.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foretell.catalog import CatalogTable
from foretell.forecast import Forecasts, QuantileTables
from foretell.predictor import Predictor
from foretell.schema import Schema
from foretell_trainer.engine.evaluation import compare
from foretell_trainer.engine.inputs import Integers
from foretell_trainer.engine.training_set import FitSettings, Progress
from foretell_trainer.snapshot import Columns, Snapshot, read_snapshot
from foretell_trainer.splits import Split, folds_of, labels_of
from foretell_trainer.training import train


def cross_validate(
    schema: Schema,
    snapshot: Snapshot,
    catalogs: Sequence[CatalogTable],
    split: Split,
    settings: FitSettings | None = None,
    progress: Progress = lambda _stage, _fraction, _numbers: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Return how good forecasts are for rows left out: the split, and per metric what
    `compare` returns, with the schema's ids as groups.

    Raises InvalidInput when the rows cannot be split so, or a fold has too few; Cancelled.
    """
    columns = read_snapshot(snapshot, schema)
    folds = list(folds_of(split, schema, columns, catalogs))
    parts: list[Forecasts] = []
    for number, rows in enumerate(folds):

        def tell(stage: str, share: float, numbers: Mapping[str, float], at: int = number) -> None:
            progress(f"fold {at + 1} of {len(folds)}: {stage}", (at + share) / len(folds), numbers)

        with tempfile.TemporaryDirectory(prefix="foretell-fold-") as scratch:
            part = subset(snapshot, rows.train, Path(scratch))
            bundle = Path(scratch) / "bundle"
            train(schema, part, catalogs, bundle, settings, tell, should_stop)
            parts.append(_forecasts(Predictor.load(bundle), columns, rows.test))
    tested = np.concatenate([rows.test for rows in folds])
    ids = [group[0] for group in schema.groups if len(group) == 1]
    groups = {name: labels_of(name, schema, columns, catalogs)[tested].tolist() for name in ids}
    forecasts, actual = pooled(parts), columns.metrics[tested]
    return {
        **replace(split, folds=len(folds)).describe(),
        "rows": len(tested),
        "metrics": {
            metric.name: compare(forecasts, actual[:, m], m, groups)
            for m, metric in enumerate(schema.metrics)
        },
    }


def subset(snapshot: Snapshot, rows: Integers, folder: Path) -> Snapshot:
    """Write the snapshot of some of the rows, in their order, into a folder."""
    path = folder / f"{snapshot.workload}.parquet"
    pq.write_table(pq.read_table(snapshot.path).take(pa.array(rows)), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(snapshot, path=path, sha256=digest, rows=len(rows))


def pooled(parts: Sequence[Forecasts]) -> Forecasts:
    """Return the forecasts of several bundles as one; each row keeps its bundle's tables."""
    tables = [part.tables for part in parts]
    offsets = np.cumsum([0, *(len(table.values) for table in tables[:-1])])
    return Forecasts(
        parts[0].metric_names,
        parts[0].log,
        np.concatenate([part.location for part in parts]),
        np.concatenate([part.scale for part in parts]),
        np.concatenate([p.table + o for p, o in zip(parts, offsets, strict=True)]),
        QuantileTables(tables[0].levels, np.concatenate([table.values for table in tables])),
        np.concatenate([part.support for part in parts]),
    )


def _forecasts(predictor: Predictor, columns: Columns, rows: Integers) -> Forecasts:
    asked = {name: values[rows] for name, values in columns.features.items()}
    encoded, _ = predictor.encoder.encode_table(asked, named="name")
    return predictor.forecast(encoded).forecasts
