"""The processes of the workers: started, watched, started again when they die, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import redis

from foretell.celery_settings import INGEST_QUEUE, TRAIN_QUEUE
from foretell.errors import Unavailable
from foretell.jobs import reaching_broker
from foretell.logs import get_logger
from foretell.settings import Settings
from foretell_trainer.attendance import new_name, present, strike_off

QUEUES = (INGEST_QUEUE, TRAIN_QUEUE)

READY_WITHIN_S = 60.0
# Ingest finishes its message within this; a fit is given up, and begins again later.
STOP_WITHIN_S = 5.0
RESTART_PAUSE_S = 1.0
WATCH_EVERY_S = 0.2

_log = get_logger(__name__)


@dataclass(frozen=True)
class _Worker:
    name: str
    process: subprocess.Popen[bytes]


class WorkerProcesses:
    """One worker process for each queue; a context manager.

    Args:
        settings: what the workers are configured with; it travels in their environment.
        queues: which queues are worked on.
        program: the module to run, as ``python -m program QUEUE NAME PARENT``.
    """

    def __init__(
        self,
        settings: Settings,
        queues: Sequence[str] = QUEUES,
        program: str = "foretell_trainer.worker",
    ) -> None:
        self.settings = settings
        self.queues = tuple(queues)
        self._program = program
        self._workers: dict[str, _Worker] = {}
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Start the processes and wait until each consumes its queue.

        Raises:
            Unavailable: one of them did not get ready.
        """
        for queue in self.queues:
            self._workers[queue] = self._spawn(queue)
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise
        self._watcher.start()

    def stop(self) -> None:
        """Stop the processes. What they had begun goes back to its queue."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        for worker in self._workers.values():
            worker.process.terminate()
        deadline = time.monotonic() + STOP_WITHIN_S
        for worker in self._workers.values():
            try:
                worker.process.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                # Nothing is lost: the broker still has what was not acknowledged.
                _kill_group(worker.process)
                worker.process.wait()
            self._strike_off(worker)

    def pid(self, queue: str) -> int:
        """Return the process id of a queue's worker."""
        return self._workers[queue].process.pid

    def _spawn(self, queue: str) -> _Worker:
        name = new_name(queue)
        process = subprocess.Popen(
            [sys.executable, "-m", self._program, queue, name, str(os.getpid())],
            env={**os.environ, **self.settings.as_environment()},
            # Logs go to standard error; what Celery prints beside them is of no use to anybody.
            stdout=subprocess.DEVNULL,
            # Ctrl-C goes to the foreground group; whoever started us decides the order.
            start_new_session=True,
        )
        return _Worker(name, process)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        waiting = set(self.queues)
        with reaching_broker(), self._client() as client:
            while True:
                waiting -= {q for q in waiting if self._workers[q].name in present(client, q)}
                if not waiting:
                    return
                for queue in waiting:
                    code = self._workers[queue].process.poll()
                    if code is not None:
                        raise Unavailable(f"the {queue} worker", f"it ended with code {code}")
                if time.monotonic() > deadline:
                    why = f"not ready within {READY_WITHIN_S:g} s"
                    raise Unavailable(f"the {' and the '.join(sorted(waiting))} worker", why)
                time.sleep(0.05)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_EVERY_S):
            for queue, worker in list(self._workers.items()):
                code = worker.process.poll()
                if code is not None:
                    _log.error("worker died; starting it again", queue=queue, code=code)
                    self._strike_off(worker)
                    if self._stopping.wait(RESTART_PAUSE_S):
                        return
                    self._workers[queue] = self._spawn(queue)

    def _strike_off(self, worker: _Worker) -> None:
        """Let the next worker take over at once what this one, now dead, had taken."""
        with suppress(redis.RedisError), self._client() as client:
            strike_off(client, worker.name)

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self.settings.broker_url, socket_timeout=5)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
