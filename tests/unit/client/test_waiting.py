"""Waiting for a training run ends when what it published answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc
import pytest

from foretell.client import AsyncClient, Client, Job
from foretell.errors import BundleRejected
from foretell.v1 import model_pb2

if TYPE_CHECKING:
    from tests.unit.client.conftest import FixedServer

SUCCEEDED = model_pb2.Job(
    id="j1", workload="rules", state=model_pb2.JOB_STATE_SUCCEEDED, bundle_version="v2"
)
LOADING = model_pb2.Bundle(workload="rules", version="v2", aliases=["current"])
SERVING = model_pb2.Bundle(workload="rules", version="v2", aliases=["current"], serving=True)

Retrain = Callable[[str], Job]


def _blocking(address: str) -> Job:
    with Client(address) as client:
        return client.retrain("rules", wait=5.0)


def _async(address: str) -> Job:
    async def use() -> Job:
        async with AsyncClient(address) as client:
            return await client.retrain("rules", wait=5.0)

    return asyncio.run(use())


@pytest.fixture(params=[_blocking, _async])
def retrain(request: pytest.FixtureRequest) -> Retrain:
    """Retrain and wait, with either client."""
    found: Retrain = request.param
    return found


def _asked(server: FixedServer) -> list[str]:
    return [r.version for r in server.seen if isinstance(r, model_pb2.GetBundleRequest)]


def test_waiting_ends_when_the_bundle_answers(retrain: Retrain, server: FixedServer) -> None:
    """The bundle may be unheard of, then load, then serve: only then the wait is over."""
    server.job = [SUCCEEDED]
    server.bundles.extend([grpc.StatusCode.NOT_FOUND, LOADING, LOADING, SERVING])
    assert retrain(server.address).bundle_version == "v2"
    assert _asked(server) == ["v2"] * 4


def test_a_bundle_that_was_replaced_is_not_waited_for(
    retrain: Retrain, server: FixedServer
) -> None:
    """Once another bundle is current, this one will never serve, and the job is returned."""
    server.job = [SUCCEEDED]
    server.bundles.append(model_pb2.Bundle(version="v2", aliases=["previous"]))
    assert retrain(server.address).state == "SUCCEEDED"
    assert len(_asked(server)) == 1


def test_a_refused_bundle_is_said(retrain: Retrain, server: FixedServer) -> None:
    """A server that refuses the published bundle ends the wait with its reason."""
    server.job = [SUCCEEDED]
    refused = model_pb2.Bundle(version="v2", aliases=["current"], refusal="its probe failed")
    server.bundles.append(refused)
    with pytest.raises(BundleRejected, match="its probe failed"):
        retrain(server.address)
