"""Pruning: which bundles and snapshots are no longer needed, and their removal.

Of each workload stay: what an alias stands for; the newest `bundles_kept`; and what may be asked
to answer again (`foretell replay`), because it was current within `answers_kept_s`. A snapshot
stays as long as a bundle that was fitted on it, and for a day in any case: a run may be about to
use it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from foretell.errors import BundleRejected, Conflict, NotFound
from foretell.logs import get_logger
from foretell.registry import AuditEntry, Registry

SNAPSHOT_KEPT_S = 24 * 3600.0
"""So old a snapshot is at least, before it is removed."""

_log = get_logger(__name__)


@dataclass(frozen=True)
class Pruning:
    """What is no longer needed."""

    bundles: tuple[tuple[str, str], ...]
    """(workload, version)"""
    snapshots: tuple[Path, ...]


@dataclass(frozen=True)
class Policy:
    """How much is kept beside what an alias stands for."""

    bundles_kept: int
    answers_kept_s: float


def plan_pruning(
    registry: Registry, snapshots: Path, policy: Policy, workloads: Sequence[str] = ()
) -> Pruning:
    """Return what the policy does not keep, of some workloads or of all; changes nothing."""
    bundles: list[tuple[str, str]] = []
    files: list[Path] = []
    for workload in workloads or registry.workloads():
        try:
            versions = registry.versions(workload)
        except NotFound:  # built in, and nothing was ever published
            continue
        kept = _kept(registry, workload, versions, policy)
        bundles += [(workload, version) for version in versions if version not in kept]
        files += _unused(registry, workload, kept, snapshots)
    return Pruning(tuple(bundles), tuple(files))


def prune(registry: Registry, plan: Pruning, who: str, why: str) -> Pruning:
    """Remove what a plan says, and return what was removed.

    What an alias came to stand for meanwhile stays.
    """
    removed = []
    for workload, version in plan.bundles:
        try:
            registry.remove(workload, version, who, why)
        except (Conflict, NotFound) as error:
            _log.info("bundle stays", workload=workload, version=version, why=error.message)
        else:
            removed.append((workload, version))
    for path in plan.snapshots:
        path.unlink(missing_ok=True)
    return Pruning(tuple(removed), plan.snapshots)


def _kept(registry: Registry, workload: str, versions: Sequence[str], policy: Policy) -> set[str]:
    since = datetime.now(UTC) - timedelta(seconds=policy.answers_kept_s)
    return {
        *registry.aliases(workload).values(),
        *versions[: policy.bundles_kept],
        *_current_since(registry.history(workload), since),
    }


def _current_since(history: Sequence[AuditEntry], since: datetime) -> set[str]:
    """Return the versions that were current at some time since then."""
    changes = [entry for entry in history if entry.action in ("promote", "rollback")]
    before = [entry.new for entry in changes if entry.when <= since][-1:]
    return {*before, *(entry.new for entry in changes if entry.when > since)}


def _unused(registry: Registry, workload: str, kept: set[str], snapshots: Path) -> list[Path]:
    used = set()
    for version in kept:
        try:
            used.add(registry.manifest(workload, version).lineage.snapshot_sha256[:8])
        except (BundleRejected, NotFound) as error:
            # What it was fitted on cannot be told: nothing of the workload is removed.
            _log.warning("snapshots are not pruned", workload=workload, why=error.message)
            return []
    oldest = time.time() - SNAPSHOT_KEPT_S
    return [
        path
        for path in sorted(snapshots.glob(f"{workload}-*.parquet"))
        if _is_of(path, workload)
        and path.stem.rpartition("-")[2] not in used
        and path.stat().st_mtime < oldest
    ]


def _is_of(path: Path, workload: str) -> bool:
    """Return whether a snapshot is of this very workload; names may begin alike."""
    stamp_and_digest = path.stem.removeprefix(f"{workload}-")
    return stamp_and_digest.count("-") == 1
