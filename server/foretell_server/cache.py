"""The cache of answers to requests that repeat: bytes in, bytes out, nothing parsed between.

Schedulers ask the same thing again and again. The key is the serialized request; that an answer
is by the bundle that answers now, with its corrections as they are now, is known by its `Life`.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from foretell_server.telemetry.meters import Meters, Reading

LARGEST = 8192
"""Bytes of the largest request and answer, together, that are kept."""


class Life:
    """Whether answers of one bundle, with one state of its corrections, are still given."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = False


class Kept(NamedTuple):
    """An answer, without what is new each time."""

    body: bytes
    workload: str
    bundle_version: str
    life: Life
    correction: int = 0
    """The number of the corrections that were applied."""


class AnswerCache:
    """The answers that were used last, so many at most. Used on the event loop."""

    __slots__ = ("_entries", "_most", "hits", "misses")

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[bytes, Kept] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def show(self, meters: Meters) -> None:
        """Have the cache on the metrics page."""
        meters.show(
            Reading(
                "foretell_cache_hits_total",
                "Requests that were answered from the cache.",
                lambda: self.hits,
                counts_up=True,
            ),
            Reading(
                "foretell_cache_misses_total",
                "Requests that the cache had no answer to.",
                lambda: self.misses,
                counts_up=True,
            ),
            Reading("foretell_cache_entries", "Answers in the cache.", lambda: len(self)),
        )

    def get(self, request: bytes) -> Kept | None:
        """Return the answer to a request, None when there is none that still holds."""
        kept = self._entries.get(request)
        if kept is None:
            self.misses += 1
            return None
        if kept.life.over:
            del self._entries[request]
            self.misses += 1
            return None
        self._entries.move_to_end(request)
        self.hits += 1
        return kept

    def put(self, request: bytes, kept: Kept) -> None:
        """Keep an answer, unless it is large; the one that was not used for longest goes."""
        if self._most == 0 or kept.life.over or len(request) + len(kept.body) > LARGEST:
            return
        self._entries[request] = kept
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)
