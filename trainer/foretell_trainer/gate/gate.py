"""The gate of a workload: holds rows out before a fit, and judges the bundle after it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from foretell.bundle import MODEL_FILE, Manifest, read_bundle, read_file, write_bundle
from foretell.catalog import CatalogTable
from foretell.errors import BundleRejected
from foretell.logs import get_logger
from foretell.predictor import Predictor
from foretell.registry import Registry
from foretell.schema import Schema
from foretell.settings import Settings
from foretell_trainer.gate.held_out import HeldOut, Past, Rows, hold_out, past_of
from foretell_trainer.gate.verdict import Part, Strictness, Verdict, compare
from foretell_trainer.snapshot import Columns, Snapshot, read_snapshot
from foretell_trainer.splits import labels_of

SHRUNK_TO = 0.8
"""A bundle of so much less data than the current one's does not take over uncompared."""
FORGOTTEN_NAMED = 5

_log = get_logger(__name__)


@dataclass(frozen=True)
class Trial:
    """A fit that goes through the gate: what it sees, and what will judge it."""

    snapshot: Snapshot
    """The rows to fit on."""
    held_out: HeldOut
    parts: tuple[Part, ...]
    current: Predictor | None
    strictness: Strictness
    skipped: str = ""
    """Why there is no comparison; empty when there is one."""

    def judge(self, folder: Path) -> Verdict:
        """Return the verdict on the bundle that was fitted, and write it into its manifest."""
        verdict = self._verdict(Predictor.load(folder))
        manifest = read_bundle(folder)
        about = {"held_out": self.held_out.describe(), **verdict.describe()}
        model = read_file(folder, manifest, MODEL_FILE)
        beside = {n: read_file(folder, manifest, n) for n in manifest.files if n != MODEL_FILE}
        write_bundle(folder, model, _with_gate(manifest, about), beside)
        return verdict

    def _verdict(self, candidate: Predictor) -> Verdict:
        if self.skipped:
            return Verdict(promote=True, reasons=(f"asked for: {self.skipped}",))
        if self.current is None:
            return Verdict(promote=True, reasons=())
        old = _older(candidate.manifest, self.current.manifest)
        if old:
            return Verdict(promote=False, reasons=old, compared_with=self.current.version)
        verdict = compare(candidate, self.current, self.parts, self.strictness)
        return verdict if verdict.scores else self._uncompared(candidate, self.current)

    def _uncompared(self, candidate: Predictor, current: Predictor) -> Verdict:
        rows = sum(map(len, self.parts))
        few = f"there are {rows} rows that neither bundle was fitted on, too few to compare on"
        fitted, before = candidate.manifest.lineage.rows, current.manifest.lineage.rows
        if fitted >= SHRUNK_TO * before:
            return Verdict(promote=True, reasons=(few,))
        less = f"it was fitted on {fitted} rows, the current one on {before}"
        return Verdict(promote=False, reasons=(less, few), compared_with=current.version)


