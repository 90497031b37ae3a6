"""One run in a process of its own, seen from the parent. See `child.py` for the other side."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from foretell.errors import Unavailable
from foretell.measure.child import peak_memory_kb
from foretell.measure.configuration import Configuration
from foretell.measure.measurements import Measurement
from foretell.measure.tasks import compile_text

MEMORY_LIMIT_BYTES = 1 << 30
"""A module that asks for more linear memory than this is refused: outcome `out_of_memory`."""

STARTUP_LIMIT_S = 60.0
_CHILD = Path(__file__).with_name("child.py")


@dataclass(slots=True, eq=False)
class Process:
    """A started run. Whoever holds it must call `end`, however it went."""

    configuration: Configuration
    timeout_s: float
    child: subprocess.Popen[bytes]
    errors: IO[bytes]
    began: datetime
    deadline: float
    """When to call `expire`, on the clock of `time.monotonic`."""
    compile_s: float | None = None
    running_since: float | None = None
    output: bytes = field(default=b"")

    @classmethod
    def start(cls, configuration: Configuration, timeout_s: float) -> Process:
        """Starts a Python that compiles the module, runs it once and ends.

        Raises `Unavailable` when wasmtime is not installed.
        """
        binary = compile_text(configuration.task.path)
        arguments = [sys.executable, "-I", "-S", str(_CHILD), _spec(configuration, timeout_s)]
        errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `end`)
        # Files, not pipes: however long a module or a crash report is, nobody waits for a reader.
        with tempfile.TemporaryFile() as module:
            module.write(binary)
            module.seek(0)
            child = subprocess.Popen(arguments, stdin=module, stdout=subprocess.PIPE, stderr=errors)
        os.set_blocking(_stdout(child).fileno(), False)
        deadline = time.monotonic() + STARTUP_LIMIT_S
        return cls(configuration, timeout_s, child, errors, datetime.now(UTC), deadline)

    def fileno(self) -> int:
        """The descriptor that becomes readable when there is something to `advance` on."""
        return _stdout(self.child).fileno()

    def advance(self) -> Measurement | None:
        """Reads what the process has said; the measurement once the run is over."""
        try:
            said = os.read(self.fileno(), 65_536)
        except BlockingIOError:
            return None
        self.output += said
        while b"\n" in self.output:
            line, _, self.output = self.output.partition(b"\n")
            message = json.loads(line)
            if self.running_since is not None:
                return self._ended(message)
            self.compile_s = message["compile_s"]
            self.running_since = time.monotonic()
            self.deadline = self.running_since + self.timeout_s
        return None if said else self._crashed()

    def expire(self) -> Measurement:
        """Ends a run whose time is up. Its duration is only known to be longer than that."""
        if self.running_since is None:
            return self._measurement("failed", reason=f"did not start in {STARTUP_LIMIT_S:g} s")
        bounds = {"duration_s": time.monotonic() - self.running_since}
        if memory_kb := peak_memory_kb(self.child.pid):
            bounds["memory_kb"] = memory_kb
        return self._measurement(
            "timeout", lower_bounds=bounds, reason=f"killed after {self.timeout_s:g} s"
        )

    def end(self) -> None:
        """Makes sure that the process is gone and gives back what was opened for it."""
        self.child.kill()
        _stdout(self.child).close()
        self.child.wait()
        self.errors.close()

    def _ended(self, message: dict[str, Any]) -> Measurement:
        if "outcome" not in message:
            return self._measurement("completed", **message)
        outcome, reason = message["outcome"], message["reason"]
        refused = outcome == "out_of_memory"
        bounds = {"memory_kb": message["memory_kb"]} if refused else {}
        return self._measurement(outcome, reason=reason, lower_bounds=bounds)

    def _crashed(self) -> Measurement:
        status = self.child.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        said = f": {lines[-1].strip()}" if lines else ""
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return self._measurement("failed", reason=f"the process ended with {how}{said}")

    def _measurement(self, outcome: str, **found: Any) -> Measurement:  # noqa: ANN401
        return Measurement(
            id=str(uuid.uuid4()),
            time=self.began,
            function=self.configuration.task.name,
            node=self.configuration.node.name,
            argument=self.configuration.argument,
            outcome=outcome,
            compile_s=self.compile_s,
            **found,
        )


def _spec(configuration: Configuration, timeout_s: float) -> str:
    node = configuration.node
    return json.dumps(
        {
            "site": _folder_of_wasmtime(),
            "argument": configuration.argument,
            "optimized": node.optimized,
            "fuel": node.fuel,
            "epoch": node.epoch,
            "explicit_bounds": node.explicit_bounds,
            "memory_limit_bytes": MEMORY_LIMIT_BYTES,
            "startup_limit_s": STARTUP_LIMIT_S,
            "timeout_s": timeout_s,
        }
    )


@lru_cache(maxsize=1)
def _folder_of_wasmtime() -> str:
    found = importlib.util.find_spec("wasmtime")
    if found is None or found.origin is None:
        raise Unavailable("wasmtime", "it is not installed; pip install 'foretell[measure]'")
    return str(Path(found.origin).parent.parent)


def _stdout(child: subprocess.Popen[bytes]) -> IO[bytes]:
    assert child.stdout is not None  # noqa: S101  (it is a pipe; this is for the type checker)
    return child.stdout
