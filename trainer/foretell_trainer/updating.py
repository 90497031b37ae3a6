"""Updating: from the bundle that answers now, and what is new since, to the next bundle."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.bundle import STATE_FILE, Manifest, read_bundle, read_file
from foretell.catalog import CatalogTable
from foretell.errors import InvalidInput, Violation
from foretell.schema import Schema
from foretell_trainer.blas import one_thread
from foretell_trainer.bundling import Told, bundle_of
from foretell_trainer.engine.links import derived_metrics
from foretell_trainer.engine.state import FitState, unpack
from foretell_trainer.engine.training_set import FitSettings, Progress
from foretell_trainer.engine.update import update
from foretell_trainer.extent import fit_seconds
from foretell_trainer.prepared import Eyes, Prepared
from foretell_trainer.snapshot import Snapshot
from foretell_trainer.training import fitting

MOST_BEYOND = 0.02
"""The share of new rows that may lie beyond the ranges that the bundle knows."""


@dataclass(frozen=True)
class Base:
    """A bundle that a later one can go on from."""

    folder: Path
    unseen: NDArray[np.bool_]
    """[n]: which rows of the snapshot the bundle was not fitted on."""


def update_bundle(
    schema: Schema,
    snapshot: Snapshot,
    catalogs: Sequence[CatalogTable],
    out: Path,
    base: Base,
    settings: FitSettings,
    progress: Progress = lambda _stage, _fraction, _numbers: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Manifest:
    """Go on from a bundle with the rows that it was not fitted on, and write the next into `out`.

    Raises InvalidInput when an update cannot say what the new rows ask for: too few of them, too
    many beyond the ranges that the bundle knows, another family or other facts. Otherwise as
    `foretell_trainer.training.train`.
    """
    began = time.monotonic()
    progress("reading", 0.0, {"rows": snapshot.rows, "new_rows": int(base.unseen.sum())})
    manifest = read_bundle(base.folder)
    _refuse_others(manifest, schema, catalogs, settings)
    state = unpack(read_file(base.folder, manifest, STATE_FILE), manifest.version)
    eyes = Eyes(manifest.vocabulary, state.input_map)
    prepared = Prepared.of(schema, snapshot, catalogs, eyes)
    _refuse_beyond(prepared, base.unseen)
    derived = derived_metrics(schema, prepared.encoded.numbers, prepared.columns.metrics)
    with one_thread():
        fitted = update(
            prepared.training, state, base.unseen, derived, settings, fitting(progress), should_stop
        )

    def told() -> Told:
        return _told(manifest, state, int(base.unseen.sum()), settings, time.monotonic() - began)

    return bundle_of(prepared, fitted, out, settings, told, progress, should_stop)


def _told(base: Manifest, state: FitState, new: int, settings: FitSettings, seconds: float) -> Told:
    updates, learned = state.updates + 1, state.learned_since + new
    about: dict[str, Any] = {
        "of": base.version,
        "new_rows": new,
        "updates_since_fit": updates,
        "rows_since_fit": learned,
    }
    training: Mapping[str, Any] = {
        "seconds": round(seconds, 2),
        "fit_seconds": fit_seconds(base),
        "settings": asdict(settings),
        "update": about,
    }
    return Told(training, {}, base.version, updates, learned)


def _refuse_others(
    manifest: Manifest, schema: Schema, catalogs: Sequence[CatalogTable], settings: FitSettings
) -> None:
    """Raise InvalidInput for a bundle that was fitted to something else."""
    wrong = (
        (STATE_FILE not in manifest.files, "it has not kept the state of its fit"),
        (manifest.schema_fingerprint != schema.fingerprint, "the schema is another one now"),
        (manifest.family != settings.family, f"it is of the family {manifest.family!r}"),
        (tuple(manifest.catalogs) != tuple(catalogs), "the facts of the catalogs have changed"),
    )
    for is_so, why in wrong:
        if is_so:
            raise _refused(f"{manifest.version} cannot be updated: {why}")


def _refuse_beyond(prepared: Prepared, new: NDArray[np.bool_]) -> None:
    """Raise InvalidInput when many new rows lie where the bundle has seen nothing."""
    beyond = prepared.training.inputs.beyond[new] > 0
    share = float(beyond.any(axis=1).mean()) if len(beyond) else 0.0
    if share > MOST_BEYOND:
        names = prepared.schema.number_names
        worst = names[int(beyond.sum(axis=0).argmax())]
        why = f"{share:.0%} of the new rows lie beyond the ranges that it knows, most by {worst}"
        raise _refused(why)


def _refused(why: str) -> InvalidInput:
    return InvalidInput([Violation("mode", "update", why)])
