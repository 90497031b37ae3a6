"""Bundles come and go under a running server; the bad ones never get in."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from foretell.bundle import MODEL_FILE, write_bundle
from foretell.jobs import JobStore
from foretell.registry import FolderRegistry
from foretell.v1 import model_pb2
from tests.bundles import tiny_bundle, toy_graph, toy_manifest, toy_schema
from tests.integration.server.conftest import WAIT_S, RunningServer, StartServer, toy_request


def install(server: RunningServer, folder: Path, workload: str = "toy") -> str:
    """Put a bundle into the registry as it is, past the checks of publishing, as current."""
    version = str(json.loads((folder / "manifest.json").read_text())["version"])
    target = server.registry / workload / "bundles" / version
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, target)
    FolderRegistry(server.registry).promote(workload, version, who="test", why="test")
    return version


def flip_a_bit(folder: Path) -> None:
    """Corrupt the graph."""
    graph = bytearray((folder / MODEL_FILE).read_bytes())
    graph[len(graph) // 2] ^= 1
    (folder / MODEL_FILE).write_bytes(graph)


def cut_short(folder: Path) -> None:
    """Lose the end of the graph."""
    graph = (folder / MODEL_FILE).read_bytes()
    (folder / MODEL_FILE).write_bytes(graph[:-10])


def lose_the_graph(folder: Path) -> None:
    """Lose the graph."""
    (folder / MODEL_FILE).unlink()


def change_the_sha256(folder: Path) -> None:
    """Let the manifest expect another graph."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][MODEL_FILE]["sha256"] = "0" * 64
    path.write_text(json.dumps(manifest))


def garble_the_manifest(folder: Path) -> None:
    """Leave half a manifest, as a writer that died would."""
    path = folder / "manifest.json"
    path.write_text(path.read_text()[:100])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flip_a_bit, "sha256"),
        (cut_short, "bytes"),
        (lose_the_graph, "cannot be read"),
        (change_the_sha256, "was changed"),
        (garble_the_manifest, "cannot be read"),
    ],
)
def test_damaged_bundle_is_refused_and_the_old_one_serves(
    server: RunningServer, damage: Callable[[Path], None], says: str
) -> None:
    """A bundle whose files are damaged is never served; ListBundles says why."""
    old = server.predict().provenance.bundle_version
    folder = server.folder / "bad"
    tiny_bundle(folder, shift=1.0)
    version = json.loads((folder / "manifest.json").read_text())["version"]
    target = server.registry / "toy" / "bundles" / version
    shutil.copytree(folder, target)
    FolderRegistry(server.registry).promote("toy", version, who="test", why="test")
    damage(target)
    server.look()
    assert server.predict().provenance.bundle_version == old
    listed = {b.version: b for b in bundles(server)}
    assert listed[old].serving
    assert not listed[old].refusal
    assert says in listed[version].refusal
    assert not listed[version].serving


def bundles(server: RunningServer) -> list[model_pb2.Bundle]:
    """Return what ListBundles says."""
    return list(
        server.stubs.model.ListBundles(model_pb2.ListBundlesRequest(workload="toy")).bundles
    )


def test_graph_that_does_not_fit_the_schema_is_refused(server: RunningServer) -> None:
    """A bundle whose graph answers other metrics than its schema has is refused."""
    old = server.predict().provenance.bundle_version
    schema = toy_schema()
    folder = server.folder / "bad"
    write_bundle(folder, toy_graph(toy_schema(metrics=("seconds",))), toy_manifest(schema))
    version = install(server, folder)
    server.look()
    assert server.predict().provenance.bundle_version == old
    assert {b.version: b.refusal for b in bundles(server)}[version].startswith("the graph's")


def test_bundle_of_another_workload_is_refused(server: RunningServer) -> None:
    """A bundle that lies in another workload's folder is refused."""
    old = server.predict().provenance.bundle_version
    folder = server.folder / "bad"
    tiny_bundle(folder, schema=toy_schema("other"))
    version = install(server, folder)
    server.look()
    assert server.predict().provenance.bundle_version == old
    assert "'other'" in {b.version: b.refusal for b in bundles(server)}[version]


def test_golden_row_that_is_off_is_refused(server: RunningServer) -> None:
    """A bundle that does not answer as it did when it was made is refused."""
    old = server.predict().provenance.bundle_version
    schema = toy_schema()
    folder = server.folder / "bad"
    write_bundle(folder, toy_graph(schema, shift=0.01), toy_manifest(schema, shift=0.0))
    version = install(server, folder)
    server.look()
    assert server.predict().provenance.bundle_version == old
    assert "golden" in {b.version: b.refusal for b in bundles(server)}[version]


def test_refused_bundle_is_tried_once_and_again_when_repaired(server: RunningServer) -> None:
    """A refusal is counted once, however often the registry is looked at, until files change."""
    folder = server.folder / "bad"
    tiny_bundle(folder, shift=1.0)
    good = (folder / MODEL_FILE).read_bytes()
    flip_a_bit(folder)
    version = install(server, folder)
    for _ in range(3):
        server.look()
    assert server.serving.shelf.refused == 1
    (server.registry / "toy" / "bundles" / version / MODEL_FILE).write_bytes(good)
    server.look()
    assert server.predict().provenance.bundle_version == version
    assert not {b.version: b.refusal for b in bundles(server)}[version]


