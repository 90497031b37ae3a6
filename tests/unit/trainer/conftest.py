"""A small workload and what the tests of the trainer's store need."""

from __future__ import annotations

from pathlib import Path

import pytest

from foretell.schema import Catalog, Feature, Metric, Schema
from foretell_trainer.store import Store


@pytest.fixture
def schema() -> Schema:
    """A workload with every kind of feature, a derived one, a catalog and two metrics."""
    return Schema(
        workload="runs",
        features=(
            Feature(name="task", kind="category", required=True, column="binary"),
            Feature(
                name="family",
                kind="category",
                derive={"source": "task", "pattern": "^([a-z]+)"},  # type: ignore[arg-type]  # pydantic reads the mapping
            ),
            Feature(name="size", kind="number", scale="log", minimum=1),
            Feature(name="image", kind="number", format="quantity"),
            Feature(name="warm", kind="flag"),
        ),
        catalogs=(
            Catalog(
                name="tasks",
                key="task",
                facts=(
                    Feature(name="code_bytes", kind="number", scale="log"),
                    Feature(name="language", kind="category"),
                ),
            ),
        ),
        metrics=(Metric(name="duration_s", column="seconds"), Metric(name="memory_kb")),
        groups=(("task",),),
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "data", wait_s=5)
