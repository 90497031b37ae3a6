"""The server as real processes: signals, several workers, deaths."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from foretell.client.channel import Stubs
from foretell.v1 import prediction_pb2
from tests.bundles import publish_tiny
from tests.integration.server.conftest import NO_BROKER, WAIT_S, toy_request
from tests.integration.server.test_metrics import scrape

pytestmark = pytest.mark.process


class Process:
    """A server process and the lines that it logs."""

    def __init__(self, folder: Path, **settings: object) -> None:
        given = {"registry": folder / "registry", "port": 0, "broker_url": NO_BROKER, **settings}
        variables = {f"FORETELL_{name.upper()}": str(value) for name, value in given.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "foretell_server"],
            env={**os.environ, **variables},
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._over = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(json.loads(line) if line.startswith("{") else {"event": line})
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        """Wait until an event was logged so often, and return its line."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.lines if line["event"] == event]

        with self._news:
            self._news.wait_for(lambda: self._over or len(found()) >= count, WAIT_S)
            assert len(found()) >= count, self.lines
            return found()[count - 1]

    def end(self) -> int:
        """Wait for its end and return the exit code."""
        code = self.process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@contextmanager
def running(folder: Path, **settings: object) -> Iterator[Process]:
    """Run a server process on a registry with one tiny bundle."""
    publish_tiny(folder / "registry", folder)
    server = Process(folder, **settings)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.end()


def port_of(server: Process) -> int:
    """Return the port once a single process serves."""
    return int(server.wait_for("serving")["port"])


def test_sigterm_drains_and_exits_cleanly(tmp_path: Path) -> None:
    """On SIGTERM watchers hear NOT_SERVING, calls in flight finish, and the exit code is 0."""
    with running(tmp_path, drain_seconds=30) as server:
        target = f"127.0.0.1:{port_of(server)}"
        options = [("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(target, options=options) as channel:
            stub = Stubs(channel).prediction
            watch = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service="toy"), timeout=WAIT_S
            )
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
            rows = 100_000
            texts = {"dictionary": ["big"], "raw_indices": bytes(4 * rows)}
            batch = stub.PredictBatch.future(
                prediction_pb2.PredictBatchRequest(
                    workload="toy", row_count=rows, columns=[{"name": "kind", "texts": texts}]
                ),
                timeout=WAIT_S,
            )
            # On the same connection, so the server has the batch when it answers this.
            assert stub.Predict(toy_request(), timeout=WAIT_S).metrics
            server.process.send_signal(signal.SIGTERM)
            assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert batch.result().row_count == rows
        assert server.end() == 0
        # That the broker is not there may be said at any time.
        events = [line["event"] for line in server.lines]
        assert [e for e in events if not e.startswith("announcements")][-2:] == [
            "draining",
            "stopped",
        ]


def test_second_signal_stops_at_once(tmp_path: Path) -> None:
    """While it drains, a second signal cuts off what is in flight, and the process ends."""
    with running(tmp_path, drain_seconds=600, max_rows_per_call=4_000_000) as server:
        target = f"127.0.0.1:{port_of(server)}"
        options = [("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(target, options=options) as channel:
            stub = Stubs(channel).prediction
            rows = 4_000_000
            texts = {"dictionary": ["big"], "raw_indices": bytes(4 * rows)}
            batch = stub.PredictBatch.future(
                prediction_pb2.PredictBatchRequest(
                    workload="toy", row_count=rows, columns=[{"name": "kind", "texts": texts}]
                ),
                timeout=WAIT_S,
            )
            assert stub.Predict(toy_request(), timeout=WAIT_S).metrics
            server.process.send_signal(signal.SIGINT)
            server.wait_for("draining")
            server.process.send_signal(signal.SIGINT)
            with pytest.raises(grpc.RpcError):
                batch.result()
        assert server.end() == 0


def test_workers_share_a_port_and_are_restarted(tmp_path: Path) -> None:
    """Two workers serve one port and one page of metrics; one that is killed is started again,
    and what it counted stays counted; SIGTERM ends all."""
    with running(tmp_path, workers=2, metrics_port=0) as server:
        port = int(server.wait_for("all processes serve")["port"])
        parent = psutil.Process(server.process.pid)
        children = serving_children(parent)
        assert len(children) == 2
        assert answered(port)
        page = int(server.wait_for("metrics are shown")["port"])
        value = scrape(page)
        assert value("foretell_info") == 2
        assert value("foretell_requests_total", status="OK") == 1
        assert value("foretell_bundle_swaps_total") == 2
        children[0].kill()
        assert server.wait_for("a process died and is started again")["exit_code"] == -9
        server.wait_for("serving", count=3)
        assert len(serving_children(parent)) == 2
        assert answered(port)
        value = scrape(page)
        assert value("foretell_process_deaths_total") == 1
        assert value("foretell_requests_total", status="OK") == 2
        assert value("foretell_bundle_swaps_total") == 3
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0
        assert not any(child.is_running() for child in children)


def test_sighup_renews_the_workers_without_a_failed_call(tmp_path: Path) -> None:
    """On SIGHUP all processes are replaced one by one, and no call of a busy client fails."""
    with running(tmp_path, workers=2, max_connection_age_s=1, drain_seconds=60) as server:
        port = int(server.wait_for("all processes serve")["port"])
        parent = psutil.Process(server.process.pid)
        old = serving_children(parent)
        over = threading.Event()
        failures: list[grpc.RpcError] = []
        counts = [0, 0]

        def ask(number: int) -> None:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                predict = Stubs(channel).prediction.Predict
                while not over.is_set():
                    request = toy_request(counts[number] + 1.0)
                    try:
                        predict(request, timeout=WAIT_S, wait_for_ready=True)
                        counts[number] += 1
                    except grpc.RpcError as error:
                        failures.append(error)

        clients = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for client in clients:
            client.start()
        try:
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("all processes are renewed")
        finally:
            over.set()
            for client in clients:
                client.join()
        assert failures == []
        assert min(counts) > 0
        assert len(serving_children(parent)) == 2
        assert not any(child.is_running() for child in old)
        assert answered(port)
        server.process.send_signal(signal.SIGTERM)
        assert server.end() == 0


def test_workers_do_not_outlive_their_supervisor(tmp_path: Path) -> None:
    """When the supervisor is killed, its workers drain and end."""
    with running(tmp_path, workers=2) as server:
        server.wait_for("all processes serve")
        children = serving_children(psutil.Process(server.process.pid))
        server.process.kill()
        gone, alive = psutil.wait_procs(children, timeout=WAIT_S)
        assert len(gone) == 2
        assert not alive


def test_a_mistake_in_the_settings_is_one_line(tmp_path: Path) -> None:
    """A server that cannot start says why in one line and exits with 1."""
    server = Process(tmp_path, host="192.0.2.1", insecure=True)
    assert server.end() == 1
    assert len(server.lines) == 1
    assert "192.0.2.1" in server.lines[0]["event"]


def answered(port: int) -> bool:
    """Ask over a new connection."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = Stubs(channel).prediction
        return bool(stub.Predict(toy_request(), timeout=WAIT_S, wait_for_ready=True).metrics)


def serving_children(parent: psutil.Process) -> list[psutil.Process]:
    """Return the processes that serve; Python's resource tracker is a child too."""
    return [c for c in parent.children() if "spawn_main" in " ".join(c.cmdline())]
