"""The connections of this process's clients, and how they leave before it ends.

gRPC, told to stop, cancels calls that arrive in the same moment: those it has not handed out yet,
and those whose client has not heard that it stops. So nobody may be left who could call. First
the port is closed to new connections; then those that are open reach the age at which gRPC asks
them, in good order, to make their next call elsewhere. It alone knows when that is, so what is
done here is to wait for as long as it takes at most, or until all have gone.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

AGES_DIFFER = 1.1
"""gRPC asks connections to leave within a tenth of the age that was set."""
_LOOK_EVERY_S = 0.05


async def all_leave(port: int, age_s: float, at_once: asyncio.Event) -> None:
    """Take no more connections, and wait until those that are open were asked to leave.

    `age_s` is the age at which that happens. Ends as well when `at_once` is set.
    """
    _stop_listening(port)
    ends = time.monotonic() + AGES_DIFFER * age_s + _LOOK_EVERY_S
    while any(True for _ in _sockets(port, listening=False)) and time.monotonic() < ends:
        with suppress(TimeoutError):
            await asyncio.wait_for(at_once.wait(), _LOOK_EVERY_S)
            return


def _stop_listening(port: int) -> None:
    """Close the port. gRPC has no call for this, and would complain of a socket that is gone.

    So one that nothing ever happens on takes its place, which gRPC closes in the end.
    """
    for number in _sockets(port, listening=True):
        with socket.socket() as idle:
            os.dup2(idle.fileno(), number, inheritable=False)


def _sockets(port: int, *, listening: bool) -> Iterator[int]:
    """Yield this process's sockets on a port: those that listen, or those with a peer."""
    for number in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
        with suppress(OSError):  # closed meanwhile, no socket, or not connected
            with closing(socket.socket(fileno=os.dup(number))) as found:
                mine = found.getsockname()
                listens = bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
                if not isinstance(mine, tuple) or mine[1] != port or listens != listening:
                    continue
                if not listening:
                    found.getpeername()
            yield number