class Gate:
    """Compares candidates with current bundles."""

    def __init__(self, registry: Registry, snapshots: Path, settings: Settings) -> None:
        self._registry = registry
        self._snapshots = snapshots
        self._newest_share = settings.gate_newest_share
        self._strictness = Strictness(
            margin=settings.gate_margin,
            group_margin=settings.gate_group_margin,
            coverage_margin=settings.gate_coverage_margin,
            significance=settings.gate_significance,
            min_rows=settings.gate_min_rows,
        )

    def hold_out(
        self,
        schema: Schema,
        snapshot: Snapshot,
        catalogs: Sequence[CatalogTable],
        folder: Path,
        skip: str = "",
    ) -> Trial:
        """Split a snapshot, and write the rows to fit on into a folder.

        `skip` is why the bundle is to take over without a comparison; only the golden rows are
        held out then, for the bundles that come.
        """
        columns = read_snapshot(snapshot, schema)
        current = self._current(schema.workload)
        past = self._past(current.manifest, columns) if current else None
        rows = Rows(columns.ids, columns.time, _single_ids(schema, columns, catalogs))
        held = hold_out(rows, past, 0.0 if skip else self._newest_share)
        return Trial(
            _part_of(snapshot, held, folder),
            held,
            tuple(
                _part(name, columns.take(chosen), schema, catalogs)
                for name, chosen in (("golden", held.golden), ("newest", held.newest))
            ),
            current,
            self._strictness,
            skip,
        )

    def _current(self, workload: str) -> Predictor | None:
        """Return the current bundle; None when there is none that could answer."""
        version = self._registry.aliases(workload).get("current")
        if version is None:
            return None
        try:
            return Predictor.load(self._registry.path(workload, version))
        except BundleRejected as error:
            _log.warning("the current bundle is not compared with", error=error.message)
            return None

    def _past(self, manifest: Manifest, columns: Columns) -> Past:
        """Return which rows the current bundle may have been fitted on.

        By its snapshot, or, where that is not on this machine, by the time that it ends.
        """
        lineage = manifest.lineage
        for path in self._snapshots.glob(f"*-{lineage.snapshot_sha256[:8]}.parquet"):
            if hashlib.sha256(path.read_bytes()).hexdigest() == lineage.snapshot_sha256:
                known = set(pq.read_table(path, columns=["observation_id"])[0].to_pylist())
                seen = np.array([name in known for name in columns.ids], dtype=np.bool_)
                return past_of(manifest.evaluation, seen)
        if lineage.time_range is None:
            return past_of(manifest.evaluation, np.zeros(len(columns), dtype=np.bool_))
        last = np.datetime64(lineage.time_range[1].replace(tzinfo=None), "us")
        return past_of(manifest.evaluation, columns.time <= last)


def _with_gate(manifest: Manifest, about: dict[str, Any]) -> Manifest:
    evaluation = {**manifest.evaluation, "gate": about}
    return manifest.model_copy(update={"evaluation": evaluation})


def _part_of(snapshot: Snapshot, held: HeldOut, folder: Path) -> Snapshot:
    """Write the rows to fit on. They go by the name of the whole: the manifest says which
    of its rows were held out."""
    if len(held.fit) == snapshot.rows:
        return snapshot
    path = folder / "fit.parquet"
    pq.write_table(pq.read_table(snapshot.path).take(pa.array(held.fit)), path)
    return replace(snapshot, path=path, rows=len(held.fit))


def _part(name: str, columns: Columns, schema: Schema, catalogs: Sequence[CatalogTable]) -> Part:
    labels = {
        feature: labels_of(feature, schema, columns, catalogs)
        for group in schema.groups
        for feature in group
    }
    groups = {
        ",".join(group): np.array(
            [",".join(values) for values in zip(*(labels[f] for f in group), strict=True)],
            dtype=object,
        )
        for group in schema.groups
    }
    metrics = dict(zip(schema.metric_names, columns.metrics.T, strict=True))
    return Part(name, columns.features, metrics, groups)


def _single_ids(
    schema: Schema, columns: Columns, catalogs: Sequence[CatalogTable]
) -> list[np.ndarray[Any, np.dtype[np.object_]]]:
    return [
        labels_of(group[0], schema, columns, catalogs) for group in schema.groups if len(group) == 1
    ]


def _older(candidate: Manifest, current: Manifest) -> tuple[str, ...]:
    """Return why a candidate's data are older, or less, than the current bundle's."""
    reasons = []
    mine, theirs = candidate.lineage.time_range, current.lineage.time_range
    if mine and theirs and mine[1] < theirs[1]:
        reasons.append(
            f"its data end {mine[1]:%Y-%m-%d %H:%M}, the current one's {theirs[1]:%Y-%m-%d %H:%M}"
        )
    for group in candidate.schema_.groups:
        if len(group) == 1:
            known = candidate.vocabulary.get(group[0], ())
            lost = sorted(set(current.vocabulary.get(group[0], ())) - set(known))
            if lost:
                named = ", ".join(lost[:FORGOTTEN_NAMED])
                reasons.append(f"it does not know {len(lost)} values of {group[0]}: {named}")
    return tuple(reasons)
