"""A broker that hangs: it takes connections and answers nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from foretell.broker import EmbeddedBroker
from foretell.v1 import model_pb2, observation_pb2
from tests.integration.server.conftest import RunningServer, StartServer
from tests.integration.server.test_reports import observed, report

WITHIN_S = 30.0


@pytest.fixture
def hung(start_server: StartServer, tmp_path: Path) -> Iterator[RunningServer]:
    """A server whose broker took a report, and then was stopped in its tracks."""
    with EmbeddedBroker(tmp_path / "broker") as broker:
        server = start_server(broker_url=broker.url)
        server.publish()
        assert not report(server, observed("before"))[0].HasField("rejection")
        server.stubs.model.ListJobs(model_pb2.ListJobsRequest(), timeout=WITHIN_S)
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            yield server
        finally:
            os.kill(broker.pid, signal.SIGCONT)


def test_calls_that_need_a_hung_broker_are_unavailable_soon(hung: RunningServer) -> None:
    """Report, Retrain and the rest end within seconds of their own, and predictions go on."""
    calls = [
        hung.stubs.observation.Report.future(
            observation_pb2.ReportRequest(observations=[observed("after")]), timeout=WITHIN_S
        ),
        hung.stubs.model.Retrain.future(model_pb2.RetrainRequest(workload="toy"), timeout=WITHIN_S),
        hung.stubs.model.GetJob.future(model_pb2.GetJobRequest(job_id="any"), timeout=WITHIN_S),
    ]
    assert hung.predict().metrics
    for call in calls:
        error = call.exception()
        assert isinstance(error, grpc.RpcError)
        assert error.code() is grpc.StatusCode.UNAVAILABLE, error
