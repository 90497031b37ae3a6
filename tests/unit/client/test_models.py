"""Training runs, bundles and schemas through the synchronous client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from foretell.client import Client
from foretell.errors import (
    Cancelled,
    ForetellError,
)
from foretell.v1 import model_pb2

if TYPE_CHECKING:
    from tests.unit.client.conftest import FixedServer


RUNNING = model_pb2.Job(
    id="j1",
    workload="rules",
    state=model_pb2.JOB_STATE_RUNNING,
    stage="fit",
    fraction_done=0.5,
    numbers={"rows": 100},
)
SUCCEEDED = model_pb2.Job(id="j1", state=model_pb2.JOB_STATE_SUCCEEDED, bundle_version="v2")


class TestModels:
    def test_retrain_returns_at_once(self, client: Client, server: FixedServer) -> None:
        """Without wait the job is queued; each call has a request id so that retries are safe."""
        assert client.retrain("rules").state == "QUEUED"
        client.retrain("rules", request_id="mine")
        assert len(server.seen[0].request_id) >= 32
        assert server.seen[1].request_id == "mine"

    def test_waiting_reports_progress(self, client: Client, server: FixedServer) -> None:
        """With wait the finished job is returned, and progress is reported on the way."""
        server.job = [RUNNING, RUNNING, SUCCEEDED]
        steps: list[str] = []
        done = client.retrain("rules", on_progress=lambda j: steps.append(str(j)))
        assert (done.state, done.bundle_version, done.done) == ("SUCCEEDED", "v2", True)
        assert steps == ["job j1, rules, running, fit (50 %), rows 100", str(done)]

    def test_broken_watch_is_opened_again(self, client: Client, server: FixedServer) -> None:
        """A watch whose connection breaks goes on where it was, without telling a state twice."""
        server.job = [RUNNING, grpc.StatusCode.UNAVAILABLE, SUCCEEDED]
        assert [j.state for j in client.watch("j1")] == ["RUNNING", "SUCCEEDED"]
        assert len(server.seen) == 2

    def test_failed_job_raises_its_error(self, client: Client, server: FixedServer) -> None:
        """Waiting for a job that fails raises why; a cancelled one raises Cancelled."""
        failed = model_pb2.Job(id="j1", state=model_pb2.JOB_STATE_FAILED)
        failed.error.code, failed.error.message = 9, "no observations to train on"
        server.job = [failed]
        with pytest.raises(ForetellError, match="no observations to train on"):
            client.retrain("rules", wait=True)
        server.job = [model_pb2.Job(id="j1", state=model_pb2.JOB_STATE_CANCELLED)]
        with pytest.raises(Cancelled, match="job j1 was cancelled"):
            client.retrain("rules", wait=5.0)

    def test_pages_are_followed(self, client: Client) -> None:
        """Lists come whole, however the server pages them."""
        assert [bundle.version for bundle in client.bundles("rules")] == ["v0", "v1", "v2"]

    def test_schema_is_typed_and_prints(self, client: Client) -> None:
        """A schema has typed features, absent limits are None, and it prints as a table."""
        schema = client.schema("rules")
        (feature,) = schema.features
        assert (feature.kind, feature.scale, feature.minimum, feature.maximum) == (
            "number",
            "log",
            0,
            None,
        )
        assert schema.groups == (("function",),)
        assert str(schema).splitlines()[0] == "rules: By rule"
        assert "duration_s" in str(schema)
