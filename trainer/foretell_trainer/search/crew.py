"""Trials on the workers of the queue `train`: what is told to them, and what they answer.

All of it is JSON in the broker. A search describes its ground once, under a key that is gone when
the search is over; each trial is one Celery message, delivered again if its worker dies; results
come back through a list. The study itself stays with whoever searches. Workers on other machines,
which do not see the snapshot's file, find it in the broker as well.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import redis
from celery import Celery
from pydantic import TypeAdapter

from foretell.catalog import CatalogTable
from foretell.celery_settings import TRAIN_QUEUE, TRIAL_TASK
from foretell.errors import Cancelled, ForetellError
from foretell.logs import get_logger
from foretell.schema import Schema
from foretell_trainer.attendance import present
from foretell_trainer.engine.training_set import FitSettings
from foretell_trainer.readers import file_sha256
from foretell_trainer.search.trials import Bar, Ground, Result, Tuned, run_trial
from foretell_trainer.snapshot import Snapshot, read_snapshot

_ATTEMPTS = 2
"""How often a trial is begun whose worker dies; then its settings are taken to be to blame."""
_KEPT_S = 3600
_ASKED_EVERY_S = 0.5
CARRIED_MOST = 64 * 2**20
"""Bytes of a snapshot that the broker carries; a larger one is for workers that see its file."""

_CATALOGS = TypeAdapter(list[CatalogTable])

_log = get_logger(__name__)


class Crew:
    """The workers of the queue `train`, as a search sees them; made by `crew`."""

    def __init__(self, client: redis.Redis, app: Celery, search: str, *, counted: int) -> None:
        self._client = client
        self._app = app
        self._search = search
        self._counted = counted
        self._waiting: set[int] = set()

    def free(self) -> int:
        """Return how many workers are there that have no trial of this search."""
        workers = len(present(self._client, TRAIN_QUEUE)) - self._counted
        return workers - len(self._waiting)

    def send(self, number: int, tuned: Tuned, bar: Bar) -> None:
        """Put a trial into the queue."""
        for key in (_key(self._search), _snapshot_key(self._search)):
            self._client.expire(key, _KEPT_S)
        kwargs = {
            "search": self._search,
            "number": number,
            "tuned": dict(tuned),
            "bar": list(bar.values),
        }
        self._app.send_task(TRIAL_TASK, kwargs=kwargs, queue=TRAIN_QUEUE)
        self._waiting.add(number)

    def results(self, wait_s: float) -> Iterator[tuple[int, Result]]:
        """Yield what has ended, each trial once."""
        deadline = time.monotonic() + wait_s
        while self._waiting:
            left = deadline - time.monotonic()
            found: Any = (
                self._client.blpop([_results_key(self._search)], left)
                if left > 0
                else (None, self._client.lpop(_results_key(self._search)))
            )
            if not found or found[1] is None:
                return
            data = json.loads(found[1])
            if int(data["number"]) in self._waiting:
                self._waiting.remove(int(data["number"]))
                deadline = 0.0
                yield int(data["number"]), Result.from_json(data)

    def waiting(self) -> int:
        """Return how many trials may still end; none when all workers are gone."""
        return len(self._waiting) if len(present(self._client, TRAIN_QUEUE)) > self._counted else 0


@contextmanager
def crew(
    client: redis.Redis,
    app: Celery,
    schema: Schema,
    snapshot: Snapshot,
    catalogs: Sequence[CatalogTable],
    ground: Ground,
    *,
    is_worker: bool,
) -> Iterator[Crew]:
    """Describe a search to the workers, until it is over.

    They read the snapshot by its path, or, where they do not see it, from the broker, if it is
    not larger than `CARRIED_MOST`. `is_worker` says whether who searches is one of them, and busy
    with that.
    """
    search = secrets.token_hex(8)
    told = {
        "schema": schema.model_dump(mode="json"),
        # Of the file: rows that are held out are not in it, and it goes by the name of the whole.
        "snapshot": {
            **asdict(snapshot),
            "path": str(snapshot.path),
            "sha256": file_sha256(snapshot.path),
        },
        "catalogs": _CATALOGS.dump_python(list(catalogs), mode="json"),
        "settings": asdict(ground.settings),
        "fingerprint": ground.fingerprint,
    }
    if snapshot.path.stat().st_size <= CARRIED_MOST:
        client.set(_snapshot_key(search), snapshot.path.read_bytes(), ex=_KEPT_S)
    client.set(_key(search), json.dumps(told, default=_plain), ex=_KEPT_S)
    try:
        yield Crew(client, app, search, counted=int(is_worker))
    finally:
        # A broker that is gone has no searches either.
        with suppress(redis.RedisError):
            keys = (_key, _snapshot_key, _results_key, _attempts_key)
            client.delete(*(key(search) for key in keys))


class Trials:
    """Runs the trials that others search with; keeps the ground of the last search."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._ground: tuple[str, Ground] | None = None

    def run(self, search: str, number: int, tuned: Tuned, bar: Sequence[float | None]) -> None:
        """Run a trial and answer; do nothing when its search is over."""
        told: Any = self._client.get(_key(search))
        if told is None:
            _log.info("trial of a search that is over", search=search, number=number)
            return
        result = self._result(search, number, json.loads(told), tuned, Bar(tuple(bar)))
        if result is None:
            return
        answer = json.dumps({"number": number, **result.to_json()})
        with self._client.pipeline() as pipe:
            pipe.rpush(_results_key(search), answer)
            pipe.expire(_results_key(search), _KEPT_S)
            pipe.execute()

    def _result(
        self, search: str, number: int, told: Mapping[str, Any], tuned: Tuned, bar: Bar
    ) -> Result | None:
        attempts = int(self._client.hincrby(_attempts_key(search), str(number), 1))
        self._client.expire(_attempts_key(search), _KEPT_S)
        if attempts > _ATTEMPTS:
            return Result((), failure=f"its worker died {_ATTEMPTS} times")
        try:
            ground = self._ground_of(search, told)
            return run_trial(ground, tuned, bar, self._is_over(search))
        except Cancelled:
            return None
        except (ForetellError, OSError, ValueError) as error:
            _log.warning("trial failed", search=search, number=number, error=str(error))
            return Result((), failure=str(error))

    def _ground_of(self, search: str, told: Mapping[str, Any]) -> Ground:
        if self._ground is None or self._ground[0] != search:
            with self._snapshot(search, **told["snapshot"]) as path:
                self._ground = (search, _described(told, path))
        return self._ground[1]

    @contextmanager
    def _snapshot(self, search: str, path: str, sha256: str, **_more: Any) -> Iterator[Path]:  # noqa: ANN401
        """Yield where the snapshot is: its own file, or a copy of what the broker carries."""
        own = Path(path)
        if own.exists() and file_sha256(own) == sha256:
            yield own
            return
        carried = cast("bytes | None", self._client.get(_snapshot_key(search)))
        if carried is None:
            raise ValueError(f"{path} is not here as the search has it, and too large to be sent")
        with TemporaryDirectory(prefix="foretell-") as folder:
            copy = Path(folder) / own.name
            copy.write_bytes(carried)
            yield copy

    def _is_over(self, search: str) -> Callable[[], bool]:
        asked_at = 0.0
        over = False

        def is_over() -> bool:
            nonlocal asked_at, over
            if time.monotonic() - asked_at > _ASKED_EVERY_S:
                asked_at = time.monotonic()
                with suppress(redis.RedisError):
                    over = not self._client.exists(_key(search))
            return over

        return is_over


def _described(told: Mapping[str, Any], path: Path) -> Ground:
    """Prepare the ground that a search told of; ValueError when it comes out otherwise here."""
    schema = Schema.model_validate(told["schema"])
    catalogs = _CATALOGS.validate_python(told["catalogs"])
    ground = Ground.of(
        schema, read_snapshot(path, schema), catalogs, FitSettings(**told["settings"])
    )
    if ground.fingerprint != told["fingerprint"]:
        raise ValueError("this worker prepares the rows otherwise: its libraries may differ")
    return ground


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} is not JSON")


def _key(search: str) -> str:
    return f"foretell:search:{search}"


def _snapshot_key(search: str) -> str:
    return f"foretell:search:{search}:snapshot"


def _results_key(search: str) -> str:
    return f"foretell:search:{search}:results"


def _attempts_key(search: str) -> str:
    return f"foretell:search:{search}:attempts"
