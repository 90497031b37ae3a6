"""Micro-batches: rows that wait at the same time go through the graph together.

A run of the graph costs nearly as much for one row as for ten. So a row is run when somebody waits
for its answer: those of a stream come in while the answers before them are written. And when
several calls are on their way, the first waits for the others: as long as the loop has something
else to do, a moment longer if there are fewer than before, and never longer than some milliseconds.
Whether any will come is learned from what happened before: on an idle server a row is run at once,
in the pass of the loop that brought it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from foretell.encoding import EncodedRow
from foretell.predictor import Predictor, RowOutputs

MOST_ROWS = 64
"""More than this in one run would keep the event loop from everybody else."""
LONGEST_WAIT_S = 0.01
"""How long the first of a batch waits at most, while calls go on coming in and answers out."""
LONGEST_WAIT_RUNS = 25
"""The same in runs of one row: where these are short there is less to be saved by waiting."""
LONGEST_IDLE_S = 75e-6
"""How long a batch holds up a loop that has nothing else to do; less where a run takes less."""
ENOUGH_IDLE_S = 20e-6
"""The same for a batch that has as many rows as the one before."""
LARGEST_DOUBT = 64
"""Of so many rows that came alone, one waits to see whether that has changed."""
USUAL_BATCHES = 8
"""Of so many batches, one waits as if it had fewer rows than the one before."""


_A = TypeVar("_A")


class _Waiting(NamedTuple):
    predictor: Predictor
    row: EncodedRow
    read: Callable[[RowOutputs], Any]
    answer: asyncio.Future[Any]


class RowBatcher:
    """Collects rows and runs them. One per process, used on the event loop."""

    __slots__ = (
        "_alone_s",
        "_began",
        "_doubt",
        "_has_run",
        "_idle_s",
        "_last",
        "_needed",
        "_pass_s",
        "_patient",
        "_run_s",
        "_skip",
        "_unread",
        "_until_probe",
        "_usual",
        "_waiting",
    )

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        # What will ask for further rows, right before they are run.
        self._unread: list[Callable[[], object]] = []
        self._began = self._last = self._idle_s = 0.0
        # Whether a pass of the loop is going to look at what waits.
        self._needed = False
        self._patient = False
        # Whether a row has been run alone in this pass of the loop.
        self._has_run = False
        # How many rows the batch before had.
        self._usual = MOST_ROWS
        self._until_probe = USUAL_BATCHES
        # How many batches are not waited for before the next that is: 0 once waiting has paid,
        # twice as many each time that it has not.
        self._doubt = self._skip = LARGEST_DOUBT
        # What a run of one row takes: idling for as long as that at most doubles its latency.
        self._run_s = LONGEST_IDLE_S
        self._alone_s = LONGEST_IDLE_S
        # What a pass of the loop takes in which nothing happens.
        self._pass_s = LONGEST_IDLE_S

    @property
    def shares(self) -> bool:
        """Whether a row that comes now is likely to share its run."""
        return self._skip == 0 or bool(self._waiting or self._unread)

    def alone(self, predictor: Predictor, row: EncodedRow) -> RowOutputs | None:
        """Return the graph's outputs for a row if nobody is likely to share its run.

        None if it has to be asked for with `ask`, which also says what is wrong with a row that
        fails.
        """
        if self.shares:
            return None
        if self._has_run:  # and this row was there already: others may be, too
            self._skip = 0
            return None
        began = time.perf_counter()
        try:
            (outputs,) = predictor.run_rows((row,))
        except Exception:  # it is run again by `ask`, and fails there for its caller to hear
            return None
        self._ran_alone(began)
        self._skip -= 1
        self._has_run = True
        asyncio.get_running_loop().call_soon(self._next_pass)
        return outputs

    def _next_pass(self) -> None:
        self._has_run = False

    def ask(
        self, predictor: Predictor, row: EncodedRow, read: Callable[[RowOutputs], _A]
    ) -> asyncio.Future[_A]:
        """Return what will hold the answer about a row, some time after `need`.

        `read` makes it from the graph's outputs, and may not fail. It is called for all rows of
        a run one after the other: between other things it takes four times as long, because
        neither what it does nor what it needs is in the processor's caches then.
        """
        answer: asyncio.Future[_A] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(predictor, row, read, answer))
        self._idle_s = 0.0
        if len(self._waiting) >= MOST_ROWS:
            self._learn(MOST_ROWS)
            self._flush()
        return answer

    def later(self, read: Callable[[], object]) -> None:
        """Have a row asked for, by `read`, right before it is run, which is as soon as `need` says.

        For what `ask` says of its `read`: rows are read one after the other, too. It may not fail.
        """
        self._unread.append(read)
        self._idle_s = 0.0
        if self._count() >= MOST_ROWS:
            self._learn(MOST_ROWS)
            self._flush()
        else:
            self.need()

    def need(self) -> None:
        """Run what waits soon: somebody can do nothing before."""
        if not self._needed and self._count():
            self._needed = True
            self._began = self._last = time.perf_counter()
            self._idle_s = 0.0
            self._patient = self._skip == 0
            # At the end of this pass of the loop: others that came in it are there then.
            loop = asyncio.get_running_loop()
            loop.call_soon(self._pass, loop)

    def _pass(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run what waits, unless there is reason to wait for another pass of the loop."""
        if self._patient and self._count() and self._more_may_come():
            loop.call_soon(self._pass, loop)
            return
        self._needed = False
        if self._count():
            self._learn(self._count())
            self._flush()

    def _count(self) -> int:
        return len(self._waiting) + len(self._unread)

    def _more_may_come(self) -> bool:
        now = time.perf_counter()
        took, self._last = now - self._last, now
        # The fastest pass there was is an empty one; slowly forgotten, should all get slower.
        self._pass_s = min(1.01 * self._pass_s, took)
        if took > 2 * self._pass_s:
            self._idle_s = 0.0  # the loop was busy: calls come in or answers go out
        else:
            self._idle_s += took
        enough = self._count() >= self._usual and self._until_probe and not self._doubt
        idle_s = ENOUGH_IDLE_S if enough else self._run_s
        longest_s = min(LONGEST_WAIT_S, LONGEST_WAIT_RUNS * self._alone_s)
        return self._idle_s < idle_s and now - self._began < longest_s

    def _learn(self, rows: int) -> None:
        """Learn from a batch of so many rows whether, and for how many, to wait."""
        if rows > 1:
            self._doubt = self._skip = 0
            self._usual = rows
            self._until_probe = (self._until_probe or USUAL_BATCHES) - 1
        elif self._patient:
            self._doubt = min(2 * self._doubt + 1, LARGEST_DOUBT)
            self._skip = self._doubt
        else:
            self._skip = max(self._skip - 1, 0)

    def _flush(self) -> None:
        unread, self._unread = self._unread, []
        for read in unread:
            read()
        # Rows whose caller has gone meanwhile are not run.
        waiting = [one for one in self._waiting if not one.answer.done()]
        self._waiting = []
        by_predictor: dict[int, list[_Waiting]] = {}
        for one in waiting:
            by_predictor.setdefault(id(one.predictor), []).append(one)
        began = time.perf_counter()
        for together in by_predictor.values():
            _run(together)
        if len(waiting) == 1:
            self._ran_alone(began)

    def _ran_alone(self, began: float) -> None:
        took = time.perf_counter() - began
        self._alone_s += (took - self._alone_s) / 16
        self._run_s = min(self._alone_s, LONGEST_IDLE_S)


def _run(waiting: Sequence[_Waiting]) -> None:
    predictor = waiting[0].predictor
    try:
        outputs = predictor.run_rows([one.row for one in waiting])
    except Exception as error:
        if len(waiting) == 1:
            waiting[0].answer.set_exception(error)
            return
        for one in waiting:  # each that fails hears of it, and the others are answered
            _run([one])
        return
    for one, output in zip(waiting, outputs, strict=True):
        one.answer.set_result(one.read(output))
