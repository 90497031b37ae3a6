"""Where the parts of shared work are: in the queue, with a worker, or answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis

from foretell.celery_settings import TRAIN_QUEUE
from foretell_trainer.attendance import ROLL
from foretell_trainer.crew.told import Answer, Keys
from foretell_trainer.transport import taken_key, unacked_key


@dataclass(frozen=True)
class Whereabouts:
    """Where parts are at one moment."""

    queued: Mapping[int, bytes]
    """The messages of those that wait, the last first."""
    known: frozenset[int]
    """Those that wait, that a worker has, or that are answered: all that are not lost."""


def whereabouts(client: redis.Redis, keys: Keys) -> Whereabouts:
    """Look where the parts of a work are, everywhere at the same moment."""
    roll = cast("dict[bytes, bytes]", client.hgetall(ROLL))
    workers = [name.decode() for name, queue in roll.items() if queue.decode() == TRAIN_QUEUE]
    with client.pipeline() as pipe:
        pipe.lrange(keys.answers, 0, -1)
        pipe.lrange(TRAIN_QUEUE, 0, -1)
        for worker in workers:
            pipe.lrange(taken_key(worker), 0, -1)
            pipe.hvals(unacked_key(worker))
        answers, waiting, *held = cast("list[list[bytes]]", pipe.execute())
    queued = {number: text for text in waiting for number in _numbers(text, keys.work)}
    mine = {number for texts in held for text in texts for number in _numbers(text, keys.work)}
    answered = {Answer.from_json(text).number for text in answers}
    return Whereabouts(queued, frozenset(queued) | mine | answered)


def _numbers(text: bytes, work: str) -> list[int]:
    """Return the number of the part that a message is about, if it is about one of this work."""
    # Messages of others may be large: they are not read.
    if f'"{work}-'.encode() not in text:
        return []
    message: Any = json.loads(text)
    # What a worker has not acknowledged is written down with where it came from.
    headers = (message[0] if isinstance(message, list) else message)["headers"]
    name, _, number = str(headers["id"]).rpartition("-")
    return [int(number)] if name == work else []
