"""The data sets of the benchmarks: their files, catalogs and schemas, loaded as `train` would."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foretell.catalog import CatalogTable
from foretell.parsing import Value
from foretell.reading import derivation
from foretell.schema import Schema
from foretell.schema_file import load_schema
from foretell_trainer.catalogs import catalogs_from_files
from foretell_trainer.engine.inputs import Integers
from foretell_trainer.snapshot import (
    Columns,
    Snapshot,
    read_snapshot,
    snapshot_from_files,
    write_part,
)

SCHEMAS = Path(__file__).parent / "schemas"


@dataclass(frozen=True)
class DataSet:
    """Where a data set lies below the data folder, and what its rows are about."""

    name: str
    file: str
    subject: str
    """The category that is run: a model, a workload."""
    place: str | None = None
    """The category it runs on, a feature or a fact of a catalog; None when there is one place."""
    catalogs: tuple[tuple[str, str], ...] = ()
    """(catalog, file)"""
    places_first: tuple[str, ...] = ()
    """Which places are new first in the splits for new hardware; then the largest."""

    @property
    def schema_path(self) -> Path:
        """The schema that describes it."""
        return SCHEMAS / f"{self.name}.yaml"

    def files(self, data: Path) -> list[Path]:
        """Return all files of the set below the data folder, the measurements first."""
        return [data / self.file, *(data / file for _, file in self.catalogs)]


_HARDWARE = (("hardware", "hardware.csv"),)

DATA_SETS: Mapping[str, DataSet] = MappingProxyType(
    {
        one.name: one
        for one in (
            DataSet("wasm_tasks", "wasm_tasks/tasks.csv", "binary_name"),
            DataSet(
                "wasm_platforms",
                "wasm_platforms/runtimes.parquet",
                "workload",
                "device",
                (
                    ("workloads", "wasm_platforms/workloads.parquet"),
                    ("platforms", "wasm_platforms/platforms.parquet"),
                ),
            ),
            DataSet(
                "vision_models",
                "vision_models/inference.parquet",
                "model",
                "hardware",
                _HARDWARE,
                places_first=("rtx3090", "rtx4090"),
            ),
            DataSet("llm_models", "llm_models/inference.parquet", "model", "hardware", _HARDWARE),
            DataSet("edge_models", "edge_models/inference.parquet", "model", "hardware"),
            DataSet(
                "genai_power", "genai_power/configurations.parquet", "model", "hardware", _HARDWARE
            ),
        )
    }
)


@dataclass(frozen=True)
class Loaded:
    """A data set in memory: what training takes, whole."""

    about: DataSet
    schema: Schema
    snapshot: Snapshot
    table: pa.Table
    columns: Columns
    catalogs: tuple[CatalogTable, ...]
    rejected: tuple[str, ...]
    """The rows that cannot be used, and why."""

    def __len__(self) -> int:
        return len(self.columns)

    def labels(self, name: str) -> NDArray[np.object_]:
        """Return a category of every row, [n], also one that is a fact or derived."""
        for feature in self.schema.features:
            if feature.name == name and feature.derive is not None:
                read, source = derivation(feature.derive), self.labels(feature.derive.source)
                return np.array([str(read(text)) for text in source], dtype=object)
        sent = self.columns.features.get(name)
        for catalog, table in zip(self.schema.catalogs, self.catalogs, strict=True):
            if any(fact.name == name for fact in catalog.facts):
                known: dict[str, Value] = dict(zip(table.keys, table.facts[name], strict=True))
                keys = self.columns.features[catalog.key]
                return np.array([str(known.get(key)) for key in keys], dtype=object)
        if sent is None:
            raise KeyError(name)
        return np.array([str(value) for value in sent], dtype=object)

    def subset(self, rows: Integers, folder: Path) -> Snapshot:
        """Write the snapshot of some of the rows, in their order, into a folder."""
        return write_part(self.snapshot, self.table, rows, folder)

    def features(self, rows: Integers) -> dict[str, NDArray[np.generic]]:
        """Return the features of some of the rows, under the schema's names."""
        return {name: values[rows] for name, values in self.columns.features.items()}


def load(about: DataSet, data: Path, folder: Path) -> Loaded:
    """Read a data set through the same checks as `foretell train`, into a snapshot in `folder`.

    Raises InvalidInput when a file as a whole cannot be used.
    """
    schema = load_schema(about.schema_path)
    measurements, *facts = about.files(data)
    snapshot, report = snapshot_from_files(schema, [measurements], folder)
    names = [name for name, _ in about.catalogs]
    catalogs, _ = catalogs_from_files(schema, list(zip(names, facts, strict=True)))
    return Loaded(
        about=about,
        schema=schema,
        snapshot=snapshot,
        table=pq.read_table(snapshot.path),
        columns=read_snapshot(snapshot, schema),
        catalogs=tuple(catalogs),
        rejected=tuple(map(str, report.rejected)),
    )
