"""Sharing work with the workers of a broker's queue `train`: the side of who asks."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import redis
from celery import Celery, group
from kombu.exceptions import OperationalError

from foretell.celery_settings import PART_TASK, TRAIN_QUEUE, make_app
from foretell.logs import get_logger
from foretell_trainer.attendance import present
from foretell_trainer.crew.others import MOST_BEGUN, Nobody, Others
from foretell_trainer.crew.told import Answer, Keys, Part, Told
from foretell_trainer.crew.whereabouts import Whereabouts, whereabouts

KEPT_S = 120
"""For so long workers go on with parts that nobody renews: who asked is dead."""
RENEWED_EVERY_S = 20.0
ANSWER_TIMEOUT_S = 30.0
CARRIED_MOST = 64 * 2**20
"""Bytes of a snapshot that the broker carries; a larger one is for workers that see its file."""

_log = get_logger(__name__)


@dataclass(frozen=True)
class Help:
    """The broker whose workers of the queue `train` take part."""

    broker_url: str
    is_worker: bool
    """Whether who asks is one of them, and busy with that."""


class Crew:
    """The workers of the queue `train` at one piece of work; made by `crew`.

    A broker that goes away ends it: all parts that were sent and not answered are to be done
    here then.
    """

    def __init__(self, client: redis.Redis, app: Celery, told: Told, *, counted: int) -> None:
        self.keys = Keys(secrets.token_hex(8))
        self._client = client
        self._app = app
        self._told = told
        self._counted = counted
        self._is_told = False
        self._sent: dict[int, Part] = {}
        self._given_up: list[Answer] = []
        self._missing: frozenset[int] = frozenset()
        self._is_alone = False

    def free(self) -> int:
        """Return how many workers are there that have no part of this work; they may be busy."""
        with self._reaching():
            return len(present(self._client, TRAIN_QUEUE)) - self._counted - len(self._sent)
        return 0

    def send(self, parts: Mapping[int, Part]) -> None:
        """Put parts into the queue, as one Celery group."""
        self._sent.update(parts)
        with self._reaching():
            self._tell()
            group([self._message(number, part) for number, part in parts.items()]).apply_async()

    def take(self) -> tuple[int, Part] | None:
        """Take back a part that waits in the queue, or one that got lost; None if all are begun."""
        if self._is_alone:
            return self._sent.popitem() if self._sent else None
        with self._reaching():
            while self._sent:
                number = self._free_part()
                if number is None:
                    return None
                begun = int(self._client.hincrby(self.keys.begun, str(number), 1))
                part = self._sent.pop(number)
                if begun <= MOST_BEGUN:
                    return number, part
                self._given_up.append(given_up(number))
        return self.take() if self._is_alone else None

    def answers(self, wait_s: float) -> Iterator[Answer]:
        """Yield what came of parts, each once."""
        yield from self._given_up
        self._given_up.clear()
        while self._sent and not self._is_alone:
            found: Any = None
            with self._reaching():
                # A wait of 0 is one without end for the broker.
                found = self._client.blpop([self.keys.answers], wait_s or 0.001)
            if found is None:
                return
            answer = Answer.from_json(found[1])
            wait_s = 0.0
            if self._sent.pop(answer.number, None) is not None:
                yield answer

    def waiting(self) -> int:
        """Return how many parts were sent, and neither answered nor taken back."""
        return len(self._sent) + len(self._given_up)

    def renew(self, over: threading.Event) -> None:
        """Tell the workers until it is over that somebody waits for them."""
        while not over.wait(RENEWED_EVERY_S):
            with suppress(redis.RedisError):  # who shares the work notices, and says so
                for key in self.keys.all:
                    self._client.expire(key, KEPT_S)

    def leave(self) -> None:
        """Take everything about the work out of the broker; workers at its parts stop soon."""
        # A broker that is gone has no work either.
        with suppress(redis.RedisError):
            if self._is_told:
                for message in self._whereabouts().queued.values():
                    self._client.lrem(TRAIN_QUEUE, 1, cast("str", message))
                self._client.delete(*self.keys.all)

    def _tell(self) -> None:
        if self._is_told:
            return
        snapshot = self._told.snapshot.path
        if snapshot.stat().st_size <= CARRIED_MOST:
            self._client.set(self.keys.snapshot, snapshot.read_bytes(), ex=KEPT_S)
        self._client.set(self.keys.told, self._told.to_json(), ex=KEPT_S)
        self._is_told = True

    def _message(self, number: int, part: Part) -> Any:  # noqa: ANN401 -- Celery ships no types
        work = self.keys.work
        kwargs = {"work": work, "number": number, "part": dict(part)}
        task_id = f"{work}-{number}"
        return self._app.signature(PART_TASK, kwargs=kwargs, queue=TRAIN_QUEUE, task_id=task_id)

    def _free_part(self) -> int | None:
        """Take a part's message from the queue, or find a part that has none; its number."""
        found = self._whereabouts()
        # The last: workers take the first.
        for number, message in found.queued.items():
            if number in self._sent and self._client.lrem(TRAIN_QUEUE, 1, cast("str", message)):
                return number
        missing = frozenset(self._sent) - found.known
        # Twice: a worker that entered the roll meanwhile may have it.
        lost, self._missing = missing & self._missing, missing
        if not lost:
            return None
        _log.warning("part lost; done here", work=self.keys.work, number=min(lost))
        return min(lost)

    def _whereabouts(self) -> Whereabouts:
        return whereabouts(self._client, self.keys)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, OperationalError) as error:
            _log.warning("no help any more", work=self.keys.work, error=str(error))
            self._is_alone = True


def given_up(number: int, worker: str = "") -> Answer:
    """Return the answer for a part that takes its workers with it."""
    why = f"its worker died {MOST_BEGUN} times"
    return Answer(number, worker, failure=why, is_given_up=True)


@contextmanager
def crew(client: redis.Redis, app: Celery, told: Told, *, is_worker: bool) -> Iterator[Crew]:
    """Share work with the workers until it is over.

    They read the snapshot by its path, or, where they do not see it, from the broker, if it is
    not larger than `CARRIED_MOST`. `is_worker` says whether who asks is one of them, and busy
    with that.
    """
    found = Crew(client, app, told, counted=int(is_worker))
    over = threading.Event()
    renewing = threading.Thread(target=found.renew, args=(over,), daemon=True, name="crew")
    renewing.start()
    try:
        yield found
    finally:
        over.set()
        renewing.join()
        found.leave()


@contextmanager
def helped(by: Help | None, told: Told) -> Iterator[Others]:
    """Share work with the workers of a broker until it is over, or with nobody."""
    with ExitStack() as stack:
        if by is None:
            yield Nobody()
            return
        app = stack.enter_context(make_app(by.broker_url, answer_timeout_s=ANSWER_TIMEOUT_S))
        client = stack.enter_context(
            redis.Redis.from_url(by.broker_url, socket_timeout=ANSWER_TIMEOUT_S)
        )
        yield stack.enter_context(crew(client, app, told, is_worker=by.is_worker))
