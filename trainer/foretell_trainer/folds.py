"""Folds of a cross-validation: each is a fit of its own, made here or by another worker."""

from __future__ import annotations

import base64
import hashlib
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foretell.catalog import CatalogTable
from foretell.forecast import Forecasts, QuantileTables
from foretell.predictor import Predictor
from foretell.schema import Schema
from foretell.splits import Split
from foretell_trainer.crew.told import Part, Told
from foretell_trainer.engine.training_set import FitSettings, Progress
from foretell_trainer.snapshot import Columns, Snapshot, read_snapshot, write_part
from foretell_trainer.splits import Rows, folds_of
from foretell_trainer.training import train


@dataclass(frozen=True)
class Folds:
    """The folds of a split of a snapshot, and how each is fitted."""

    schema: Schema
    snapshot: Snapshot
    table: pa.Table
    """The snapshot's rows: its file may be gone when a fold is fitted."""
    columns: Columns
    catalogs: tuple[CatalogTable, ...]
    split: Split
    settings: FitSettings
    rows: tuple[Rows, ...]

    @classmethod
    def of(
        cls,
        schema: Schema,
        snapshot: Snapshot,
        catalogs: Sequence[CatalogTable],
        split: Split,
        settings: FitSettings,
    ) -> Folds:
        """Read a snapshot and split it.

        Raises InvalidInput when the rows cannot be split so.
        """
        columns, table = read_snapshot(snapshot, schema), pq.read_table(snapshot.path)
        rows = tuple(folds_of(split, schema, columns, catalogs))
        return cls(schema, snapshot, table, columns, tuple(catalogs), split, settings, rows)

    def __len__(self) -> int:
        return len(self.rows)

    def told(self) -> Told:
        """Return the folds as they are told to others."""
        about = (self.schema, self.snapshot, self.catalogs, self.settings)
        return Told("folds", *about, self.fingerprint, {"split": asdict(self.split)})

    @property
    def fingerprint(self) -> str:
        """Return what is equal wherever the same rows make the same folds."""
        digest = hashlib.sha256(f"{self.schema.fingerprint} {self.settings}".encode())
        for rows in self.rows:
            digest.update(rows.train.tobytes() + b"|" + rows.test.tobytes())
        return digest.hexdigest()[:16]

    def do(self, part: Part, should_stop: Callable[[], bool]) -> Part:
        """Fit a fold for somebody else."""
        return as_part(self.forecasts(int(part["fold"]), lambda *_: None, should_stop))

    def forecasts(
        self, fold: int, progress: Progress, should_stop: Callable[[], bool]
    ) -> Forecasts:
        """Return what a bundle foretells for a fold's rows that it was not fitted on.

        Raises InvalidInput when the fold has too few rows, and Cancelled.
        """
        rows = self.rows[fold]
        with tempfile.TemporaryDirectory(prefix="foretell-fold-") as scratch:
            part = write_part(self.snapshot, self.table, rows.train, Path(scratch))
            bundle = Path(scratch) / "bundle"
            about = (self.schema, part, self.catalogs, bundle, self.settings)
            train(*about, progress, should_stop)
            predictor = Predictor.load(bundle)
            asked = {name: values[rows.test] for name, values in self.columns.features.items()}
            encoded, _ = predictor.encoder.encode_table(asked, named="name")
            return predictor.forecast(encoded).forecasts


def prepare_folds(told: Told) -> Folds:
    """Split the rows of a cross-validation that somebody told of."""
    split: dict[str, Any] = dict(told.details["split"])
    split["columns"] = tuple(split["columns"])
    about = (told.schema, told.snapshot, told.catalogs)
    return Folds.of(*about, Split(**split), told.settings)


def as_part(forecasts: Forecasts) -> Part:
    """Return forecasts as JSON can hold them, to the last bit."""
    kept = io.BytesIO()
    np.savez_compressed(
        kept,
        log=forecasts.log,
        location=forecasts.location,
        scale=forecasts.scale,
        table=forecasts.table,
        levels=forecasts.tables.levels,
        values=forecasts.tables.values,
        support=forecasts.support,
    )
    arrays = base64.b64encode(kept.getvalue()).decode()
    return {"metrics": list(forecasts.metric_names), "arrays": arrays}


def from_part(part: Part) -> Forecasts:
    """Return the forecasts that `as_part` wrote down."""
    with np.load(io.BytesIO(base64.b64decode(part["arrays"])), allow_pickle=False) as found:
        return Forecasts(
            tuple(part["metrics"]),
            found["log"],
            found["location"],
            found["scale"],
            found["table"],
            QuantileTables(found["levels"], found["values"]),
            found["support"],
        )
