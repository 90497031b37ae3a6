"""Runs WebAssembly functions, each once and in a process that does nothing else.

This is a script, started by path as `python -I -S child.py FD SITE` so that neither `foretell` nor
site-packages' start-up code is imported. It loads the package wasmtime from the folder SITE,
touches nothing of it, and then forks a fresh process for every run it is asked for. Starting
Python and loading the engine each time would add 80 ms to a run; this way it is 10, compiling
included.

Asked over the socket FD (one JSON object per packet; see `launcher.py` for the other end):
- `{"argument", "optimized", "fuel", "epoch", "explicit_bounds", "memory_limit_bytes"}` with three
  descriptors, which become the standard input (a module's binary), output and error of the new
  process. Answered with its process id.
- `{"reap": process id}`: answered with its wait status, once it has ended.
When the socket closes, all processes that were not reaped are killed.

A run writes two lines of JSON to its standard output: `{"compile_s", "pace_s"}` just before the
clocks start, and when it is over either `{"duration_s", "cpu_s", "memory_kb", "result"}` or
`{"outcome": "failed" or "out_of_memory", "reason", "memory_kb"}`.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import socket
import sys
import time
from contextlib import suppress
from types import ModuleType
from typing import Any

# Enough for hours of counting; a run that is too long is ended by its timeout, never by fuel.
FUEL = 2**63
PACKET_BYTES = 65_536
# The text of tasks/fib_recursive.wat with a page of memory, without names.
YARDSTICK = bytes.fromhex(
    "0061736d0100000001060160017f017f0302010005030100010707010372756e00000a1e011c00200041024804"
    "7f200005200041016b1000200041026b10006a0b0b"
)
YARDSTICK_ARGUMENT = 24


def main() -> None:
    """Forks a process for each request, until the socket closes."""
    # Ctrl-C reaches every process of a terminal; the one that asks decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wasmtime = _load_wasmtime(sys.argv[2])
    gc.disable()
    gc.freeze()
    running: set[int] = set()
    # The one that asks may go away at any time, also between a question and its answer.
    gone = suppress(BrokenPipeError, ConnectionResetError)
    with gone, socket.socket(fileno=int(sys.argv[1])) as asked:
        while (packet := socket.recv_fds(asked, PACKET_BYTES, 3))[0]:
            answer = _answer(wasmtime, json.loads(packet[0]), packet[1], running)
            asked.send(str(answer).encode())
    for process in running:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _answer(
    wasmtime: ModuleType, request: dict[str, Any], descriptors: list[int], running: set[int]
) -> int:
    if "reap" in request:
        running.remove(request["reap"])
        return os.waitpid(request["reap"], 0)[1]
    process = _fork(wasmtime, request, descriptors)
    running.add(process)
    return process


def _load_wasmtime(site: str) -> ModuleType:
    sys.path.append(site)
    import wasmtime  # noqa: PLC0415  (only now is it on the path)

    return wasmtime


def _fork(wasmtime: ModuleType, request: dict[str, Any], descriptors: list[int]) -> int:
    process = os.fork()
    if process:
        for descriptor in descriptors:
            os.close(descriptor)
        return process
    status = 1
    try:
        for standard, descriptor in enumerate(descriptors):
            os.dup2(descriptor, standard)
        # The socket too: its other end must see it close when the forking process ends.
        os.closerange(3, max(*descriptors, int(sys.argv[1])) + 1)
        _run(wasmtime, request)
        status = 0
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(status)


def _run(wasmtime: ModuleType, request: dict[str, Any]) -> None:
    with open(0, "rb", closefd=False) as file:
        binary = file.read()
    engine = wasmtime.Engine(_config(wasmtime, request))
    # First, because the first use of the engine in a process takes a millisecond longer.
    pace_s = _pace_s(wasmtime, engine, request)
    started = time.perf_counter()
    module = wasmtime.Module(engine, binary)
    compile_s = time.perf_counter() - started
    store = _store(wasmtime, engine, request)
    _reset_peak()
    _say({"compile_s": compile_s, "pace_s": pace_s})
    try:
        _say(_timed_run(wasmtime, store, module, request["argument"]))
    except wasmtime.Trap as trap:
        # The tasks execute `unreachable` only when the engine refuses them memory.
        refused = trap.trap_code is wasmtime.TrapCode.UNREACHABLE
        _say(_failure("out_of_memory" if refused else "failed", trap))
    except wasmtime.WasmtimeError as error:
        _say(_failure("failed", error))


def _store(wasmtime: ModuleType, engine: object, request: dict[str, Any]) -> object:
    store = wasmtime.Store(engine)
    store.set_limits(memory_size=request["memory_limit_bytes"])
    if request["fuel"]:
        store.set_fuel(FUEL)
    if request["epoch"]:
        store.set_epoch_deadline(1)
    return store


def _pace_s(wasmtime: ModuleType, engine: object, request: dict[str, Any]) -> float:
    """How long a fixed piece of work takes now, about half a millisecond; the best of three."""
    yardstick = wasmtime.Module(engine, YARDSTICK)
    runs = [
        _timed_run(wasmtime, _store(wasmtime, engine, request), yardstick, YARDSTICK_ARGUMENT)
        for _ in range(3)
    ]
    return float(min(run["duration_s"] for run in runs))


def _timed_run(
    wasmtime: ModuleType, store: object, module: object, argument: int
) -> dict[str, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    instance = wasmtime.Instance(store, module, [])
    result = instance.exports(store)["run"](store, argument)
    duration_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "duration_s": duration_s,
        "cpu_s": cpu_s,
        "memory_kb": peak_memory_kb(),
        "result": result,
    }


def _config(wasmtime: ModuleType, request: dict[str, Any]) -> object:
    config = wasmtime.Config()
    config.strategy = "cranelift"
    config.cranelift_opt_level = "speed" if request["optimized"] else "none"
    config.consume_fuel = request["fuel"]
    config.epoch_interruption = request["epoch"]
    # The modules are small; a pool of compiling threads would only add to the memory.
    config.parallel_compilation = False
    if request["explicit_bounds"]:
        config.memory_reservation = 0
        config.memory_guard_size = 0
    return config


def _failure(outcome: str, error: Exception) -> dict[str, Any]:
    # The last line names the cause; those above are the stack in the module.
    reason = str(error).strip().splitlines()[-1].strip()
    return {"outcome": outcome, "reason": reason, "memory_kb": peak_memory_kb()}


def _reset_peak() -> None:
    # 5 resets the high-water mark to what is resident now: compiling must not count.
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write("5")
    except OSError:
        return


def peak_memory_kb(process: int | str = "self") -> float | None:
    """The highest resident memory of a process since its last reset, in KiB; None if unknown.

    Read from VmHWM: `ru_maxrss` would be at least that of the process it was started from. It is
    used where there is no /proc, which only works for `self`.
    """
    try:
        with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("VmHWM:"):
                    return float(line.split()[1]) or None
    except OSError:
        pass
    return _inherited_peak_kb() if process == "self" else None


def _inherited_peak_kb() -> float | None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # A kernel that does not count it says 0.
    return (peak / 1024 if sys.platform == "darwin" else float(peak)) or None


def _say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
