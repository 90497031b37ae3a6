"""Doing parts of the work of others: the side of a worker of the queue `train`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, cast

import redis

from foretell.errors import Cancelled, ForetellError
from foretell.logs import get_logger
from foretell_trainer.crew.others import MOST_BEGUN
from foretell_trainer.crew.sharing import KEPT_S, given_up
from foretell_trainer.crew.told import Answer, Keys, Kind, Part, Told
from foretell_trainer.folds import prepare_folds
from foretell_trainer.readers import file_sha256
from foretell_trainer.search.parts import prepare_trials
from foretell_trainer.snapshot import Snapshot

_ASKED_EVERY_S = 0.5

_log = get_logger(__name__)


class Prepared(Protocol):
    """Work whose rows are read: any part of it can be done."""

    @property
    def fingerprint(self) -> str:
        """Return what is equal wherever the same was found in the same rows."""

    def do(self, part: Part, should_stop: Callable[[], bool]) -> Part:
        """Do a part; raise Cancelled when `should_stop` says so."""


_KINDS: Mapping[Kind, Callable[[Told], Prepared]] = {
    "folds": prepare_folds,
    "trials": prepare_trials,
}


class Parts:
    """Does the parts that others share; keeps what it prepared for the last of them."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._prepared: tuple[str, Prepared] | None = None

    def run(self, work: str, number: int, part: Part, worker: str) -> None:
        """Do a part and answer; do nothing when the work is over."""
        keys = Keys(work)
        told: Any = self._client.get(keys.told)
        if told is None:
            _log.info("part of work that is over", work=work, number=number)
            return
        answer = self._answer(keys, told, number, part, worker)
        if answer is None:
            return
        with self._client.pipeline() as pipe:
            pipe.rpush(keys.answers, answer.to_json())
            pipe.expire(keys.answers, KEPT_S)
            pipe.execute()
        _log.info("part answered", work=work, number=number, failure=answer.failure)

    def _answer(
        self, keys: Keys, told: bytes, number: int, part: Part, worker: str
    ) -> Answer | None:
        begun = int(self._client.hincrby(keys.begun, str(number), 1))
        self._client.expire(keys.begun, KEPT_S)
        if begun > MOST_BEGUN:
            return given_up(number, worker)
        try:
            prepared = self._prepare(keys, told)
            return Answer(number, worker, prepared.do(part, self._is_over(keys)))
        except Cancelled:
            return None
        except (ForetellError, OSError, ValueError) as error:
            _log.warning("part failed", work=keys.work, number=number, error=str(error))
            return Answer(number, worker, failure=str(error))

    def _prepare(self, keys: Keys, text: bytes) -> Prepared:
        if self._prepared is None or self._prepared[0] != keys.work:
            told = Told.from_json(text)
            with self._snapshot(keys, told.snapshot) as path:
                here = replace(told, snapshot=replace(told.snapshot, path=path))
                prepared = _KINDS[told.kind](here)
            if prepared.fingerprint != told.fingerprint:
                raise ValueError(
                    "this worker prepares the rows otherwise: its libraries may differ"
                )
            self._prepared = (keys.work, prepared)
        return self._prepared[1]

    @contextmanager
    def _snapshot(self, keys: Keys, told: Snapshot) -> Iterator[Path]:
        """Yield where the snapshot is: its own file, or a copy of what the broker carries."""
        if told.path.exists() and file_sha256(told.path) == told.sha256:
            yield told.path
            return
        carried = cast("bytes | None", self._client.get(keys.snapshot))
        if carried is None:
            raise ValueError(f"{told.path} is not here as told, and too large to be sent")
        with TemporaryDirectory(prefix="foretell-") as folder:
            copy = Path(folder) / told.path.name
            copy.write_bytes(carried)
            yield copy

    def _is_over(self, keys: Keys) -> Callable[[], bool]:
        asked_at = 0.0
        over = False

        def is_over() -> bool:
            nonlocal asked_at, over
            if time.monotonic() - asked_at > _ASKED_EVERY_S:
                asked_at = time.monotonic()
                with suppress(redis.RedisError):
                    over = not self._client.exists(keys.told)
            return over

        return is_over
