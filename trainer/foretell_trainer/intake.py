"""The intake: what the worker of the queue `ingest` does with a message."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

import redis

from foretell.errors import ForetellError
from foretell.logs import get_logger
from foretell.parcel import unpack
from foretell.registry import Registry
from foretell.schema import Schema
from foretell_trainer.appending import Appended
from foretell_trainer.batches import Batch
from foretell_trainer.messages import check_messages, reason_of, reject_messages
from foretell_trainer.store import Store
from foretell_trainer.transport import poison_key

SCHEMA_KEPT_S = 2.0
BURIED_AT_ONCE = 1000

_log = get_logger(__name__)


class Intake:
    """Stores what messages bring, and what is wrong with them."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._schemas: dict[str, tuple[float, Schema]] = {}

    def ingest(self, workload: object, observations: object) -> Appended:
        """Store the observations of one message; whatever cannot be stored is kept as rejected.

        Raises:
            Unavailable: the store is held by somebody else; nothing was stored.
            duckdb.Error: the store cannot be written, as when the disk is full.
        """
        batch = self._checked(str(workload), _opened(observations))
        appended = self._store.append(batch)
        _log.info(
            "observations stored",
            workload=str(workload),
            stored=appended.stored,
            duplicates=appended.duplicates,
            rejected=len(batch.rejected),
        )
        return appended

    def bury(self, client: redis.Redis, queue: str) -> None:
        """Move a queue's unreadable messages to the rejected observations."""
        key = poison_key(queue)
        texts = cast("list[bytes]", client.lrange(key, -BURIED_AT_ONCE, -1))
        if texts:
            contents = [text.decode(errors="replace") for text in texts]
            self._store.append(reject_messages("", contents, f"a message in {queue} is unreadable"))
            # From the same end: what came in meanwhile stays.
            client.ltrim(key, 0, -len(texts) - 1)

    def _checked(self, workload: str, observations: Sequence[object] | bytes) -> Batch:
        try:
            return check_messages(self._schema(workload), observations)
        except ForetellError as error:
            return reject_messages(workload, observations, reason_of(error))
        except Exception as error:
            # A fault of ours must not send a message round for ever, nor lose it.
            _log.exception("observations could not be checked", workload=workload)
            return reject_messages(workload, observations, f"INTERNAL: {error!r}")

    def _schema(self, workload: str) -> Schema:
        now = time.monotonic()
        read_at, schema = self._schemas.get(workload, (0.0, None))
        if schema is None or now - read_at > SCHEMA_KEPT_S:
            schema = self._registry.schema(workload)
            self._schemas[workload] = (now, schema)
        return schema


def _opened(observations: object) -> Sequence[object] | bytes:
    """Return a message's observations: a list, the text in a parcel, or what else it may be."""
    if isinstance(observations, list):
        return observations
    if isinstance(observations, str):
        with suppress(ValueError):
            return unpack(observations)
    return [observations]
