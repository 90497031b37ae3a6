"""Several serving processes on one port, restarted when they die, and one by one on SIGHUP.

The processes are spawned, never forked: a fork of a process that has used gRPC hangs. This
process itself only waits. It holds the port, so that nobody else takes it between two lives.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from foretell import logs
from foretell.errors import ForetellError, Unavailable
from foretell.ports import reserve, why_not_bound
from foretell.settings import Settings
from foretell_server.main import OnReady, Place, run_process, showing
from foretell_server.telemetry.gathering import Gathering

_log = logs.get_logger(__name__)

SETTLED_S = 10.0
"""A process that lived for so long is restarted at once; others wait longer each time."""
LONGEST_PAUSE_S = 10.0
READY_WITHIN_S = 60.0

_STOP, _RENEW = b".", b"R"

_spawn = multiprocessing.get_context("spawn")


@dataclass
class _Worker:
    """One place among the processes, and who fills it."""

    number: int
    process: SpawnProcess | None = None
    began: float = 0.0
    failures: int = 0
    start_at: float = field(default_factory=time.monotonic)


def supervise(settings: Settings, on_ready: OnReady | None = None) -> None:
    """Run `settings.workers` processes until a signal; pass it on, and wait for them to drain.

    Raises Unavailable when the port is taken or when a process does not even start.
    """
    why = why_not_bound(settings.host, settings.port)
    if why:
        raise Unavailable(f"port {settings.port}", why)
    with closing(reserve(settings.host, settings.port, shared=True)) as held, _signals() as wakeup:
        port: int = held.getsockname()[1]
        mine = settings.model_copy(update={"port": port})
        workers = [_Worker(number) for number in range(settings.workers)]
        gathering = Gathering()
        try:
            pipes = [_start(worker, mine, gathering) for worker in workers]
            for pipe, worker in zip(pipes, workers, strict=True):
                _await_ready(pipe, worker)
            _log.info("all processes serve", host=settings.host, port=port, workers=len(workers))
            with showing(settings, gathering.families):
                if on_ready is not None:
                    on_ready(port)
                _watch(workers, mine, wakeup, gathering)
        finally:
            _stop(workers, wakeup)


def _watch(workers: list[_Worker], settings: Settings, wakeup: int, gathering: Gathering) -> None:
    """Restart processes that die, until a signal arrives."""
    while True:
        now = time.monotonic()
        for worker in workers:
            if worker.process is None and worker.start_at <= now:
                _start(worker, settings, gathering).close()
        due = [worker.start_at - now for worker in workers if worker.process is None]
        alive = {w.process.sentinel: w for w in workers if w.process is not None}
        for ready in wait([*alive, wakeup], min(due, default=None)):
            if ready == wakeup:
                if os.read(wakeup, 1) == _STOP:
                    return
                _renew(workers, settings, gathering)
                break
            if isinstance(ready, int):
                _note_death(alive[ready])
                gathering.leave(alive[ready].number)


def _renew(workers: list[_Worker], settings: Settings, gathering: Gathering) -> None:
    """Replace the processes one by one: each new one serves before its old one is asked to end.

    When a new process does not start, the old ones go on, and the log says so.
    """
    for worker in workers:
        old, began = worker.process, worker.began
        gathering.leave(worker.number, died=old is None)
        try:
            _await_ready(_start(worker, settings, gathering), worker)
        except Unavailable as error:
            _log.error("processes are not renewed", error=error.message)
            if worker.process is not None:
                worker.process.kill()
                worker.process.join()
            worker.process, worker.began = old, began
            return
        if old is not None:
            old.terminate()
            old.join()
    _log.info("all processes are renewed", workers=len(workers))


def _note_death(worker: _Worker) -> None:
    process = worker.process
    if process is None:
        return
    process.join()
    now = time.monotonic()
    worker.failures = 0 if now - worker.began > SETTLED_S else worker.failures + 1
    pause = min(0.1 * 2**worker.failures, LONGEST_PAUSE_S) if worker.failures else 0.0
    worker.process, worker.start_at = None, now + pause
    _log.error(
        "a process died and is started again",
        process=worker.number,
        exit_code=process.exitcode,
        pause_s=pause,
    )


def _start(worker: _Worker, settings: Settings, gathering: Gathering) -> Connection:
    """Spawn a worker's process; return the end of the pipe on which it says that it serves."""
    ours, theirs = _spawn.Pipe(duplex=False)
    link, their_link = _spawn.Pipe()
    process = _spawn.Process(
        target=_work,
        args=(settings, worker.number, theirs, their_link),
        name=f"foretell-server-{worker.number}",
    )
    process.start()
    theirs.close()
    their_link.close()
    gathering.join(worker.number, link)
    worker.process, worker.began = process, time.monotonic()
    return ours


def _await_ready(pipe: Connection, worker: _Worker) -> None:
    with pipe:
        try:
            failure = pipe.recv() if pipe.poll(READY_WITHIN_S) else "it takes too long"
        except EOFError:
            failure = "it died; its log says why"
    if failure:
        raise Unavailable(f"server process {worker.number}", failure)


def _stop(workers: list[_Worker], wakeup: int) -> None:
    """Let all processes drain; each further signal is passed on, and stops them at once."""
    alive = [worker.process for worker in workers if worker.process is not None]
    for process in alive:
        process.terminate()
    while alive:
        asked = wakeup in wait([*(process.sentinel for process in alive), wakeup])
        if asked and os.read(wakeup, 1) == _STOP:
            for process in alive:
                process.terminate()
        alive = [process for process in alive if process.is_alive()]


def _work(settings: Settings, number: int, ready: Connection, link: Connection) -> None:
    """Run in the spawned process."""
    logs.configure(settings.log_level, settings.log_format)
    parent = multiprocessing.parent_process()
    place = Place(number, parent.sentinel, link) if parent else None
    try:
        run_process(settings, lambda _: _tell(ready, ""), place=place)
    except ForetellError as error:
        _tell(ready, error.message)
        _log.error("did not start", error=error.message)
        raise SystemExit(1) from None


def _tell(pipe: Connection, text: str) -> None:
    try:
        pipe.send(text)
        pipe.close()
    except OSError:
        pass  # nobody waits for a process that was started again


@contextmanager
def _signals() -> Iterator[int]:
    """Yield a file descriptor that has a byte for each signal: to stop, or to renew."""
    receiving, sending = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    meant = {signal.SIGTERM: _STOP, signal.SIGINT: _STOP, signal.SIGHUP: _RENEW}

    def note(number: int, _frame: Any) -> None:  # noqa: ANN401
        os.write(sending, meant[signal.Signals(number)])

    before = {number: signal.signal(number, note) for number in meant}
    try:
        yield receiving
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(receiving)
        os.close(sending)
