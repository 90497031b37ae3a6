"""Fits: what makes a bundle of a snapshot, and the one that does so with the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from foretell.bundle import Manifest
from foretell.catalog import CatalogTable
from foretell.schema import Schema
from foretell.splits import parse_split
from foretell_trainer.snapshot import Snapshot

SPLIT_SHARE = 0.8
"""The share of the fit that a cross-validation before it is counted as."""

Progress = Callable[[str, float, Mapping[str, float]], None]
ShouldStop = Callable[[], bool]


class Fit(Protocol):
    """What makes a bundle of a snapshot; `fit_with_engine`, unless somebody knows better."""

    def __call__(
        self,
        schema: Schema,
        snapshot: Snapshot,
        catalogs: Sequence[CatalogTable],
        out: Path,
        *,
        spec: Mapping[str, Any],
        progress: Progress,
        should_stop: ShouldStop,
    ) -> Manifest:
        """Write a bundle folder at ``out``; raise Cancelled when ``should_stop()`` says so."""


def fit_with_engine(
    schema: Schema,
    snapshot: Snapshot,
    catalogs: Sequence[CatalogTable],
    out: Path,
    *,
    spec: Mapping[str, Any],
    progress: Progress,
    should_stop: ShouldStop,
) -> Manifest:
    """Fit with the engine of `foretell_trainer.training`.

    ``spec["fit"]`` has its settings, ``spec["split"]`` a split to cross-validate by, as in
    ``grouped:model``, ``spec["help"]`` the `Help` that its folds may have,
    ``spec["validated"]`` what else belongs on the report card, and ``spec["base"]`` the bundle to
    go on from, as `foretell_trainer.updating` takes it.
    """
    # Numerical libraries are loaded by the process that fits, not by the one that forks it.
    from foretell_trainer.cross_validation import cross_validate  # noqa: PLC0415
    from foretell_trainer.training import FitSettings, train  # noqa: PLC0415
    from foretell_trainer.updating import update_bundle  # noqa: PLC0415

    settings = FitSettings(**{"family": schema.family, **spec.get("fit", {})})
    if "base" in spec:
        return update_bundle(
            schema, snapshot, catalogs, out, spec["base"], settings, progress, should_stop
        )
    validated = dict(spec.get("validated", {}))
    rows = (schema, snapshot, catalogs)
    if "split" in spec:
        split = parse_split(str(spec["split"]), schema)
        part = part_of(progress, 0.0, SPLIT_SHARE)
        validated["cross_validation"] = cross_validate(
            *rows, split, settings, part, should_stop, spec.get("help")
        )
        progress = part_of(progress, SPLIT_SHARE, 1.0)
    return train(*rows, out, settings, progress, should_stop, validated)


def part_of(progress: Progress, begin: float, end: float) -> Progress:
    """Return the progress of a part of the whole, told as its own from 0 to 1."""

    def tell(stage: str, fraction: float, numbers: Mapping[str, float]) -> None:
        progress(stage, begin + (end - begin) * fraction, numbers)

    return tell
