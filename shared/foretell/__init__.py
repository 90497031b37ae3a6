"""Foretell: how long will it run, how much will it take, on which hardware, and how sure.

`Client` and `AsyncClient` talk to a Foretell server. They are imported when they are first
used, so that the server and the trainer need not load a client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foretell.client import AsyncClient, Client

__version__ = "0.1.0"

__all__ = ["AsyncClient", "Client", "__version__"]


def __getattr__(name: str) -> object:
    if name in ("AsyncClient", "Client"):
        from foretell import client  # noqa: PLC0415 -- on first use, see above

        return getattr(client, name)
    raise AttributeError(f"module 'foretell' has no attribute {name!r}")