def test_asking_for_a_refused_version_says_why(server: RunningServer) -> None:
    """Naming a bundle that is refused is FAILED_PRECONDITION with the reason."""
    folder = server.folder / "bad"
    tiny_bundle(folder, shift=1.0)
    flip_a_bit(folder)
    version = install(server, folder)
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(bundle_version=version)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "sha256" in str(caught.value.details())


def test_start_with_a_bad_current_bundle_serves_the_previous_one(
    start_server: StartServer,
) -> None:
    """A server that starts on a bad current bundle answers with the one before it."""
    first = start_server()
    old = first.publish()
    folder = first.folder / "bad"
    tiny_bundle(folder)
    flip_a_bit(folder)
    install(first, folder)
    second = start_server()
    assert second.predict().provenance.bundle_version == old


def test_polling_is_the_floor(start_server: StartServer) -> None:
    """Without a broker a new bundle is found by looking at the registry again and again."""
    server = start_server(registry_poll_s=0.05)
    server.publish()
    new = server.publish(shift=1.0, follow=False)
    assert_soon(lambda: server.predict().provenance.bundle_version == new)


def test_announcement_is_heard_at_once(start_server: StartServer, broker: str) -> None:
    """With a broker, an announcement makes the server look, long before it would poll."""
    server = start_server(broker_url=broker)
    server.publish()
    new = server.publish(shift=1.0, follow=False)
    JobStore(broker).announce("toy", new, "current")
    assert_soon(lambda: server.predict().provenance.bundle_version == new)


def test_registry_that_disappears_changes_nothing(server: RunningServer) -> None:
    """With the registry gone, what is loaded keeps serving; back again, it is followed."""
    old = server.predict().provenance.bundle_version
    hidden = server.registry.with_name("hidden")
    server.registry.rename(hidden)
    server.look()
    assert server.predict().provenance.bundle_version == old
    hidden.rename(server.registry)
    new = server.publish(shift=1.0)
    assert server.predict().provenance.bundle_version == new


def test_a_bundle_that_is_deleted_under_the_server_goes_on_answering(
    server: RunningServer,
) -> None:
    """What is loaded needs its files no more; the registry without them changes nothing."""
    version = server.serving.shelf.live["toy"].version
    shutil.rmtree(server.registry / "toy" / "bundles" / version)
    server.look()
    assert server.predict(7.0).provenance.bundle_version == version
    after = server.publish(shift=1.0)
    assert server.predict(7.0).provenance.bundle_version == after


def test_a_clock_that_jumps_changes_nothing(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Years ahead or back, calls are answered, bundles taken over, and health is what it was."""
    clock = time.time
    for jump_s in (1e9, -1e9):
        monkeypatch.setattr(time, "time", lambda by=jump_s: clock() + by)
        # Without deadlines: the client in this process, whose clock jumps too, counts those by it.
        predict = server.stubs.prediction.Predict
        version = server.publish(shift=jump_s / 1e9)
        assert predict(toy_request()).provenance.bundle_version == version
        check = server.health.Check(health_pb2.HealthCheckRequest())
        assert check.status == health_pb2.HealthCheckResponse.SERVING


def test_broken_aliases_of_one_workload_do_not_stop_the_others(server: RunningServer) -> None:
    """A workload whose aliases cannot be read is left as it is; other workloads go on."""
    other = server.publish(schema=toy_schema("another"))
    aliases = server.registry / "another" / "aliases.json"
    aliases.write_text("[")
    new = server.publish(shift=1.0)
    assert server.predict().provenance.bundle_version == new
    assert server.predict(workload="another").provenance.bundle_version == other


def test_broken_aliases_are_named(server: RunningServer) -> None:
    """Bundles cannot be listed by broken aliases: UNAVAILABLE names the file; serving goes on."""
    (server.registry / "toy" / "aliases.json").write_text("[")
    server.look()
    models = server.stubs.model
    for method, request in (
        (models.ListBundles, model_pb2.ListBundlesRequest(workload="toy")),
        (models.GetBundle, model_pb2.GetBundleRequest(workload="toy", version="current")),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            method(request)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "aliases.json of workload 'toy'" in str(caught.value.details())
    assert server.predict().metrics


def test_no_call_fails_while_bundles_are_swapped(server: RunningServer) -> None:
    """Under continuous load a swap fails no call, and each answer is of one bundle throughout."""
    shifts = {server.predict().provenance.bundle_version: 0}
    stop = threading.Event()
    failures: list[Exception] = []
    seen: list[tuple[str, float, float]] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                answer = server.predict(1.0)
            except grpc.RpcError as error:
                failures.append(error)
            else:
                seconds, kb = answer.metrics
                seen.append((answer.provenance.bundle_version, seconds.median, kb.median))

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for shift in range(1, 11):
        shifts[server.publish(shift=shift)] = shift
    stop.set()
    for asker in askers:
        asker.join(WAIT_S)
    assert failures == []
    assert len({version for version, _, _ in seen}) > 5
    for version, seconds, kb in seen:
        assert seconds == kb == pytest.approx(2.718281828 ** shifts[version], rel=1e-4)


def assert_soon(holds: Callable[[], bool]) -> None:
    """Wait until something holds that no event announces to this process."""
    patience = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        if holds():
            return
        patience.wait(0.02)
    raise AssertionError("it did not happen")
