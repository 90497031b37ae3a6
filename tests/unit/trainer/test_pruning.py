"""Bundles and snapshots that are no longer needed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from foretell.bundle import write_bundle
from foretell.registry import FolderRegistry
from foretell_trainer.pruning import SNAPSHOT_KEPT_S, Policy, plan_pruning, prune
from tests.bundles import toy_graph, toy_manifest, toy_schema

DAY = 24 * 3600.0


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    """An empty registry."""
    return FolderRegistry(tmp_path / "registry")


@pytest.fixture
def versions(registry: FolderRegistry, tmp_path: Path) -> list[str]:
    """Six versions, oldest first: the second is the candidate, the third current, all were so."""
    found = []
    for number in range(6):
        schema = toy_schema()
        draft = toy_manifest(schema)
        lineage = draft.lineage.model_copy(update={"snapshot_sha256": f"{number:08x}" + 56 * "0"})
        folder = tmp_path / f"b{number}"
        write_bundle(folder, toy_graph(schema), draft.model_copy(update={"lineage": lineage}))
        found.append(registry.publish("toy", folder, promote=True, who="t", why="t"))
    registry.publish("toy", tmp_path / "b1", promote=False, who="t", why="t")
    registry.promote("toy", found[2], "t", "better after all")
    return found


def snapshot(folder: Path, workload: str, digest: str, age_s: float = 2 * SNAPSHOT_KEPT_S) -> Path:
    """Make a snapshot of an age."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{workload}-20300101T000000Z-{digest}.parquet"
    path.touch()
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def numbers(versions: Sequence[str], found: Sequence[tuple[str, str]]) -> list[int]:
    return sorted(versions.index(version) for _, version in found)


def test_aliases_the_newest_and_what_may_be_replayed_stay(
    registry: FolderRegistry, versions: list[str], tmp_path: Path
) -> None:
    """All that was current within the time of answers stays; then aliases and the newest do."""
    nowhere = tmp_path / "nowhere"
    assert plan_pruning(registry, nowhere, Policy(1, DAY)).bundles == ()
    found = plan_pruning(registry, nowhere, Policy(1, 0.0))
    # 1 is the candidate, 2 current, 5 previous and the newest.
    assert numbers(versions, found.bundles) == [0, 3, 4]
    assert numbers(versions, plan_pruning(registry, nowhere, Policy(3, 0.0)).bundles) == [0]
    assert registry.versions("toy") == versions[::-1]
    registry.promote("toy", versions[3], "t", "meanwhile")
    removed = prune(registry, found, "t", "too old")
    assert numbers(versions, removed.bundles) == [0, 4]
    assert set(registry.aliases("toy").values()) <= set(registry.versions("toy"))
    assert [e.new for e in registry.history("toy") if e.action == "prune"] == [
        versions[4],
        versions[0],
    ]


def test_snapshots_stay_as_long_as_their_bundles(
    registry: FolderRegistry, versions: list[str], tmp_path: Path
) -> None:
    """A snapshot goes when no bundle that stays was fitted on it, it is a day old, and of this
    very workload."""
    assert len(versions) == 6
    folder = tmp_path / "snapshots"
    used = snapshot(folder, "toy", "00000002")
    unused = snapshot(folder, "toy", "00000004")
    young = snapshot(folder, "toy", "00000000", age_s=60.0)
    other = snapshot(folder, "toy-two", "00000004")
    plan = plan_pruning(registry, folder, Policy(1, 0.0), ["toy"])
    assert plan.snapshots == (unused,)
    prune(registry, plan, "t", "too old")
    assert [path.exists() for path in (used, unused, young, other)] == [True, False, True, True]
