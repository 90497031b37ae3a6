"""Explain over a real socket: what both clients get is what an explainer says in-process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc
import pytest
from grpc_status import rpc_status

from foretell import AsyncClient, Client
from foretell.errors import InvalidInput, NotExplainable, NotFound
from foretell.explain import Explainer
from foretell.registry import FolderRegistry
from foretell.v1 import common_pb2, prediction_pb2
from tests.integration.server.conftest import WAIT_S, RunningServer
from tests.lab import lab_bundle, lab_predictor

ASKED = {"hardware": "never seen", "batch_size": 16.0, "memory_gb": 24.0}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the workload of `tests.lab`, and `toy`, whose bundle keeps no rows."""
    folder = tmp_path_factory.mktemp("lab")
    lab_bundle(folder / "bundle")
    FolderRegistry(folder / "registry").publish(
        "lab", folder / "bundle", promote=True, who="test", why="test"
    )
    with RunningServer(folder) as running:
        running.publish()
        yield running


@pytest.fixture(scope="module")
def client(lab: RunningServer) -> Iterator[Client]:
    """A client of that server."""
    with Client(lab.address, timeout=WAIT_S) as connected:
        yield connected


def test_a_server_explains_as_its_bundle_does(
    lab: RunningServer, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Both clients get what an explainer of an equal bundle says, but for the version."""
    here = Explainer(lab_predictor(tmp_path_factory.mktemp("same") / "bundle"))
    options = {"metrics": ("latency_ms", "power_w"), "neighbours": 2}
    expected = here.explain(ASKED, **options)  # type: ignore[arg-type]  # options of several types
    found = client.explain("lab", ASKED, **options)  # type: ignore[arg-type]  # options of several types
    assert found.metrics == expected.metrics
    assert found.neighbours == expected.neighbours
    assert found.unknown_features == ("hardware",)
    assert (found.tier, found.groups) == (expected.tier, expected.groups)
    assert (found.exact, found.background_rows) == (True, 6)

    async def again() -> object:
        async with AsyncClient(lab.address, timeout=WAIT_S) as other:
            return await other.explain("lab", ASKED, **options)  # type: ignore[arg-type]  # options of several types

    assert asyncio.run(again()) == found


def test_many_who_ask_at_once_are_all_answered(lab: RunningServer) -> None:
    """More explanations than are made at a time wait for each other, and none is lost."""
    request = prediction_pb2.ExplainRequest(workload="lab")
    request.features["hardware"].text = "old"
    request.features["batch_size"].number = 4.0
    calls = [lab.stubs.prediction.Explain.future(request, timeout=WAIT_S) for _ in range(8)]
    answers = [call.result() for call in calls]
    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0].neighbours) == 5
    assert answers[0].neighbours[0].features["batch_size"] == common_pb2.Value(number=4.0)


def test_what_is_refused_says_why(client: Client) -> None:
    """Bad features, metrics and numbers of neighbours, unknown names, bundles without rows."""
    with pytest.raises(InvalidInput) as refused:
        client.explain("lab", {**ASKED, "color": "red"})
    assert [v.field for v in refused.value.violations] == ["features[color]"]
    with pytest.raises(InvalidInput, match="speed"):
        client.explain("lab", ASKED, metrics=["speed"])
    with pytest.raises(InvalidInput, match="neighbours"):
        client.explain("lab", ASKED, neighbours=-1)
    with pytest.raises(InvalidInput, match="101 is not between 0 and 100"):
        client.explain("lab", ASKED, neighbours=101)
    with pytest.raises(NotFound):
        client.explain("lab", ASKED, bundle_version="20200101T000000Z-00000000")
    with pytest.raises(NotExplainable, match="keeps no rows of its training data"):
        client.explain("toy", {"kind": "big", "size": 3.0})


def test_a_bundle_without_rows_is_a_failed_precondition(lab: RunningServer) -> None:
    """On the wire the refusal has a status and a reason that programs may switch on."""
    request = prediction_pb2.ExplainRequest(workload="toy")
    request.features["kind"].text = "big"
    with pytest.raises(grpc.RpcError) as refused:
        lab.stubs.prediction.Explain(request, timeout=WAIT_S)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    status = rpc_status.from_call(refused.value)
    assert any(b"NOT_EXPLAINABLE" in detail.value for detail in status.details)
