"""Starting runs in processes of their own, through one process that has the engine loaded."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

from foretell.errors import Unavailable

_CHILD = Path(__file__).with_name("child.py")


class Launcher:
    """The parent's end of `child.py`: use it in a `with`, behind which no process is left.

    Raises `Unavailable` when wasmtime is not installed or the process breaks down.
    """

    def __init__(self) -> None:
        site = _folder_of_wasmtime()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by __exit__)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_CHILD), str(theirs.fileno()), site],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(theirs.fileno(),),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # It ends when the socket closes, and with it every process that was not reaped.
        self._socket.close()
        self._process.wait()
        self._errors.close()

    def start(self, request: Mapping[str, object], descriptors: list[int]) -> int:
        """Starts a run with these as its standard input, output and error; its process id."""
        return self._ask(request, descriptors)

    def end(self, process: int) -> int:
        """Kills a run unless it is over, and gives its wait status. Once per process."""
        # Until it is reaped no other process can have its id, so this hits nobody else.
        os.kill(process, signal.SIGKILL)
        return self._ask({"reap": process}, [])

    def _ask(self, request: Mapping[str, object], descriptors: list[int]) -> int:
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], descriptors)
            answer = self._socket.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        if not answer:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            why = said[-1].strip() if said else "it ended by itself"
            raise Unavailable("the process that starts measured runs", why)
        return int(answer)


@lru_cache(maxsize=1)
def _folder_of_wasmtime() -> str:
    found = importlib.util.find_spec("wasmtime")
    if found is None or found.origin is None:
        raise Unavailable("wasmtime", "it is not installed; pip install 'foretell[measure]'")
    return str(Path(found.origin).parent.parent)
