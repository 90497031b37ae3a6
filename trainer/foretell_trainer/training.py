"""Training: from a snapshot to a bundle that is proved to say what was fitted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foretell.bundle import Manifest
from foretell.catalog import CatalogTable
from foretell.schema import Schema
from foretell_trainer.blas import one_thread
from foretell_trainer.bundling import Told, bundle_of
from foretell_trainer.engine.fitting import fit
from foretell_trainer.engine.links import derived_metrics
from foretell_trainer.engine.training_set import FitSettings, Progress
from foretell_trainer.prepared import Prepared
from foretell_trainer.snapshot import Snapshot

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
    prepared = Prepared.of(schema, snapshot, catalogs)
    derived = derived_metrics(schema, prepared.encoded.numbers, prepared.columns.metrics)
    with one_thread():
        fitted = fit(prepared.training, derived, settings, fitting(progress), should_stop)

    def told() -> Told:
        seconds = round(time.monotonic() - began, 2)
        return Told({"seconds": seconds, "settings": asdict(settings)}, validated or {})

    return bundle_of(prepared, fitted, out, settings, told, progress, should_stop)


def fitting(progress: Progress) -> Progress:
    """Return the progress of the fit alone, as a part of the whole; it never goes back.

    A metric whose base is fitted once more, because its settings changed, begins anew: the bar
    stands still until it is as far as it was.
    """
    furthest = 0.0

    def tell(stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
        nonlocal furthest
        furthest = max(furthest, fraction)
        progress(stage, 0.02 + 0.9 * furthest, numbers)

    return tell
