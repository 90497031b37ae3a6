"""How the client reaches the server: address, TLS, token, retries, limits."""

from __future__ import annotations

import json
import math
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from foretell.client.patience import PATIENCE_S
from foretell.errors import InvalidInput, Violation
from foretell.v1 import (
    decision_pb2_grpc,
    model_pb2_grpc,
    monitoring_pb2_grpc,
    observation_pb2_grpc,
    prediction_pb2_grpc,
)

DEFAULT_ADDRESS = "localhost:50051"
TIMEOUT_S = 10.0
STREAM_TIMEOUT_S = 3600.0

# Repeating a call is safe: forecasts change nothing, observations carry their id and training
# runs a request id. gRPC allows five attempts at most; these wait about 1.5 s together.
_RETRY = {
    "maxAttempts": 5,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_SERVICES = (
    "foretell.v1.PredictionService",
    "foretell.v1.ObservationService",
    "foretell.v1.ModelService",
    "foretell.v1.DecisionService",
    "foretell.v1.MonitoringService",
    "grpc.health.v1.Health",
)
_SERVICE_CONFIG = json.dumps(
    {"methodConfig": [{"name": [{"service": s} for s in _SERVICES], "retryPolicy": _RETRY}]}
)


@dataclass(frozen=True, slots=True)
class Tls:
    """Which certificates to trust and to show; all are PEM files."""

    ca_file: Path | str | None = None
    """Authorities to trust; the system's without it."""
    certificate_file: Path | str | None = None
    """The client's own certificate, for servers that ask for one; wants `key_file`."""
    key_file: Path | str | None = None
    """The private key of `certificate_file`."""
    server_name: str | None = None
    """The name that the server's certificate is for, if it is not the address."""

    def credentials(self) -> grpc.ChannelCredentials:
        """Read the files; InvalidInput names the one that cannot be read."""
        authorities = self.ca_file or ssl.get_default_verify_paths().cafile
        return grpc.ssl_channel_credentials(
            root_certificates=_read("tls.ca_file", authorities),
            private_key=_read("tls.key_file", self.key_file),
            certificate_chain=_read("tls.certificate_file", self.certificate_file),
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the server is and how to speak to it.

    `timeout` is in seconds and bounds each call, its retries included; `stream_timeout` bounds
    streams and watches as a whole. `patience`, in seconds too, is how long calls and watches go
    on trying to reach a server that is away. A token is only sent over TLS or to this machine,
    unless `insecure` says otherwise.
    """

    address: str = DEFAULT_ADDRESS
    token: str | None = field(default=None, repr=False)
    tls: Tls | bool = False
    insecure: bool = False
    timeout: float = TIMEOUT_S
    stream_timeout: float = STREAM_TIMEOUT_S
    patience: float = PATIENCE_S
    max_message_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.token and not self.tls and not self.insecure and not is_loopback(self.address):
            why = (
                f"would travel unencrypted to {self.address}; "
                "use tls=True, or insecure=True if that is meant"
            )
            raise InvalidInput([Violation("token", "…", why)])

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each call carries."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """The TLS credentials; None without TLS."""
        if not self.tls:
            return None
        return (self.tls if isinstance(self.tls, Tls) else Tls()).credentials()

    @property
    def options(self) -> list[tuple[str, str | int]]:
        """The channel arguments."""
        options: list[tuple[str, str | int]] = [
            ("grpc.service_config", _SERVICE_CONFIG),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
            # Violations travel in the trailing metadata, of which gRPC takes 8 KiB by itself.
            ("grpc.max_metadata_size", 64 * 1024),
            # A server that restarts is found again at once, not after gRPC's default of 20 s.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            # A peer that vanished without closing is noticed while a call waits for it.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ]
        if isinstance(self.tls, Tls) and self.tls.server_name:
            options.append(("grpc.ssl_target_name_override", self.tls.server_name))
        return options

    def seconds(self, timeout: float | None) -> float | None:
        """Return a call's deadline in seconds: None is the default, infinity is none at all."""
        return _finite(self.timeout if timeout is None else timeout)

    def stream_seconds(self, timeout: float | None) -> float | None:
        """Return the deadline of a stream or a watch, by the same rule."""
        return _finite(self.stream_timeout if timeout is None else timeout)


class Stubs:
    """The services of one channel, synchronous or asynchronous."""

    def __init__(self, channel: Any) -> None:  # noqa: ANN401  (grpc has no types)
        # Nor have the stubs that it generates.
        self.prediction: Any = prediction_pb2_grpc.PredictionServiceStub(channel)  # type: ignore[no-untyped-call]
        self.observation: Any = observation_pb2_grpc.ObservationServiceStub(channel)  # type: ignore[no-untyped-call]
        self.model: Any = model_pb2_grpc.ModelServiceStub(channel)  # type: ignore[no-untyped-call]
        self.decision: Any = decision_pb2_grpc.DecisionServiceStub(channel)  # type: ignore[no-untyped-call]
        self.monitoring: Any = monitoring_pb2_grpc.MonitoringServiceStub(channel)  # type: ignore[no-untyped-call]
        # The messages of grpc.health.v1 look the same on the wire as these well-known ones: one
        # string in field 1, one enum in field 1. That saves clients a package.
        self.health: Any = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=Int32Value.FromString,
        )


def is_loopback(address: str) -> bool:
    """Return whether a gRPC address is on this machine: localhost, 127.0.0.0/8, ::1, a socket."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    target = address.rsplit("/", 1)[-1].removeprefix("ipv4:").removeprefix("ipv6:")
    host = target if target.count(":") > 1 and "]" not in target else target.rsplit(":", 1)[0]
    host = host.strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _finite(seconds: float) -> float | None:
    return None if math.isinf(seconds) else seconds


def _read(name: str, path: Path | str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        raise InvalidInput([Violation(name, str(path), why)]) from error
