"""From what was fitted to a bundle: exported, proved to answer as the models do, and written."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from foretell.bundle import (
    MODEL_FILE,
    STATE_FILE,
    Golden,
    Lineage,
    Manifest,
    Quantiles,
    write_bundle,
)
from foretell.encoding import Encoded
from foretell.errors import Cancelled
from foretell.forecast import QuantileTables
from foretell.known import KNOWN_FILE
from foretell.predictor import open_session
from foretell_trainer.engine.calibration import LEVELS
from foretell_trainer.engine.export import (
    Answers,
    Proof,
    beside_edges,
    build_graph,
    native,
    prove,
    quantile_values,
    units_of,
)
from foretell_trainer.engine.families import family_of
from foretell_trainer.engine.fitting import Fitted
from foretell_trainer.engine.inputs import Integers
from foretell_trainer.engine.report_card import report_card
from foretell_trainer.engine.state import FitState, pack
from foretell_trainer.engine.sums import dispersions
from foretell_trainer.engine.training_set import FitSettings, Progress
from foretell_trainer.engine.update import updatable
from foretell_trainer.kept import kept_rows
from foretell_trainer.prepared import Prepared

GOLDEN_ROWS = 16
_PROOF_ROWS_AT_ONCE = 4096
_LIBRARIES = ("lightgbm", "numpy", "onnx", "onnxruntime", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Told:
    """What there is to say of a fit, beside what the fit itself finds."""

    training: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    """The version that was gone on from."""
    updates: int = 0
    learned_since: int = 0


def bundle_of(
    prepared: Prepared,
    fitted: Fitted,
    out: Path,
    settings: FitSettings,
    told: Callable[[], Told],
    progress: Progress,
    should_stop: Callable[[], bool],
) -> Manifest:
    """Export, prove and write a bundle into the folder `out`; `told` is asked when it is proved.

    Raises BundleRejected when the graph does not answer as the fitted models do, and Cancelled;
    nothing is written then.
    """
    if should_stop():
        raise Cancelled
    progress("exporting", 0.92, {})
    model = build_graph(fitted).SerializeToString()
    progress("proving", 0.95, {})
    answers, proof = _proved(fitted, model, prepared.encoded)
    about = told()
    draft = _manifest(prepared, fitted, settings, about, answers, proof)
    known = kept_rows(prepared.encoded, prepared.columns.metrics, settings.seed)
    beside = {KNOWN_FILE: known.to_bytes()}
    if updatable(family_of(settings.family)):
        state = FitState.of(
            fitted.training.input_map, fitted.metrics, about.updates, about.learned_since
        )
        beside[STATE_FILE] = pack(state)
    manifest = write_bundle(out, model, draft, beside)
    progress("written", 1.0, {"bytes": manifest.files[MODEL_FILE].size})
    return manifest


def _manifest(
    prepared: Prepared,
    fitted: Fitted,
    settings: FitSettings,
    told: Told,
    answers: Answers,
    proof: Proof,
) -> Manifest:
    schema, snapshot, encoded = prepared.schema, prepared.snapshot, prepared.encoded
    return Manifest(
        workload=schema.workload,
        created_at=datetime.now(UTC),
        schema=schema,
        schema_fingerprint=schema.fingerprint,
        vocabulary=dict(prepared.encoder.vocabulary),
        catalogs=tuple(prepared.catalogs),
        quantiles=_quantiles(fitted),
        groups=fitted.counts.names,
        family=settings.family,
        training={
            **told.training,
            "censored_values": _censored(prepared, fitted),
            "proof": {
                "rows": len(encoded),
                "largest_error": proof.worst,
                "on_edges": len(proof.on_edges),
            },
        },
        lineage=Lineage(
            snapshot_sha256=snapshot.sha256,
            rows=snapshot.rows,
            time_range=snapshot.time_range,
            sources=snapshot.sources,
            parent=told.parent,
        ),
        evaluation={**report_card(fitted), **told.evaluation},
        libraries=_libraries(settings.family),
        golden=_golden(encoded, answers, proof, settings.seed),
    )


def _libraries(family: str) -> dict[str, str]:
    """Return the versions of what fitted, and of what proved."""
    # An extra may be installed under another name than its module's.
    packages = importlib.metadata.packages_distributions()
    extras = [name for name in ("xgboost", "catboost") if name in family]
    names = (*_LIBRARIES, *(packages[name][0] for name in extras))
    return {name: importlib.metadata.version(name) for name in names}


def _censored(prepared: Prepared, fitted: Fitted) -> int:
    """Return how many values were learnt from that are only known to be above a bound."""
    known = np.isfinite(prepared.columns.metrics)
    return int((np.isfinite(fitted.training.metrics) & ~known).sum())


def _quantiles(fitted: Fitted) -> Quantiles:
    tables = QuantileTables(LEVELS, quantile_values(fitted))
    tables = replace(tables, dispersion=dispersions(fitted, tables), draws=fitted.counts.draws)
    return Quantiles.of(tables, fitted.counts.table_names)


def _proved(fitted: Fitted, model: bytes, encoded: Encoded) -> tuple[Answers, Proof]:
    """Return the graph's answers for every row, and the proof that they are right."""
    session = open_session(model, "candidate")
    parts = []
    for start in range(0, len(encoded), _PROOF_ROWS_AT_ONCE):
        rows = slice(start, start + _PROOF_ROWS_AT_ONCE)
        feed = {"numbers": encoded.numbers[rows], "categories": encoded.categories[rows]}
        names = ("location", "scale", "support", "table", "rows")
        parts.append(session.run(names, feed))
    found = Answers(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    expected = native(fitted, encoded.numbers, encoded.categories)

    def beside(rows: Integers) -> Sequence[Answers]:
        return beside_edges(fitted, encoded.numbers[rows], encoded.categories[rows])

    return found, prove(expected, found, units_of(fitted), beside)


def _golden(encoded: Encoded, answers: Answers, proof: Proof, seed: int) -> Golden:
    # Another processor may round such a row to the other side, and would refuse the bundle.
    safe = np.setdiff1d(np.arange(len(encoded)), proof.on_edges)
    chosen = np.sort(np.random.default_rng(seed).permutation(safe)[:GOLDEN_ROWS])
    return Golden.of(
        encoded.numbers[chosen],
        encoded.categories[chosen],
        location=answers.location[chosen],
        scale=answers.scale[chosen],
        support=answers.support[chosen],
        table=answers.table[chosen],
    )
