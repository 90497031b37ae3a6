"""The connections of this process's clients, and how they leave before it ends.

gRPC, told to stop, cancels calls that arrive in the same moment: those it has not handed out yet,
and those whose client has not heard that it stops. So nobody may be left who could call. First
the port is closed to new connections; then those that are open reach the age at which gRPC asks
them, in good order, to make their next call elsewhere. It alone knows when that is, so what is
done here is to wait for as long as it takes at most, or until all have gone.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from termios import TIOCOUTQ

AGES_DIFFER = 1.1
"""gRPC asks connections to leave within a tenth of the age that was set."""
_LOOK_EVERY_S = 0.05
_COUNT = struct.Struct("=i")
_SILENCE = struct.Struct("=44xI4xI")
"""Of Linux's tcp_info: for how many milliseconds no data were sent, and none received."""


async def all_leave(port: int, age_s: float, at_once: asyncio.Event) -> None:
    """Take no more connections, and wait until those that are open were asked to leave.

    `age_s` is the age at which that happens. Ends as well when `at_once` is set.
    """
    _stop_listening(port)
    ends = time.monotonic() + AGES_DIFFER * age_s + _LOOK_EVERY_S
    while time.monotonic() < ends:
        if not any(_port(found) == port and _peer_port(found) for _, found in _sockets()):
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(at_once.wait(), _LOOK_EVERY_S)
            return


class Connections:
    """What the kernel knows of a connection. Where it tells nothing, all was read long ago.

    Connections are named by their peer's port: of two with the same one, the last is meant.
    """

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def unread(self, port: int) -> int:
        """Return how many bytes were written that the peer's kernel has not taken yet."""
        with suppress(OSError), self._open(port) as found:
            return int(_COUNT.unpack(ioctl(found, TIOCOUTQ, bytes(_COUNT.size)))[0])
        return 0

    def silent_s(self, port: int) -> float:
        """Return for how long no data went either way."""
        with suppress(OSError, AttributeError, struct.error), self._open(port) as found:
            told = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SILENCE.size)
            return float(min(_SILENCE.unpack(told))) / 1000
        return math.inf

    def _open(self, port: int) -> socket.socket:
        """Return the socket of a connection once more; OSError if there is none."""
        with suppress(OSError):
            found = _again(self._numbers.get(port, -1))
            if _peer_port(found) == port:
                return found
            found.close()
        # All at once: to look through them for each of a thousand calls would take seconds.
        self._numbers = {_peer_port(found): number for number, found in _sockets()}
        return _again(self._numbers.get(port, -1))


def _stop_listening(port: int) -> None:
    """Close the port. gRPC has no call for this, and would complain of a socket that is gone.

    So one that nothing ever happens on takes its place, which gRPC closes in the end.
    """
    for number, found in _sockets():
        if _port(found) == port and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            with socket.socket() as idle:
                os.dup2(idle.fileno(), number, inheritable=False)


def _sockets() -> Iterator[tuple[int, socket.socket]]:
    """Yield the numbers of this process's sockets, and each once more, open until the next."""
    numbers: list[int] = []
    with suppress(OSError):  # a system that does not tell
        numbers = [int(entry.name) for entry in Path("/dev/fd").iterdir()]
    for number in numbers:
        with suppress(OSError), _again(number) as found:  # closed meanwhile, or no socket
            yield number, found


def _again(number: int) -> socket.socket:
    return socket.socket(fileno=os.dup(number))


def _port(found: socket.socket) -> int:
    """Return a socket's own port; 0 when it has none."""
    return _port_in(found.getsockname)


def _peer_port(found: socket.socket) -> int:
    """Return the port of a socket's peer; 0 when it has none."""
    return _port_in(found.getpeername)


def _port_in(name: Callable[[], object]) -> int:
    with suppress(OSError):
        address = name()
        return int(address[1]) if isinstance(address, tuple) else 0
    return 0
