"""Training: from a snapshot to a bundle that is proved to say what was fitted."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from foretell.bundle import MODEL_FILE, Golden, Lineage, Manifest, Quantiles, write_bundle
from foretell.catalog import CatalogTable
from foretell.encoding import Encoded, Encoder, build_vocabulary
from foretell.errors import Cancelled
from foretell.forecast import QuantileTables
from foretell.known import KNOWN_FILE
from foretell.predictor import open_session
from foretell.schema import Schema
from foretell_trainer.engine.calibration import LEVELS
from foretell_trainer.engine.censored import with_censored
from foretell_trainer.engine.export import (
    Answers,
    build_graph,
    native,
    prove,
    quantile_values,
    units_of,
)
from foretell_trainer.engine.fitting import Fitted, fit
from foretell_trainer.engine.inputs import fit_inputs
from foretell_trainer.engine.linear import fit_layout
from foretell_trainer.engine.links import derived_metrics
from foretell_trainer.engine.report_card import report_card
from foretell_trainer.engine.training_set import FitSettings, Progress, TrainingSet
from foretell_trainer.kept import kept_rows
from foretell_trainer.snapshot import Columns, Snapshot, read_snapshot

GOLDEN_ROWS = 16
_PROOF_ROWS_AT_ONCE = 4096
_LIBRARIES = ("lightgbm", "numpy", "onnx", "onnxruntime", "scikit-learn", "scipy")

__all__ = ["FitSettings", "train"]


def train(
    schema: Schema,
    snapshot: Snapshot,
    catalogs: Sequence[CatalogTable],
    out: Path,
    settings: FitSettings | None = None,
    progress: Progress = lambda _stage, _fraction, _numbers: None,
    should_stop: Callable[[], bool] = lambda: False,
    validated: Mapping[str, Any] | None = None,
) -> Manifest:
    """Fit, calibrate, export and prove a bundle, and write it into the folder `out`.

    `validated` is what there is to say of the same data and settings in the report card, beside
    what the fit itself finds: `cross_validation`, `search`.

    Raises InvalidInput for a snapshot with too few rows of a metric, Cancelled when
    `should_stop` says so, and BundleRejected when the graph does not answer as the fitted
    models do; nothing is written then.
    """
    settings = settings or FitSettings(family=schema.family)
    began = time.monotonic()
    progress("reading", 0.0, {"rows": snapshot.rows})
    columns = read_snapshot(snapshot, schema)
    encoder, encoded, training = prepare(schema, columns, catalogs)
    derived = derived_metrics(schema, encoded.numbers, columns.metrics)

    def fitting(stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
        progress(stage, 0.02 + 0.9 * fraction, numbers)

    fitted = fit(training, derived, settings, fitting, should_stop)
    if should_stop():
        raise Cancelled
    progress("exporting", 0.92, {})
    model = build_graph(fitted).SerializeToString()
    progress("proving", 0.95, {})
    answers, worst = _proved(fitted, model, encoded)
    draft = Manifest(
        workload=schema.workload,
        created_at=datetime.now(UTC),
        schema=schema,
        schema_fingerprint=schema.fingerprint,
        vocabulary=dict(encoder.vocabulary),
        catalogs=tuple(catalogs),
        quantiles=_quantiles(fitted),
        groups=fitted.counts.names,
        family=settings.family,
        training={
            "seconds": round(time.monotonic() - began, 2),
            "settings": asdict(settings),
            "censored_values": _censored(training, columns),
            "proof": {"rows": len(encoded), "largest_error": worst},
        },
        lineage=Lineage(
            snapshot_sha256=snapshot.sha256,
            rows=snapshot.rows,
            time_range=snapshot.time_range,
            sources=snapshot.sources,
        ),
        evaluation={**report_card(fitted), **(validated or {})},
        libraries=_libraries(settings.family),
        golden=_golden(encoded, answers, settings.seed),
    )
    known = kept_rows(encoded, columns.metrics, settings.seed)
    manifest = write_bundle(out, model, draft, {KNOWN_FILE: known.to_bytes()})
    progress("written", 1.0, {"bytes": manifest.files[MODEL_FILE].size})
    return manifest


def _libraries(family: str) -> dict[str, str]:
    """Return the versions of what fitted, and of what proved."""
    # An extra may be installed under another name than its module's.
    packages = importlib.metadata.packages_distributions()
    extras = [name for name in ("xgboost", "catboost") if name in family]
    names = (*_LIBRARIES, *(packages[name][0] for name in extras))
    return {name: importlib.metadata.version(name) for name in names}


def prepare(
    schema: Schema, columns: Columns, catalogs: Sequence[CatalogTable]
) -> tuple[Encoder, Encoded, TrainingSet]:
    """Return the encoder that the rows of a snapshot make, and the rows as the engine sees them."""
    vocabulary = build_vocabulary(schema, columns.features, catalogs, named="name")
    encoder = Encoder(schema, vocabulary, catalogs)
    encoded, _ = encoder.encode_table(columns.features, named="name")
    input_map = fit_inputs(schema, vocabulary, catalogs, encoded.numbers, encoded.categories)
    training = TrainingSet(
        schema=schema,
        input_map=input_map,
        inputs=input_map(encoded.numbers, encoded.categories),
        sizes=tuple(len(vocabulary[name]) for name in schema.category_names),
        metrics=columns.metrics,
    )
    if np.isfinite(columns.lower_bounds).any():
        sizes, inputs = training.sizes, training.inputs
        layout = fit_layout(sizes, inputs, training.ids, training.extrapolated)
        log = [metric.scale == "log" for metric in schema.metrics]
        bounds = columns.lower_bounds
        training = replace(
            training, metrics=with_censored(inputs, columns.metrics, bounds, log, layout)
        )
    return encoder, encoded, training


def _censored(training: TrainingSet, columns: Columns) -> int:
    """Return how many values were learnt from that are only known to be above a bound."""
    return int((np.isfinite(training.metrics) & ~np.isfinite(columns.metrics)).sum())


def _quantiles(fitted: Fitted) -> Quantiles:
    tables = QuantileTables(LEVELS, quantile_values(fitted))
    return Quantiles.of(tables, fitted.counts.table_names)


def _proved(fitted: Fitted, model: bytes, encoded: Encoded) -> tuple[Answers, float]:
    """Return the graph's answers for every row, and by how much they are off at most."""
    session = open_session(model, "candidate")
    parts = []
    for start in range(0, len(encoded), _PROOF_ROWS_AT_ONCE):
        rows = slice(start, start + _PROOF_ROWS_AT_ONCE)
        feed = {"numbers": encoded.numbers[rows], "categories": encoded.categories[rows]}
        names = ("location", "scale", "support", "table", "rows")
        parts.append(session.run(names, feed))
    found = Answers(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    expected = native(fitted, encoded.numbers, encoded.categories)
    return found, prove(expected, found, units_of(fitted))


def _golden(encoded: Encoded, answers: Answers, seed: int) -> Golden:
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(encoded))[:GOLDEN_ROWS])
    return Golden.of(
        encoded.numbers[chosen],
        encoded.categories[chosen],
        location=answers.location[chosen],
        scale=answers.scale[chosen],
        support=answers.support[chosen],
        table=answers.table[chosen],
    )
