"""The broker's client for asyncio. Its package is imported when it is first needed.

That takes a tenth of the time in which a server starts, and no answer about a row needs it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from foretell.errors import InvalidInput, Violation
from foretell.jobs import CONNECTION

SCHEMES = ("redis", "rediss", "unix")


class BrokerClient:
    """What talks to the broker derives from this."""

    def __init__(self, url: str) -> None:
        """Take note of a URL; InvalidInput for one that is none of a broker."""
        check_url(url)
        self._url = url

    @cached_property
    def _redis(self) -> Any:  # noqa: ANN401 -- the package types replies as awaited or not
        from redis.asyncio import Redis  # noqa: PLC0415 -- see above, and clients have none

        return Redis.from_url(self._url, **CONNECTION)

    async def close(self) -> None:
        """Give the connections back."""
        if "_redis" in vars(self):
            await self._redis.aclose()


def import_client() -> None:
    """Import what a client needs, for a thread that has the time."""
    import redis.asyncio  # noqa: F401, PLC0415 -- see above


def check_url(url: str) -> None:
    """Raise InvalidInput unless a URL may be one of a broker."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in SCHEMES and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        allowed = f"a URL of Redis or Valkey, by {', '.join(SCHEMES)}"
        raise InvalidInput([Violation("broker_url", url, f"{url!r} is not {allowed}")])
