"""Which machine has the store: whoever ingests says so, and jobs wait for a worker that sees it.

Workers of the queue `train` on other machines share broker and registry, and help with trials.
"""

from __future__ import annotations

import socket
from pathlib import Path

import redis

_OWNER = "foretell:store"


def claim(client: redis.Redis, folder: Path) -> None:
    """Say that the store is in this folder of this machine."""
    client.set(_OWNER, _place(folder))


def is_elsewhere(client: redis.Redis, store: Path) -> bool:
    """Return whether the store is with others: its file is not here, and somebody else has one."""
    owner = client.get(_OWNER)
    return not store.exists() and owner is not None and owner != _place(store.parent)


def _place(folder: Path) -> bytes:
    return f"{socket.gethostname()}:{folder.resolve()}".encode()
