"""Who may do what, and what the server refuses to start with."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from pathlib import Path

import grpc
import pytest

from foretell.client.channel import Stubs
from foretell.errors import InvalidInput, Unavailable
from foretell.settings import Settings
from foretell.v1 import model_pb2
from foretell_server.main import serve
from tests.integration.server.conftest import (
    NO_BROKER,
    WAIT_S,
    RunningServer,
    StartServer,
    toy_request,
)

OPENSSL = shutil.which("openssl") or ""
TOKEN = "correct horse battery staple"  # noqa: S105 -- opens nothing but this test's server


def cancel(server: RunningServer, token: str | None) -> grpc.StatusCode:
    """Call an admin method and return the status it ends with."""
    metadata = (("authorization", token),) if token is not None else ()
    request = model_pb2.CancelJobRequest(job_id="x")
    # Not through the shared stub: that one tries again when there is no broker.
    call = server.channel.unary_unary(
        "/foretell.v1.ModelService/CancelJob",
        request_serializer=model_pb2.CancelJobRequest.SerializeToString,
    )
    with pytest.raises(grpc.RpcError) as caught:
        call(request, metadata=metadata, timeout=WAIT_S)
    code: grpc.StatusCode = caught.value.code()
    return code


def test_admin_calls_want_the_token(start_server: StartServer, broker: str) -> None:
    """With a token set, admin calls without it or with a wrong one are UNAUTHENTICATED."""
    server = start_server(token=TOKEN, broker_url=broker)
    assert cancel(server, None) is grpc.StatusCode.UNAUTHENTICATED
    assert cancel(server, "Bearer wrong") is grpc.StatusCode.UNAUTHENTICATED
    assert cancel(server, TOKEN) is grpc.StatusCode.UNAUTHENTICATED
    assert cancel(server, f"Bearer {TOKEN}") is grpc.StatusCode.NOT_FOUND
    assert cancel(server, f"bearer {TOKEN}") is grpc.StatusCode.NOT_FOUND


def test_the_token_may_come_from_a_file(
    start_server: StartServer, broker: str, tmp_path: Path
) -> None:
    """The first line of token_file is the token."""
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\nnot this\n")
    server = start_server(token_file=path, broker_url=broker)
    assert cancel(server, None) is grpc.StatusCode.UNAUTHENTICATED
    assert cancel(server, f"Bearer {TOKEN}") is grpc.StatusCode.NOT_FOUND


def test_on_loopback_no_token_is_needed_unless_set(start_server: StartServer, broker: str) -> None:
    """Without a token this machine may make admin calls."""
    assert cancel(start_server(broker_url=broker), None) is grpc.StatusCode.NOT_FOUND


def test_beyond_loopback_admin_calls_need_a_token_to_exist(start_server: StartServer) -> None:
    """Listening to others without a token, nobody may make admin calls; forecasts are open."""
    server = start_server(host="0.0.0.0", insecure=True)  # noqa: S104 -- what is tested
    server.publish()
    assert cancel(server, None) is grpc.StatusCode.PERMISSION_DENIED
    assert cancel(server, "Bearer guess") is grpc.StatusCode.PERMISSION_DENIED
    assert server.predict().metrics


def settings(folder: Path, **changes: object) -> Settings:
    """Return settings with an empty registry."""
    given = {"registry": folder / "registry", "port": 0, "broker_url": NO_BROKER, **changes}
    return Settings(**given)  # type: ignore[arg-type]  # pydantic reads texts


def try_to_serve(chosen: Settings) -> None:
    """Serve; if that works against expectation, stop at once."""
    serve(chosen, on_ready=lambda _: signal.raise_signal(signal.SIGTERM))


def test_plain_text_beyond_loopback_is_refused(tmp_path: Path) -> None:
    """Bound to anything but loopback the server wants TLS or insecure, and says so."""
    with pytest.raises(InvalidInput, match="--insecure"):
        try_to_serve(settings(tmp_path, host="0.0.0.0"))  # noqa: S104 -- what is tested


@pytest.mark.parametrize("workers", [1, 2])
def test_taken_port_is_one_clear_line(tmp_path: Path, workers: int) -> None:
    """A port that another program listens on is refused, never shared in silence."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Unavailable) as caught:
            try_to_serve(settings(tmp_path, port=port, workers=workers))
    assert str(port) in caught.value.message
    assert "another program listens" in caught.value.message
    assert "\n" not in caught.value.message


def test_two_servers_on_one_port(tmp_path: Path, shared_server: RunningServer) -> None:
    """A second server on the port of a first one fails loudly."""
    with pytest.raises(Unavailable, match="another program listens"):
        try_to_serve(settings(tmp_path, port=shared_server.serving.port))


def test_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A token_file that cannot be read stops the start, and the message names it."""
    with pytest.raises(InvalidInput, match="token_file"):
        try_to_serve(settings(tmp_path, token_file=tmp_path / "nothing"))


def test_certificate_without_a_key_is_named(tmp_path: Path) -> None:
    """Half of what TLS needs stops the start, and the message names the other half."""
    certificate = tmp_path / "cert.pem"
    certificate.write_text("")
    with pytest.raises(InvalidInput, match="tls_key_file"):
        try_to_serve(settings(tmp_path, tls_cert_file=certificate))
    with pytest.raises(InvalidInput, match="tls_cert_file"):
        try_to_serve(settings(tmp_path, tls_key_file=certificate))


@pytest.mark.skipif(not OPENSSL, reason="makes its certificate with openssl")
def test_tls_is_served(start_server: StartServer, tmp_path: Path) -> None:
    """With a certificate and a key the server speaks TLS, and nothing else."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    server = start_server(tls_cert_file=certificate, tls_key_file=key)
    server.publish()
    credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
    target = f"localhost:{server.serving.port}"
    with grpc.secure_channel(target, credentials) as channel:
        assert Stubs(channel).prediction.Predict(toy_request(), timeout=WAIT_S).metrics
    call = server.channel.unary_unary("/foretell.v1.PredictionService/Predict")
    with pytest.raises(grpc.RpcError) as caught:
        call(b"", timeout=WAIT_S)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
