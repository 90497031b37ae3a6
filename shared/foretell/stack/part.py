"""One part of the stack: a process that says when it is ready, and is ended gently."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from foretell.errors import Unavailable

SETTLED_S = 10.0
"""A part that lived for so long is restarted at once; others wait longer each time."""
LONGEST_PAUSE_S = 10.0


class Part:
    """A `foretell` command that runs as a child, with its log in a file.

    Args:
        name: what it is called in messages.
        command: the arguments after `foretell`.
        environment: all its variables; secrets go this way.
        log: file that its standard output and error are appended to.
    """

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        self._command = tuple(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._failures = 0
        self._ready: int | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 when it does not run."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start the process; `wait_ready` waits for it."""
        self._close_pipe()
        ours, theirs = os.pipe()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "foretell.cli", *self._command),
                    *("--ready-fd", str(theirs), "--parent", str(os.getpid())),
                ],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs,),
                # Ctrl-C goes to the foreground group; who stops first is not left to chance.
                start_new_session=True,
            )
        os.close(theirs)
        self._ready, self._began = ours, time.monotonic()

    def wait_ready(self, within_s: float) -> str:
        """Wait until the process says that it is ready, and return what it said.

        Raises Unavailable, with the last line of the log, when it ends or takes too long.
        """
        if self._ready is None:
            raise Unavailable(self.name, "it is not started")
        readable = _said_something(self._ready, within_s)
        said = os.read(self._ready, 100).decode() if readable else ""
        self._close_pipe()
        if said:
            return said
        why = self.last_words() if readable else f"not ready within {within_s:g} s"
        if " is unavailable: " in why:
            # The part has said already what it misses; that is not the part itself.
            what, _, why = why.partition(" is unavailable: ")
            raise Unavailable(what, why)
        raise Unavailable(f"the {self.name}", why)

    def became_ready(self) -> bool:
        """Return whether a process that `wait_ready` did not wait for is ready; once."""
        if self._ready is None or not _said_something(self._ready, 0.0):
            return False
        said = os.read(self._ready, 100)
        self._close_pipe()
        return bool(said)

    def ended(self) -> int | None:
        """Return the exit code of a process that has ended, None while it runs."""
        return self._process.poll() if self._process is not None else None

    def pause_s(self) -> float:
        """Return how long to wait before it is started again; longer each time it dies young."""
        lived_s = time.monotonic() - self._began
        self._failures = 0 if lived_s > SETTLED_S else self._failures + 1
        return min(0.1 * 2.0**self._failures, LONGEST_PAUSE_S) if self._failures else 0.0

    def stop(self, within_s: float) -> bool:
        """End the process with SIGTERM, and kill it when it takes longer; return which it was."""
        process = self._process
        self._close_pipe()
        if process is None:
            return True
        process.terminate()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False
        finally:
            # Until here `hurry` may still reach it.
            self._process = None
        return True

    def hurry(self) -> None:
        """Send SIGTERM once more: a server that drains then cuts off what is in flight."""
        if self._process is not None:
            self._process.terminate()

    def last_words(self) -> str:
        """Return the last line of the log, without what the log adds to it."""
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            return "it ended"
        last = next((line for line in reversed(lines) if line.strip()), "it ended")
        return last.removeprefix("error: ")

    def _close_pipe(self) -> None:
        if self._ready is not None:
            os.close(self._ready)
            self._ready = None


def _said_something(pipe: int, within_s: float) -> bool:
    """Wait for something to read, or the end; `select` takes no descriptor above 1023."""
    look = select.poll()
    look.register(pipe, select.POLLIN)
    return bool(look.poll(1000.0 * within_s))
