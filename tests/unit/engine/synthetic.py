"""Made-up workloads of which the truth is known, fitted as small as a test can bear."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foretell.bundle import Manifest
from foretell.catalog import CatalogTable
from foretell.columns import Codes, Numbers
from foretell.encoding import Encoded, Encoder
from foretell.predictor import open_session
from foretell.schema import Schema
from foretell.table_columns import build_vocabulary
from foretell_trainer.engine.export import Answers, build_graph, native, units_of
from foretell_trainer.engine.fitting import Fitted, fit
from foretell_trainer.engine.inputs import fit_inputs
from foretell_trainer.engine.links import derived_metrics
from foretell_trainer.engine.training_set import FitSettings, Progress, TrainingSet
from foretell_trainer.snapshot import Snapshot
from foretell_trainer.training import train

Floats = NDArray[np.float64]

QUICK = FitSettings(most_rounds=40, random_folds=2, grouped_folds=2, threads=1)
"""Enough to go through every step of a fit, and no more."""

_START = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Workload:
    """The rows of a workload: what was sent and what was measured."""

    schema: Schema
    features: Mapping[str, Sequence[Any]]
    """Per feature n values, None for what was not sent."""
    metrics: Floats
    """[n, M], NaN where not measured."""
    catalogs: tuple[CatalogTable, ...] = field(default=())
    lower_bounds: Floats | None = None
    """[n, M], NaN where there is none; of runs that were killed."""

    def __len__(self) -> int:
        return len(self.metrics)

    def snapshot(self, folder: Path) -> Snapshot:
        """Write the rows as the store would."""
        n = len(self)
        columns: dict[str, Any] = {
            "observation_id": [f"row {i}" for i in range(n)],
            "observed_at": [_START.replace(tzinfo=None) + timedelta(seconds=i) for i in range(n)],
            "source": ["made up"] * n,
            "tag": [""] * n,
            "outcome": ["completed"] * n,
        }
        columns |= {f"f:{name}": list(values) for name, values in self.features.items()}
        for m, metric in enumerate(self.schema.metrics):
            values = self.metrics[:, m].tolist()
            columns[f"m:{metric.name}"] = [None if v != v else v for v in values]  # noqa: PLR0124
            bounds = np.full(n, np.nan) if self.lower_bounds is None else self.lower_bounds[:, m]
            columns[f"lb:{metric.name}"] = pa.array(bounds, from_pandas=True)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "snapshot.parquet"
        pq.write_table(pa.table(columns), path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        span = (_START, _START + timedelta(seconds=n - 1))
        return Snapshot(path, self.schema.workload, digest, n, span, ("made up",))

    def train(
        self,
        folder: Path,
        settings: FitSettings = QUICK,
        *,
        progress: Progress = lambda *_: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Manifest:
        """Fit a bundle into `folder / "bundle"`."""
        return train(
            self.schema,
            self.snapshot(folder),
            self.catalogs,
            folder / "bundle",
            settings,
            progress,
            should_stop,
        )


@dataclass(frozen=True)
class Candidate:
    """A fit before it is a bundle: the models and the graph that was made from them."""

    fitted: Fitted
    encoder: Encoder
    encoded: Encoded
    """The training rows."""
    graph: Callable[[Numbers, Codes], Answers]

    def native(self, numbers: Numbers, categories: Codes) -> Answers:
        """Return what the fitted models say."""
        return native(self.fitted, numbers, categories)

    def assert_agree(self, numbers: Numbers, categories: Codes) -> None:
        """Assert that models and graph say the same of every row."""
        expected, found = self.native(numbers, categories), self.graph(numbers, categories)
        units = units_of(self.fitted)
        for name in ("location", "scale"):
            mine, theirs = getattr(expected, name) / units, getattr(found, name) / units
            np.testing.assert_allclose(theirs, mine, rtol=1e-5, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(found.support, expected.support, rtol=1e-4, atol=1e-12)
        np.testing.assert_array_equal(found.table, expected.table)
        np.testing.assert_array_equal(found.rows, expected.rows)


def candidate(workload: Workload, settings: FitSettings = QUICK) -> Candidate:
    """Fit the models of a workload and make their graph, as training does before the proof."""
    schema, catalogs = workload.schema, workload.catalogs
    columns = {name: list(values) for name, values in workload.features.items()}
    vocabulary = build_vocabulary(schema, columns, catalogs, named="name")
    encoder = Encoder(schema, vocabulary)
    encoded, rejections = encoder.encode_table(columns, named="name")
    assert not rejections
    input_map = fit_inputs(schema, vocabulary, catalogs, encoded.numbers, encoded.categories)
    training = TrainingSet(
        schema,
        input_map,
        input_map(encoded.numbers, encoded.categories),
        tuple(len(vocabulary[name]) for name in schema.category_names),
        workload.metrics,
    )
    derived = derived_metrics(schema, encoded.numbers, workload.metrics)
    fitted = fit(training, derived, settings, lambda *_: None, lambda: False)
    session = open_session(build_graph(fitted).SerializeToString(), "candidate")

    def graph(numbers: Numbers, categories: Codes) -> Answers:
        names = ("location", "scale", "support", "table", "rows")
        return Answers(*session.run(names, {"numbers": numbers, "categories": categories}))

    return Candidate(fitted, encoder, encoded, graph)
