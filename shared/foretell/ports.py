"""TCP ports: whether one can be bound, and one that is free."""

from __future__ import annotations

import errno
import socket


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def why_not_bound(host: str, port: int) -> str:
    """Return why an address cannot be bound, empty if it can be."""
    try:
        reserve(host, port, shared=False).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return f"another program listens on {host}:{port} already; choose another --port"
        return f"{host}:{port} cannot be bound: {error.strerror or error}"
    return ""


def reserve(host: str, port: int, *, shared: bool) -> socket.socket:
    """Return a socket that is bound to an address and does not listen.

    With `shared`, processes that share the port may bind it too. Raises OSError.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        option = socket.SO_REUSEPORT if shared else socket.SO_REUSEADDR
        bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
