"""The gathering: the metrics of several processes as one page, in the process above them.

The process above asks each serving process through a pipe; in there a thread answers. What a
process that died had counted stays counted, so that no counter ever goes down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing.connection import Connection

from foretell_server.telemetry.families import (
    Family,
    Sample,
    counters_of,
    from_json,
    merged,
    to_json,
)

ANSWER_WITHIN_S = 2.0
"""A process that takes longer is shown as it was when it was asked before."""

_QUESTION_BYTES = 8


class Gathering:
    """Asks the processes that joined. May be used from several threads."""

    def __init__(self) -> None:
        self._links: dict[int, Connection] = {}
        self._last: dict[int, list[Family]] = {}
        self._gone: list[Family] = []
        self._deaths = 0
        self._asked = 0
        self._lock = threading.Lock()

    def join(self, process: int, link: Connection) -> None:
        """Begin to ask the process at a place."""
        with self._lock:
            self._links[process] = link

    def leave(self, process: int, *, died: bool = True) -> None:
        """Keep what a process had counted when it was asked last: now, unless it has died."""
        with self._lock:
            if not died:
                self._ask()
            link = self._links.pop(process, None)
            if link is not None:
                link.close()
            counted = counters_of(self._last.pop(process, []))
            self._gone = merged([self._gone, counted])
            self._deaths += died

    def families(self) -> list[Family]:
        """Return what all processes count, together."""
        with self._lock:
            self._ask()
            deaths = Family(
                "foretell_process_deaths_total",
                "counter",
                "Serving processes that died and were started again.",
                (Sample((), self._deaths),),
            )
            return merged([*self._last.values(), self._gone, [deaths]])

    def _ask(self) -> None:
        self._asked += 1
        question = self._asked.to_bytes(_QUESTION_BYTES)
        for link in self._links.values():
            with suppress(OSError):  # it has died; whoever watches it will say so
                link.send_bytes(question)
        until = time.monotonic() + ANSWER_WITHIN_S
        for process, link in self._links.items():
            with suppress(OSError, EOFError):
                while link.poll(max(0.0, until - time.monotonic())):
                    answer = link.recv_bytes()
                    # Else it is late, and answers what was asked before.
                    if answer.startswith(question):
                        self._last[process] = from_json(answer[_QUESTION_BYTES:])
                        break


def answer_questions(link: Connection, collect: Callable[[], Iterable[Family]]) -> None:
    """Start the thread that answers the process above for as long as that lives."""

    def answer() -> None:
        with suppress(EOFError, OSError):
            while True:
                question = link.recv_bytes()
                link.send_bytes(question + to_json(collect()))

    threading.Thread(target=answer, name="metrics-link", daemon=True).start()
