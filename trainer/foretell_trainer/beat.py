"""Celery beat within a process: what is due is done here, in a thread, and no file is kept.

Beat's own scheduler sends a message for each entry that is due, and a worker does it. That would
be worse here: what is due is a look at a few keys of the broker, and as a message it would wait
behind a fit of hours or a backlog of observations, while beat sends the next one. (`expires` has
a worker drop what is too old; until one is free, Redis keeps it all.) Nor does the shelve file help
of beat's usual scheduler: when a run was last asked for, the jobs say, to all who look.
"""

# ruff: noqa: ANN401 -- Celery ships no types

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from celery import Celery
from celery.beat import Scheduler, Service
from celery.schedules import ParseException, crontab
from celery.schedules import schedule as every

from foretell.errors import InvalidInput, Violation

_WOKEN_EVERY_S = 0.25
"""How long beat sleeps at most, and so how long it takes to stop."""

When = Any
"""A schedule of Celery: `every(seconds)`, or a crontab."""

__all__ = ["Beat", "Entry", "crontab_of", "every"]


@dataclass(frozen=True)
class Entry:
    """What is done, and when; what it raises is logged, and it is done again in its time."""

    when: When
    action: Callable[[], object]


class Beat:
    """Does things in their time, in a thread, until it is stopped."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        app = Celery("foretell", set_as_current=False)
        app.conf.update(
            timezone="UTC",
            enable_utc=True,
            result_expires=None,  # else there is an entry that looks after results
            beat_schedule={
                name: {"task": name, "schedule": entry.when} for name, entry in entries.items()
            },
        )
        for name, entry in entries.items():
            app.task(_plain(entry.action), name=name)
        self._service = Service(
            app, max_interval=_WOKEN_EVERY_S, scheduler_cls=_Here, remote_control=False
        )
        # It would tell of each look, and that it sends what is done here.
        logging.getLogger("celery.beat").setLevel(logging.WARNING)
        self._thread = threading.Thread(target=self._service.start, daemon=True, name="beat")

    def start(self) -> None:
        """Begin; what is due every so often is done for the first time after that long."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, after what is being done; nothing is done any more then."""
        self._service.stop(wait=False)
        self._thread.join()


class _Here(Scheduler):  # type: ignore[misc]  # Celery has no types
    """Beat's scheduler in memory, which calls what is due instead of sending for it."""

    producer = None

    def apply_async(
        self,
        entry: Any,
        producer: Any = None,  # noqa: ARG002 -- Celery's signature
        advance: bool = True,  # noqa: ARG002 -- Celery's signature
        **_more: Any,
    ) -> None:
        """Do what an entry is about."""
        self.app.tasks[entry.task]()

    def close(self) -> None:
        """Leave nothing behind: nothing was connected or written."""


def crontab_of(text: str) -> When:
    """Return the schedule that five fields say: minute, hour, day, month, weekday, in UTC.

    Raises InvalidInput for what is no crontab.
    """
    fields = text.split()
    try:
        if len(fields) != 5:
            raise ValueError(f"{len(fields)} fields instead of 5")
        return crontab.from_string(" ".join(fields))
    except (ParseException, ValueError) as error:
        why = f"{error}; minute, hour, day of the month, month and weekday, as in '0 3 * * *'"
        raise InvalidInput([Violation("retrain_at", text, why)]) from error


def _plain(action: Callable[[], object]) -> Callable[[], None]:
    """Return a function: a task takes its name and its text from it, which methods keep."""

    def act() -> None:
        action()

    return act
