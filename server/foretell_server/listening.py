"""Listening: the gRPC server's options, and its port."""

from __future__ import annotations

from pathlib import Path

import grpc

from foretell.errors import InvalidInput, Unavailable, Violation
from foretell.ports import why_not_bound
from foretell.settings import Settings

PING_TOLERANCE = 0.9
"""The share of `min_ping_interval_s` after which a ping is let pass already."""


def server_options(settings: Settings) -> list[tuple[str, int]]:
    """Return the channel arguments of the server."""
    options = [
        # On by default in gRPC: a second server on the port would take half of the calls in
        # silence. Only processes that are meant to share the port have it on.
        ("grpc.so_reuseport", int(settings.workers > 1)),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_concurrent_streams", settings.max_streams_per_connection),
        # gRPC has two limits, and turns away more and more of what lies between them by chance.
        ("grpc.max_metadata_size", settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", settings.max_metadata_bytes),
        # Idle schedulers keep their connections alive with pings; gRPC's default of five
        # minutes would end them with GOAWAY too_many_pings. Clocks differ and packets are
        # late: what is sent every 10 s arrives after 9.9 s now and then.
        (
            "grpc.http2.min_ping_interval_without_data_ms",
            _ms(settings.min_ping_interval_s * PING_TOLERANCE),
        ),
        ("grpc.keepalive_permit_without_calls", 1),
        # A peer that vanished without closing is noticed, and what it held is freed.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]
    age_s = connection_age_s(settings)
    if age_s is not None:
        options.append(("grpc.max_connection_age_ms", _ms(age_s)))
    if settings.max_connection_age_s is not None:
        # So that a load balancer in front gets to spread old connections over new servers.
        options.append(("grpc.max_connection_age_grace_ms", _ms(settings.drain_seconds)))
    return options


def connection_age_s(settings: Settings) -> float | None:
    """Return the age at which connections are asked to leave, in seconds; None if never.

    Of several processes each is renewed while the others serve, and then its clients have to go
    to these in time. Streams stay where they are until they end.
    """
    if settings.max_connection_age_s is None and settings.workers > 1:
        return settings.drain_seconds / 2 or None
    return settings.max_connection_age_s


def listen(server: grpc.aio.Server, settings: Settings) -> int:
    """Bind the server to its address and return the port.

    Raises Unavailable, saying why, when the port is taken or the address is not this machine's.
    """
    address = _address(settings)
    # Asked first, because gRPC would write to standard error what it thinks of the address.
    why = "" if settings.host.startswith("unix:") else why_not_bound(settings.host, settings.port)
    if why and settings.workers == 1:
        raise Unavailable(f"port {settings.port}", why)
    try:
        if not uses_tls(settings):
            port: int = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, _credentials(settings))
    except RuntimeError as error:
        raise Unavailable(f"port {settings.port}", str(error)) from error
    return port


def uses_tls(settings: Settings) -> bool:
    """Return whether TLS is meant; half of what it needs is a mistake that `listen` reports."""
    return settings.tls_cert_file is not None or settings.tls_key_file is not None


def _address(settings: Settings) -> str:
    if settings.host.startswith("unix:"):
        return settings.host
    host = f"[{settings.host}]" if ":" in settings.host.strip("[]") else settings.host
    return f"{host}:{settings.port}"


def _credentials(settings: Settings) -> grpc.ServerCredentials:
    certificate = _read("tls_cert_file", settings.tls_cert_file)
    key = _read("tls_key_file", settings.tls_key_file)
    return grpc.ssl_server_credentials([(key, certificate)])


def _read(name: str, path: Path | None) -> bytes:
    if path is None:
        raise InvalidInput([Violation(name, "", "TLS needs both tls_cert_file and tls_key_file")])
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise InvalidInput([Violation(name, str(path), message)]) from error


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
