"""A server on a free port, in a thread of this process, with the bundles that a test gives it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import pytest
import uvloop
from grpc_health.v1 import health_pb2_grpc

from foretell.client.channel import Stubs
from foretell.registry import FolderRegistry
from foretell.schema import Schema
from foretell.settings import Settings
from foretell.v1 import prediction_pb2
from foretell_server.serving import Serving, serving
from tests.bundles import tiny_bundle

NO_BROKER = "redis://127.0.0.1:1/0"
WAIT_S = 60.0

_numbers = itertools.count()


class RunningServer:
    """A server that answers on `address`; `stubs` speak to it."""

    def __init__(self, folder: Path, **changes: Any) -> None:  # noqa: ANN401 -- fields of Settings
        self.folder = folder
        self.registry = folder / "registry"
        # Nothing is polled unless a test says so: it decides when the registry is looked at.
        given = {"registry": self.registry, "port": 0, "broker_url": NO_BROKER, **changes}
        self.settings = Settings(**{"registry_poll_s": 3600.0, "drain_seconds": 5.0, **given})
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._asked_to_stop = False
        self._ready: Future[Serving] = Future()
        self._thread = threading.Thread(target=self._run, name="server")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        self.serving = self._ready.result(WAIT_S)
        self.address = f"127.0.0.1:{self.serving.port}"
        self.channel = self._stack.enter_context(
            grpc.insecure_channel(self.address, options=[("grpc.max_receive_message_length", -1)])
        )
        self.stubs = Stubs(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        self.stop()

    def stop(self) -> None:
        """Drain, as SIGTERM does, and wait until all is over. Stopping twice does nothing."""
        if self._loop is not None and not self._asked_to_stop:
            self.begin_stop()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    def begin_stop(self) -> None:
        """Ask it to drain without waiting."""
        assert self._loop is not None
        assert self._stop is not None
        # Asked once only: the loop may be closed a moment later, while its thread still lives.
        self._asked_to_stop = True
        self._loop.call_soon_threadsafe(self._stop.set)

    def on_loop(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401
        """Run a coroutine on the server's event loop and return what it returns."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    def publish(
        self,
        *,
        shift: float = 0.0,
        schema: Schema | None = None,
        follow: bool = True,
        promote: bool = True,
    ) -> str:
        """Publish a tiny bundle as current, let the server see it, and return its version."""
        folder = self.folder / f"made-{next(_numbers)}"
        manifest = tiny_bundle(folder, shift=shift, schema=schema)
        version = FolderRegistry(self.registry).publish(
            manifest.workload, folder, promote=promote, who="test", why="test"
        )
        if follow:
            self.look()
        return version

    def look(self) -> None:
        """Have the server look at its registry now."""
        self.on_loop(self.serving.swap.reconcile())

    def predict(self, size: float = 10.0, **changes: Any) -> prediction_pb2.PredictResponse:  # noqa: ANN401
        """Ask for one toy."""
        answer: prediction_pb2.PredictResponse = self.stubs.prediction.Predict(
            toy_request(size, **changes), timeout=WAIT_S
        )
        return answer

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                if self._ready.done():
                    raise
                self._ready.set_exception(error)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self.settings) as running:
            self._ready.set_result(running)
            await self._stop.wait()
            await running.stop()


def toy_request(size: float = 10.0, **changes: Any) -> prediction_pb2.PredictRequest:  # noqa: ANN401
    """Return a request for a toy that the tiny bundle knows."""
    request = prediction_pb2.PredictRequest(**{"workload": "toy", **changes})
    if "features" not in changes:
        request.features["size"].number = size
        request.features["kind"].text = "big"
    return request


StartServer = Callable[..., RunningServer]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers on empty registries; they stop with the test."""
    with ExitStack() as stack:

        def start(**changes: Any) -> RunningServer:  # noqa: ANN401 -- fields of Settings
            return stack.enter_context(RunningServer(tmp_path, **changes))

        yield start


@pytest.fixture
def server(start_server: StartServer) -> RunningServer:
    """A server of the test's own, with one tiny bundle live."""
    running = start_server()
    running.publish()
    return running


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests that only ask: a tiny bundle is live, no broker is there."""
    with RunningServer(tmp_path_factory.mktemp("server")) as running:
        running.publish()
        yield running
