"""Workloads that somebody asked not to answer."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2

from foretell.registry import FolderRegistry
from tests.integration.server.conftest import WAIT_S, RunningServer


def test_unloading_elsewhere_is_followed(server: RunningServer) -> None:
    """What any server of the registry unloads, this one answers no more, not even when asked for
    a version or from its cache; it answers again, with what is current, once it is loaded."""
    version = server.predict().provenance.bundle_version
    assert server.predict().provenance.bundle_version == version
    registry = FolderRegistry(server.registry)
    registry.unload("toy", "somebody", "maintenance")
    server.look()
    for asked in ("", version):
        with pytest.raises(grpc.RpcError) as caught:
            server.predict(bundle_version=asked)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "'toy' is unavailable: it was unloaded" in str(caught.value.details())
    health = server.health.Check(health_pb2.HealthCheckRequest(service="toy"), timeout=WAIT_S)
    assert health.status == health_pb2.HealthCheckResponse.NOT_SERVING
    newer = server.publish(shift=1.0)
    with pytest.raises(grpc.RpcError):
        server.predict()
    registry.load("toy", "somebody", "over")
    server.look()
    assert server.predict().provenance.bundle_version == newer
