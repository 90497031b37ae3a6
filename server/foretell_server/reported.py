"""Which answers' outcomes were reported already: remembered in the broker, for all servers of it.

What the trainer has stored is not asked: it may be busy, or behind. The newest few are remembered,
for whoever reports twice does so soon.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from foretell.errors import Unavailable
from foretell.jobs import CONNECTION, reaching_broker

REMEMBERED = 50_000
"""So many outcomes of a workload, the newest."""
KEPT_S = 7 * 24 * 3600
ANSWER_WITHIN_S = 2.0

_NOTE = """
local new = {}
for i = 4, #ARGV do new[i - 3] = redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[i]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[3])
return new
"""


class Reported:
    """Remembers the ids of outcomes. Blocking: runs in a thread."""

    def __init__(self, broker_url: str) -> None:
        self._broker_url = broker_url

    @cached_property
    def _redis(self) -> Any:  # noqa: ANN401 -- the package types replies as awaited or not
        from redis import Redis  # noqa: PLC0415 -- with the first outcome, as the outbox does

        return Redis.from_url(self._broker_url, **{**CONNECTION, "socket_timeout": ANSWER_WITHIN_S})

    def note(self, workload: str, ids: Sequence[str]) -> list[bool]:
        """Remember outcomes that the broker holds; return which of them were known before.

        None is, when the broker does not say: whether they are is told as a courtesy.
        """
        args = (str(time.time()), str(REMEMBERED), str(KEPT_S), *ids)
        try:
            with reaching_broker():
                new = self._redis.eval(_NOTE, 1, f"foretell:reported:{workload}", *args)
        except Unavailable:
            return [False] * len(ids)
        return [not one for one in new]

    def close(self) -> None:
        """Give the connections back."""
        if "_redis" in vars(self):
            self._redis.close()
