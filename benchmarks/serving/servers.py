"""The processes that are measured: started, awaited, and their processor time read."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
import grpc
import psutil

from foretell.ports import free_port

STARTS_WITHIN_S = 120
NO_BROKER = "redis://127.0.0.1:1/0"


@dataclass(frozen=True)
class Server:
    """A process that listens."""

    name: str
    port: int
    process: psutil.Process

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """Return the processor time that it and its children have used so far."""
        family = [self.process, *self.process.children(recursive=True)]
        times = [member.cpu_times() for member in family]
        return sum(t.user + t.system for t in times)

    def channel(self) -> grpc.Channel:
        """Return a channel that takes messages of any size."""
        return grpc.insecure_channel(
            self.address,
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
            ],
        )


def foretell_variables(registry: Path, **settings: object) -> dict[str, str]:
    """Return the variables of a Foretell server that serves a registry."""
    given = {
        "registry": registry,
        "broker_url": NO_BROKER,
        "log_level": "error",
        "max_message_bytes": 64 * 1024 * 1024,
        "max_rows_per_call": 1_000_000,
        **settings,
    }
    return {f"FORETELL_{name.upper()}": str(value) for name, value in given.items()}


@contextmanager
def foretell(registry: Path, name: str = "foretell", **settings: object) -> Iterator[Server]:
    """Run a Foretell server."""
    port = free_port()
    variables = foretell_variables(registry, port=port, **settings)
    with running(name, port, [sys.executable, "-m", "foretell_server"], variables) as server:
        yield server


@contextmanager
def running(
    name: str, port: int, command: Sequence[str], variables: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a command until the port that it listens on is of no more use."""
    with tempfile.TemporaryFile() as log:
        environment = {**os.environ, **(variables or {})}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            if not _listens(port, process):
                log.seek(0)
                said = log.read().decode(errors="replace")[-2000:]
                raise click.ClickException(f"{name} does not serve. It said:\n{said}")
            yield Server(name, port, psutil.Process(process.pid))
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    give_up = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < give_up and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False
