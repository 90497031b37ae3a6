"""One run in a process of its own, seen from the parent. See `child.py` for the other side."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from foretell.measure.child import peak_memory_kb
from foretell.measure.configuration import Configuration
from foretell.measure.launcher import Launcher
from foretell.measure.measurements import Measurement
from foretell.measure.tasks import compile_text

MEMORY_LIMIT_BYTES = 1 << 30
"""A module that asks for more linear memory than this is refused: outcome `out_of_memory`."""

STARTUP_LIMIT_S = 60.0


@dataclass(slots=True, eq=False)
class Process:
    """A started run. Whoever holds it must call `end` or `release`, however it went."""

    configuration: Configuration
    timeout_s: float
    launcher: Launcher
    process: int
    output: int
    """The descriptor that becomes readable when there is something to `advance` on."""
    errors: IO[bytes]
    began: datetime
    deadline: float
    """When to call `expire`, on the clock of `time.monotonic`."""
    compile_s: float | None = None
    pace_s: float | None = None
    running_since: float | None = None
    unread: bytes = b""
    status: int | None = None

    @classmethod
    def start(cls, launcher: Launcher, configuration: Configuration, timeout_s: float) -> Process:
        """Starts a process that compiles the module, runs it once and ends."""
        binary = compile_text(configuration.task.path)
        output, theirs = os.pipe()
        errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `end`)
        try:
            # A file, not a pipe: however long the module is, nobody waits for the reader.
            with tempfile.TemporaryFile() as module:
                module.write(binary)
                module.seek(0)
                descriptors = [module.fileno(), theirs, errors.fileno()]
                process = launcher.start(_request(configuration), descriptors)
        except BaseException:
            os.close(output)
            errors.close()
            raise
        finally:
            os.close(theirs)
        os.set_blocking(output, False)
        return cls(
            configuration, timeout_s, launcher, process, output, errors,
            began=datetime.now(UTC), deadline=time.monotonic() + STARTUP_LIMIT_S,
        )  # fmt: skip

    def fileno(self) -> int:
        """The descriptor of the output, for selectors."""
        return self.output

    def advance(self) -> Measurement | None:
        """Reads what the process has said; the measurement once the run is over."""
        try:
            said = os.read(self.output, 65_536)
        except BlockingIOError:
            return None
        self.unread += said
        while b"\n" in self.unread:
            line, _, self.unread = self.unread.partition(b"\n")
            message = json.loads(line)
            if self.running_since is not None:
                return self._ended(message)
            self.compile_s, self.pace_s = message["compile_s"], message["pace_s"]
            self.running_since = time.monotonic()
            self.deadline = self.running_since + self.timeout_s
        return None if said else self._crashed()

    def expire(self) -> Measurement:
        """Says what is known of a run whose time is up: it takes longer than that."""
        if self.running_since is None:
            return self._measurement("failed", reason=f"did not start in {STARTUP_LIMIT_S:g} s")
        reached_s = time.monotonic() - self.running_since
        bounds = _known(duration_s=reached_s, memory_kb=peak_memory_kb(self.process))
        return self._measurement(
            "timeout", lower_bounds=bounds, reason=f"killed after {self.timeout_s:g} s"
        )

    def release(self) -> None:
        """Gives back what was opened for the run, and leaves the process to the launcher."""
        os.close(self.output)
        self.errors.close()

    def end(self) -> None:
        """Releases the run and makes sure that its process is gone."""
        self.release()
        self._reap()

    def _reap(self) -> int:
        if self.status is None:
            self.status = self.launcher.end(self.process)
        return self.status

    def _ended(self, message: dict[str, Any]) -> Measurement:
        if "outcome" not in message:
            return self._measurement("completed", **message)
        outcome, reason = message["outcome"], message["reason"]
        refused = outcome == "out_of_memory"
        bounds = _known(memory_kb=message["memory_kb"]) if refused else {}
        return self._measurement(outcome, reason=reason, lower_bounds=bounds)

    def _crashed(self) -> Measurement:
        code = os.waitstatus_to_exitcode(self._reap())
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace").strip().splitlines()
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        last = f": {said[-1].strip()}" if said else ""
        return self._measurement("failed", reason=f"the process ended with {how}{last}")

    def _measurement(self, outcome: str, **found: Any) -> Measurement:  # noqa: ANN401
        return Measurement(
            id=str(uuid.uuid4()),
            time=self.began,
            function=self.configuration.task.name,
            node=self.configuration.node.name,
            argument=self.configuration.argument,
            outcome=outcome,
            compile_s=self.compile_s,
            pace_s=self.pace_s,
            **found,
        )


def _known(**bounds: float | None) -> dict[str, float]:
    """Return those that are more than nothing: no run is known to have taken 0 of anything."""
    return {name: value for name, value in bounds.items() if value}


def _request(configuration: Configuration) -> dict[str, object]:
    node = configuration.node
    return {
        "argument": configuration.argument,
        "optimized": node.optimized,
        "fuel": node.fuel,
        "epoch": node.epoch,
        "explicit_bounds": node.explicit_bounds,
        "memory_limit_bytes": MEMORY_LIMIT_BYTES,
    }
