"""The WebAssembly modules that Foretell measures: small, readable, and its own.

Each `.wat` file beside this one exports `run(argument)`, which does an amount of work that grows
with its argument and returns a number that depends on all of it, so no engine can skip any.
A task executes `unreachable` only when the engine refuses it memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from foretell.errors import InvalidInput, NotFound, Unavailable, Violation

_FOLDER = Path(__file__).parent
_GOLDEN_RATIO = (1 + math.sqrt(5)) / 2


@dataclass(frozen=True, slots=True)
class Task:
    """One module, and what is needed to choose arguments for it.

    `work` is proportional to the expected duration, roughly, and increases with the argument. It
    only places the arguments of a sweep; no model ever sees it.
    """

    name: str
    path: Path
    work: Callable[[float], float]
    probe: int  # an argument that takes some tens of milliseconds
    largest: int  # beyond it numbers overflow, or memory passes about 256 MB

    def check_argument(self, argument: int) -> None:
        """Raises `InvalidInput` unless the argument is from 1 to `largest`."""
        if not 1 <= argument <= self.largest:
            why = f"must be from 1 to {self.largest} for {self.name}"
            raise InvalidInput([Violation("argument", str(argument), f"{argument} {why}")])

    def argument_for(self, work: float) -> int:
        """The argument whose work is nearest, in [1, largest]."""
        low, high = 1, self.largest
        while low < high:
            middle = (low + high) // 2
            if self.work(middle) < work:
                low = middle + 1
            else:
                high = middle
        if low > 1 and work - self.work(low - 1) < self.work(low) - work:
            return low - 1
        return low


def _task(name: str, work: Callable[[float], float], probe: int, largest: int) -> Task:
    return Task(name, _FOLDER / f"{name}.wat", work, probe, largest)


def _linear(n: float) -> float:
    return n


def _square(n: float) -> float:
    return n * n


def _cube(n: float) -> float:
    return n**3


def _linearithmic(n: float) -> float:
    return n * math.log2(n + 1)


def _fibonacci(n: float) -> float:
    return math.pow(_GOLDEN_RATIO, n)


TASKS = MappingProxyType(
    {
        task.name: task
        for task in (
            _task("dispatch", _linear, probe=4_000_000, largest=2_000_000_000),
            _task("fib_iterative", _linear, probe=500_000, largest=2_000_000_000),
            _task("fib_recursive", _fibonacci, probe=33, largest=46),
            _task("fnv1a", _linear, probe=8_000_000, largest=256_000_000),
            _task("hash_table", _linear, probe=300_000, largest=16_000_000),
            _task("json_scan", _linear, probe=100_000, largest=3_500_000),
            _task("levenshtein", _square, probe=3_000, largest=1_000_000),
            _task("mandelbrot", _square, probe=500, largest=8_000),
            _task("matmul", _cube, probe=300, largest=3_000),
            _task("nbody", _linear, probe=150_000, largest=2_000_000_000),
            _task("quicksort", _linearithmic, probe=400_000, largest=64_000_000),
            _task("sha256", _linear, probe=6_000_000, largest=256_000_000),
            _task("sieve", _linear, probe=8_000_000, largest=256_000_000),
            _task("transpose", _square, probe=2_000, largest=5_600),
        )
    }
)


def task_named(name: str) -> Task:
    """The built-in task; `NotFound` lists the others."""
    try:
        return TASKS[name]
    except KeyError:
        raise NotFound("task", name, tuple(TASKS)) from None


@lru_cache(maxsize=64)
def compile_text(path: Path) -> bytes:
    """The binary of a `.wat` file. Raises `InvalidInput` when the text is wrong."""
    try:
        import wasmtime  # noqa: PLC0415  (an extra; most users of this package never measure)
    except ImportError as error:
        raise Unavailable("wasmtime", f"{error}; pip install 'foretell[measure]'") from error
    try:
        return bytes(wasmtime.wat2wasm(path.read_bytes()))
    except wasmtime.WasmtimeError as error:
        raise InvalidInput([Violation(path.name, "", str(error))]) from error
