"""The registry: atomic for readers, audited for everybody."""

from __future__ import annotations

import http.client
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from moto.server import ThreadedMotoServer

from foretell.bundle import MODEL_FILE, read_bundle
from foretell.errors import (
    BundleRejected,
    Conflict,
    InvalidInput,
    NoBundle,
    NotFound,
    SchemaError,
    Unavailable,
)
from foretell.object_registry import ObjectRegistry
from foretell.registries import registry_of
from foretell.registry import FolderRegistry, Registry
from foretell.schema import Schema
from foretell.seal import SIGNATURE_FILE
from foretell.settings import Settings

MakeBundle = Callable[..., Path]

OWN_SCHEMA = """
workload: own
features: [{name: n, kind: number}]
metrics: [{name: m}]
"""


@pytest.fixture(scope="session")
def storage() -> Iterator[str]:
    """The URL of an S3 server with a bucket `models`."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with closing(http.client.HTTPConnection(host, port, timeout=60)) as connection:
        connection.request("PUT", "/models")
        assert connection.getresponse().status == 200
    yield url
    server.stop()


@pytest.fixture
def bucket(storage: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place in that bucket, which AWS's own variables lead to."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", storage)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anybody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return f"s3://models/{uuid.uuid4().hex}"


@pytest.fixture(params=["folder", "s3"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    """An empty registry, on a folder and on object storage."""
    if request.param == "folder":
        return FolderRegistry(tmp_path / "registry")
    return ObjectRegistry(request.getfixturevalue("bucket"), tmp_path / "copies")


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
    registry.promote("rendering", first, "tests", "it is that already")
    assert [(e.action, e.old, e.new) for e in registry.history("rendering")] == history


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


def test_what_an_alias_stands_for_is_never_removed(
    registry: Registry, make_bundle: MakeBundle
) -> None:
    """Any other bundle can be removed, and is gone for everybody; the history says so."""
    made = [make_bundle(f"b{i}", created=datetime(2025, 1, 1 + i, tzinfo=UTC)) for i in range(4)]
    first, second, third = [publish(registry, folder) for folder in made[:3]]
    fourth = publish(registry, made[3], promote=False)
    for kept in (second, third, fourth):
        with pytest.raises(Conflict, match=kept):
            registry.remove("rendering", kept, "tests", "too old")
    registry.remove("rendering", first, "tests", "too old")
    assert registry.versions("rendering") == [fourth, third, second]
    with pytest.raises(NotFound):
        registry.path("rendering", first)
    last = registry.history("rendering")[-1]
    assert (last.action, last.new, last.why) == ("prune", first, "too old")


def test_another_machine_has_copies_of_its_own(
    bucket: str, tmp_path: Path, make_bundle: MakeBundle
) -> None:
    """What one machine publishes on object storage, another one reads, and both may promote."""
    here = ObjectRegistry(bucket, tmp_path / "here")
    there = ObjectRegistry(bucket, tmp_path / "there")
    version = publish(here, make_bundle(), promote=False)
    assert read_bundle(there.path("rendering", version)).version == version
    there.promote("rendering", version, "tests", "good")
    assert here.current("rendering") == version
    assert [entry.action for entry in here.history("rendering")] == ["publish", "promote"]


def test_storage_that_is_away_is_unavailable(bucket: str, tmp_path: Path) -> None:
    """Storage without the bucket is said to be unavailable, by its URL."""
    registry = ObjectRegistry(bucket.replace("models", "nowhere"), tmp_path)
    with pytest.raises(Unavailable, match="s3://nowhere"):
        registry.register(OWN_SCHEMA)


def key_files(folder: Path) -> tuple[Path, Path]:
    """Write a new key and its public half, and return their paths."""
    folder.mkdir()
    key = Ed25519PrivateKey.generate()
    private, public = folder / "key.pem", folder / "public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_only_bundles_that_a_trusted_key_signed_are_taken(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, make_bundle: MakeBundle
) -> None:
    """With trusted keys, a bundle that is not signed, or by a stranger, is refused."""
    private, public = key_files(tmp_path / "ours")
    foreign, _ = key_files(tmp_path / "theirs")
    url = request.getfixturevalue("bucket") if kind == "s3" else None
    settings = Settings(registry=tmp_path / "registry", registry_url=url)

    def opened(**changes: object) -> Registry:
        return registry_of(settings.model_copy(update=changes))

    reader = opened(trusted_keys_file=public)
    unsigned = publish(opened(), make_bundle("unsigned", offset=1.0))
    stranger = publish(opened(signing_key_file=foreign), make_bundle("stranger", offset=2.0))
    good = publish(opened(signing_key_file=private), make_bundle("good", offset=3.0))
    assert (reader.path("rendering", good) / SIGNATURE_FILE).exists()
    with pytest.raises(BundleRejected, match="not signed"):
        reader.path("rendering", unsigned)
    with pytest.raises(BundleRejected, match="nobody who is trusted"):
        reader.manifest("rendering", stranger)
    # A signature is of one manifest.
    signature = (reader.path("rendering", good) / SIGNATURE_FILE).read_bytes()
    place = opened().path("rendering", unsigned)
    (place / SIGNATURE_FILE).write_bytes(signature)
    with pytest.raises(BundleRejected, match="nobody who is trusted"):
        reader.path("rendering", unsigned)


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_only_aliases_that_a_trusted_key_signed_hold(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, make_bundle: MakeBundle
) -> None:
    """Whoever may write to a registry, and has no key, can neither move an alias nor put an old
    state of them back unseen; what they write into the audit is not taken for signed."""
    private, public = key_files(tmp_path / "ours")
    url = request.getfixturevalue("bucket") if kind == "s3" else None
    settings = Settings(registry=tmp_path / "registry", registry_url=url, trusted_keys_file=public)
    ours = registry_of(settings.model_copy(update={"signing_key_file": private}))
    first = publish(ours, make_bundle("first", created=datetime(2025, 1, 1, tzinfo=UTC)))
    before = stored_aliases(ours)
    second = publish(ours, make_bundle("second", created=datetime(2025, 1, 2, tzinfo=UTC)))
    reader = registry_of(settings)
    assert reader.current("rendering") == second
    assert {e.who for e in reader.history("rendering")} == {"tests"}
    with pytest.raises(InvalidInput, match="signing_key_file"):
        reader.rollback("rendering", "a stranger", "for fun")
    # An old state, put back whole.
    newest = stored_aliases(ours)
    put_back(ours, before)
    with pytest.raises(Unavailable, match="was read before"):
        reader.current("rendering")
    put_back(ours, newest)
    assert reader.current("rendering") == second
    # Somebody without keys, who believes all.
    stranger = registry_of(settings.model_copy(update={"trusted_keys_file": None}))
    assert stranger.rollback("rendering", "a stranger", "for fun") == first
    with pytest.raises(Unavailable, match="nobody who is trusted"):
        reader.current("rendering")
    assert reader.history("rendering")[-1].who == "a stranger (not signed)"


def stored_aliases(registry: Registry) -> dict[str, bytes]:
    """Return the files that say what aliases stand for."""
    if isinstance(registry, ObjectRegistry):
        files = registry._fs.find(f"{registry._prefix}/rendering/states")
        return {name: registry._fs.cat_file(name) for name in files}
    path = registry.root / "rendering" / "aliases.json"
    return {str(path): path.read_bytes()}


def put_back(registry: Registry, files: dict[str, bytes]) -> None:
    """Have these files, and none of the others."""
    if isinstance(registry, ObjectRegistry):
        for name in stored_aliases(registry).keys() - files.keys():
            registry._fs.rm(name)
    for name, content in files.items():
        if isinstance(registry, ObjectRegistry):
            registry._fs.pipe_file(name, content)
        else:
            Path(name).write_bytes(content)


def test_files_that_hold_no_keys_are_named(tmp_path: Path) -> None:
    """A key file that is missing, or holds something else, is an error of its setting."""
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no key")
    for setting in ("signing_key_file", "trusted_keys_file"):
        for path in (wrong, tmp_path / "missing.pem"):
            with pytest.raises(InvalidInput, match=setting):
                registry_of(Settings(registry=tmp_path).model_copy(update={setting: path}))
