"""The metrics page, read over HTTP as Prometheus reads it."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from foretell.bundle import MANIFEST_FILE
from foretell.errors import Unavailable
from foretell.registry import FolderRegistry
from foretell_server.telemetry.meters import Reading
from foretell_server.telemetry.page import metrics_page
from tests.bundles import tiny_bundle
from tests.integration.server.conftest import WAIT_S, RunningServer, toy_request

PREDICT = "foretell.v1.PredictionService/Predict"

Read = Callable[..., float]


def scrape(port: int) -> Read:
    """Read the page once; return what finds the sum of the lines that have these labels."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    assert response.status == 200
    text = response.read().decode()
    connection.close()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]

    def value(name: str, **labels: str) -> float:
        return sum(
            sample.value
            for sample in samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    return value


@contextmanager
def page_of(server: RunningServer) -> Iterator[int]:
    """Show the server's metrics and yield the port."""
    with metrics_page("127.0.0.1", 0, server.serving.census.families) as port:
        yield port


@pytest.fixture(scope="module")
def page(shared_server: RunningServer) -> Iterator[int]:
    """The page of the server that only answers."""
    with page_of(shared_server) as port:
        yield port


def test_requests_are_counted_by_method_workload_and_status(
    shared_server: RunningServer, page: int
) -> None:
    """Each answer and each refusal is counted once, with its time in a bucket."""
    before = scrape(page)
    for _ in range(3):
        shared_server.predict()
    for workload in ("serverless", "never heard of"):
        with pytest.raises(grpc.RpcError):
            shared_server.predict(workload=workload)
    after = scrape(page)

    def grown(name: str, **labels: str) -> float:
        return after(name, method=PREDICT, **labels) - before(name, method=PREDICT, **labels)

    requests = "foretell_requests_total"
    assert grown(requests, workload="toy", status="OK") == 3
    assert grown(requests, workload="serverless", status="FAILED_PRECONDITION") == 1
    # A name that the caller made up is no label: there could be any number of them.
    assert grown(requests, workload="", status="NOT_FOUND") == 1
    assert grown("foretell_request_duration_seconds_count") == 5
    assert grown("foretell_request_duration_seconds_bucket", le="+Inf") == 5
    assert grown("foretell_request_duration_seconds_sum") > 0
    assert after("foretell_requests_in_flight") == 0


def test_streams_are_counted_while_open_and_when_over(
    shared_server: RunningServer, page: int
) -> None:
    """A stream that a caller holds is in the gauge; one that ended is counted by its status."""
    method = "foretell.v1.PredictionService/PredictStream"
    before = scrape(page)
    stream = shared_server.stubs.prediction.PredictStream(iter([toy_request()]), timeout=WAIT_S)
    assert len(list(stream)) == 1
    after = scrape(page)
    labels = {"method": method, "status": "OK"}
    ended = "foretell_streams_total"
    assert after(ended, **labels) - before(ended, **labels) == 1
    assert after("foretell_streams_open", method=method) == 0


def test_bundles_swaps_and_refusals_are_shown(server: RunningServer) -> None:
    """The page names the bundle that answers, counts swaps with their time, and refusals."""
    version = server.publish(shift=1.0)
    broken = server.folder / "broken"
    manifest = tiny_bundle(broken)
    name = FolderRegistry(server.registry).publish(
        manifest.workload, broken, promote=True, who="test", why="test"
    )
    (FolderRegistry(server.registry).path("toy", name) / MANIFEST_FILE).write_text("{}")
    server.look()
    with page_of(server) as port:
        value = scrape(port)
    assert value("foretell_bundle_info", workload="toy", version=version) == 1
    assert value("foretell_bundle_info") == 1
    assert value("foretell_bundle_swaps_total") == 2
    assert value("foretell_bundle_swap_duration_seconds_count") == 2
    assert value("foretell_bundle_refusals_total") == 1
    assert value("foretell_bundle_loaded_timestamp_seconds", workload="toy") > 1e9
    assert value("foretell_broker_reachable") == 0
    assert value("foretell_registry_readable") == 1


def test_numbers_that_others_keep_are_shown(shared_server: RunningServer, page: int) -> None:
    """A part of the server has its own number on the page by saying how it is read."""
    meters = shared_server.serving.census.meters
    mine = Reading("test_kept_total", "Kept elsewhere.", lambda: 7.0, counts_up=True)
    meters.show(mine)
    value = scrape(page)
    meters.readings.remove(mine)
    assert value("test_kept_total") == 7
    assert value("foretell_queue_depth") == 0
    assert value("foretell_process_resident_memory_bytes", process="0") > 1e6


def test_everything_on_the_page_is_documented(shared_server: RunningServer) -> None:
    """docs/operating.md explains each metric that a server shows."""
    document = (Path(__file__).parents[3] / "docs" / "operating.md").read_text()
    names = {family.name for family in shared_server.serving.census.families()}
    assert [name for name in names if f"`{name}`" not in document] == []


def test_a_client_that_sends_nothing_does_not_keep_others_out(page: int) -> None:
    """A connection on which no request comes leaves the page to the next one."""
    with socket.create_connection(("127.0.0.1", page)):
        assert scrape(page)("foretell_info") == 1


def test_a_port_that_is_taken_is_named(page: int) -> None:
    """The page says which address it cannot have."""
    with (
        pytest.raises(Unavailable, match=f"127.0.0.1:{page} cannot be bound"),
        metrics_page("127.0.0.1", page, list),
    ):
        pass
