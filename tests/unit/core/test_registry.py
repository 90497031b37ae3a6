"""The registry: atomic for readers, audited for everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foretell.bundle import MODEL_FILE, read_bundle
from foretell.errors import BundleRejected, NoBundle, NotFound, SchemaError
from foretell.registry import FolderRegistry, Registry
from foretell.schema import Schema

MakeBundle = Callable[..., Path]

OWN_SCHEMA = """
workload: own
features: [{name: n, kind: number}]
metrics: [{name: m}]
"""


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty registry on a folder."""
    return FolderRegistry(tmp_path / "registry")


def publish(registry: Registry, folder: Path, *, promote: bool = True) -> str:
    return registry.publish("rendering", folder, promote=promote, who="tests", why="to see")


def test_publish_promote_and_roll_back(registry: Registry, make_bundle: MakeBundle) -> None:
    """Aliases follow publishing, promoting and rolling back, each with its line of history."""
    first = publish(registry, make_bundle("a", created=datetime(2025, 1, 1, tzinfo=UTC)))
    second = publish(
        registry, make_bundle("b", created=datetime(2025, 1, 2, tzinfo=UTC)), promote=False
    )
    assert registry.versions("rendering") == [second, first]
    assert registry.aliases("rendering") == {"current": first, "candidate": second}
    registry.promote("rendering", second, "tests", "better")
    assert registry.aliases("rendering") == {"current": second, "previous": first}
    assert registry.rollback("rendering", "tests", "worse") == first
    assert registry.aliases("rendering") == {"current": first, "previous": second}
    history = [(e.action, e.old, e.new) for e in registry.history("rendering")]
    assert history == [
        ("publish", "", first),
        ("promote", "", first),
        ("publish", "", second),
        ("promote", first, second),
        ("rollback", second, first),
    ]
    assert {e.who for e in registry.history("rendering")} == {"tests"}


def test_a_published_bundle_is_whole(
    registry: Registry, make_bundle: MakeBundle, schema: Schema
) -> None:
    """What was published can be read and verified, and nothing else lies beside it."""
    version = publish(registry, make_bundle())
    folder = registry.path("rendering", version)
    assert read_bundle(folder) == registry.manifest("rendering", version)
    assert [path.name for path in folder.parent.iterdir()] == [version]
    assert registry.schema("rendering") == schema
    assert registry.workloads() == ["rendering"]
    assert registry.current("rendering") == version


def test_publishing_again_changes_nothing(registry: Registry, make_bundle: MakeBundle) -> None:
    """The same bundle published twice is one bundle, and does not become its own previous."""
    folder = make_bundle()
    assert publish(registry, folder) == publish(registry, folder)
    assert len(registry.versions("rendering")) == 1
    assert set(registry.aliases("rendering")) == {"current"}


def test_a_damaged_bundle_is_not_published(registry: Registry, make_bundle: MakeBundle) -> None:
    """A bundle is verified before it is copied, and one of another workload is refused."""
    folder = make_bundle()
    with pytest.raises(BundleRejected, match="it is for 'rendering'"):
        registry.publish("other", folder, promote=True, who="t", why="t")
    (folder / MODEL_FILE).write_bytes(b"")
    with pytest.raises(BundleRejected):
        publish(registry, folder)
    assert registry.workloads() == []


def test_what_does_not_exist_is_named(registry: Registry, make_bundle: MakeBundle) -> None:
    """Unknown workloads, versions and aliases are answered with those that exist."""
    with pytest.raises(NotFound, match="known: inference, serverless"):
        registry.schema("rendering")
    with pytest.raises(NotFound, match="no workload named"):
        registry.versions("../elsewhere")
    version = publish(registry, make_bundle())
    for wrong in ("20250101T000000Z-00000000", "../rendering", ".incoming-1"):
        with pytest.raises(NotFound, match=f"known: {version}"):
            registry.path("rendering", wrong)
    with pytest.raises(NotFound, match="no alias named 'previous'; known: current"):
        registry.rollback("rendering", "t", "t")


def test_a_workload_without_a_bundle_says_how_to_train(registry: Registry) -> None:
    """A built-in workload that was never trained has no bundle, which is not NotFound."""
    with pytest.raises(NoBundle, match="foretell train serverless"):
        registry.current("serverless")


def test_own_schemas(registry: Registry) -> None:
    """A user's own schema is kept under the workload's name and found by it."""
    registered = registry.register(OWN_SCHEMA)
    assert registry.schema("own") == registered
    assert registry.workloads() == ["own"]
    with pytest.raises(NoBundle):
        registry.current("own")
    with pytest.raises(SchemaError):
        registry.register(OWN_SCHEMA.replace("number", "colour"))
    assert registry.schema("own") == registered


def test_two_publishers_at_once(registry: Registry, make_bundle: MakeBundle) -> None:
    """Publishers at the same time wait for each other; every bundle and every line arrives."""
    folders = [make_bundle(f"b{i}", offset=float(i)) for i in range(6)]
    with ThreadPoolExecutor(max_workers=6) as pool:
        versions = list(pool.map(lambda folder: publish(registry, folder), folders))
    assert set(registry.versions("rendering")) == set(versions)
    assert len(registry.history("rendering")) == 12
    aliases = registry.aliases("rendering")
    assert set(aliases) == {"current", "previous"}
    assert aliases["current"] != aliases["previous"]


def test_a_reader_never_sees_half_a_bundle(registry: Registry, make_bundle: MakeBundle) -> None:
    """While bundles are published, every listed version and every alias can be verified."""
    publish(registry, make_bundle("first"))
    folders = [make_bundle(f"b{i}", offset=float(i + 1)) for i in range(5)]
    done = threading.Event()

    def read() -> int:
        reads = 0
        while not done.is_set() or reads == 0:
            for version in registry.versions("rendering"):
                read_bundle(registry.path("rendering", version))
            read_bundle(registry.path("rendering", registry.current("rendering")))
            reads += 1
        return reads

    with ThreadPoolExecutor(max_workers=2) as pool:
        reader = pool.submit(read)
        for folder in folders:
            publish(registry, folder)
        done.set()
        assert reader.result() > 0


def test_what_is_unloaded_stays_so_until_it_is_loaded(
    registry: Registry, make_bundle: MakeBundle
) -> None:
    """Unloading outlives publishing; both ways leave a line of history, doing so again none."""
    with pytest.raises(NotFound):
        registry.unload("rendering", "tests", "to see")
    version = publish(registry, make_bundle("a"))
    registry.unload("rendering", "tests", "to see")
    registry.unload("rendering", "tests", "to see")
    publish(registry, make_bundle("b"))
    assert registry.is_unloaded("rendering")
    registry.load("rendering", "tests", "seen")
    registry.load("rendering", "tests", "seen")
    assert not registry.is_unloaded("rendering")
    assert version in registry.versions("rendering")
    actions = [entry.action for entry in registry.history("rendering")]
    assert [action for action in actions if "load" in action] == ["unload", "load"]
    assert not registry.is_unloaded("../elsewhere")
