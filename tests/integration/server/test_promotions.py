"""Which bundle is current, changed through a real channel and with the client."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from foretell.bundle import MODEL_FILE
from foretell.client import AsyncClient, Client
from foretell.errors import BundleRejected, Conflict, InvalidInput, NotFound
from foretell.registry import FolderRegistry
from foretell.v1 import model_pb2
from tests.integration.server.conftest import RunningServer


def answering(server: RunningServer) -> str:
    """Return the version that answers."""
    return str(server.predict().provenance.bundle_version)


def test_promotion_and_rollback_are_one_swap_with_an_audit(server: RunningServer) -> None:
    """After promote and after rollback the very next answer is by the bundle that is current
    then, and the audit says who did it, from where, when and why."""
    old = answering(server)
    new = server.publish(shift=1.0, promote=False)
    assert answering(server) == old
    with Client(server.address) as client:
        promoted = client.promote("toy", reason="it is better", author="ada")
        assert (promoted.version, promoted.serving, promoted.aliases) == (new, True, ("current",))
        assert answering(server) == new
        back = client.rollback("toy", reason="it is not", from_version=new)
        assert (back.version, answering(server)) == (old, old)
        newest, before, *_ = client.history("toy")
    assert (newest.action, newest.from_version, newest.to_version) == ("rollback", new, old)
    assert (newest.reason, newest.author) == ("it is not", "admin at ipv4:127.0.0.1")
    assert (before.action, before.reason) == ("promote", "it is better")
    assert before.author == "ada at ipv4:127.0.0.1"
    assert before.time is not None


def test_rollback_that_is_repeated_does_not_undo_itself(server: RunningServer) -> None:
    """Rolling back from a version that is not current any more is ABORTED and changes nothing."""
    old = answering(server)
    new = server.publish(shift=1.0)

    async def twice() -> None:
        async with AsyncClient(server.address) as client:
            await client.rollback("toy", reason="slow", from_version=new)
            with pytest.raises(Conflict, match="is current, not"):
                await client.rollback("toy", reason="slow", from_version=new)
            assert (await client.promote("toy", "previous", reason="again")).version == new
            assert [entry.action for entry in await client.history("toy")][:2] == [
                "promote",
                "rollback",
            ]

    asyncio.run(twice())
    assert answering(server) == new
    assert FolderRegistry(server.registry).aliases("toy")["previous"] == old


def test_bundle_that_cannot_be_served_is_not_promoted(server: RunningServer) -> None:
    """Promoting a broken bundle, an unknown one, or without a reason changes nothing."""
    old = answering(server)
    broken = server.publish(shift=1.0, promote=False)
    model = FolderRegistry(server.registry).path("toy", broken) / MODEL_FILE
    model.write_bytes(model.read_bytes()[:-1])
    with Client(server.address) as client:
        with pytest.raises(BundleRejected):
            client.promote("toy", broken, reason="try")
        with pytest.raises(NotFound):
            client.promote("toy", "20200101T000000Z-00000000", reason="try")
        with pytest.raises(NotFound):
            client.rollback("toy", reason="try")
        with pytest.raises(InvalidInput, match="reason"):
            client.promote("toy", broken, reason=" ")
        assert client.bundle("toy").version == old
        assert client.history("inference") == []
    assert answering(server) == old


def test_audit_has_pages(shared_server: RunningServer) -> None:
    """ListAuditEntries gives pages, newest first."""
    call = shared_server.stubs.model.ListAuditEntries
    page = call(model_pb2.ListAuditEntriesRequest(workload="toy", page_size=1))
    assert [entry.action for entry in page.entries] == ["promote"]
    rest = call(model_pb2.ListAuditEntriesRequest(workload="toy", page_token=page.next_page_token))
    assert [entry.action for entry in rest.entries] == ["publish"]
    with pytest.raises(grpc.RpcError) as caught:
        call(model_pb2.ListAuditEntriesRequest(workload="nothing"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
