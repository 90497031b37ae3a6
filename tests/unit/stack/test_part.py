"""One part of the stack, as a real process."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from foretell.errors import Unavailable
from foretell.stack.part import Part

pytestmark = pytest.mark.process


def test_a_part_that_does_not_start_says_why(tmp_path: Path) -> None:
    """The reason is the last line of its log, without a word about logs."""
    part = Part("server", ["serve", "--port", "70000"], os.environ, tmp_path / "server.log")
    part.start()
    with pytest.raises(Unavailable, match="the server is unavailable: port: 70000"):
        part.wait_ready(60)
    assert part.stop(5)


def test_a_part_that_names_what_is_missing_is_quoted(tmp_path: Path) -> None:
    """A taken port is unavailable, once: the server is not said to be unavailable for it too."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = ["serve", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--registry", str(tmp_path / "registry")]
        part = Part("server", command, os.environ, tmp_path / "server.log")
        part.start()
        with pytest.raises(Unavailable) as caught:
            part.wait_ready(60)
        part.stop(5)
    assert caught.value.message.startswith(f"port {port} is unavailable: another program")


def test_a_part_that_dies_young_waits_longer_each_time(tmp_path: Path) -> None:
    """What cannot run is not started again without end at full speed."""
    part = Part("server", ["serve", "--port", "70000"], os.environ, tmp_path / "server.log")
    part.start()
    pauses = [part.pause_s() for _ in range(10)]
    part.stop(5)
    assert pauses == sorted(pauses)
    assert pauses[-1] == 10.0
