"""Runs one WebAssembly function once, in a process that does nothing else.

Started by path as a script, `python -I -S child.py SPEC < MODULE`, so that neither `foretell`
nor site-packages' start-up code is imported: a process costs some 70 ms instead of 200.
SPEC is JSON: `site` (the folder that holds the package wasmtime), `argument`, `optimized`,
`fuel`, `epoch`, `explicit_bounds`, `memory_limit_bytes`, `startup_limit_s`, `timeout_s`.
MODULE is a binary.

Writes two lines of JSON to standard output: `{"compile_s": …}` just before the clocks start, and
when the run is over either `{"duration_s", "cpu_s", "memory_kb", "result"}` or
`{"outcome": "failed" or "out_of_memory", "reason", "memory_kb"}`.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
from types import ModuleType
from typing import Any

# Enough for hours of counting; a run that is too long is ended by its timeout, never by fuel.
FUEL = 2**63
# The parent enforces the limits; only if it is gone, this long after them, the process ends alone.
GRACE_S = 2.0


def main() -> None:
    """Compiles, says so, runs, and says what that took."""
    spec = json.loads(sys.argv[1])
    signal.setitimer(signal.ITIMER_REAL, spec["startup_limit_s"] + GRACE_S)
    binary = sys.stdin.buffer.read()
    wasmtime = _load_wasmtime(spec["site"])
    engine = wasmtime.Engine(_config(wasmtime, spec))
    started = time.perf_counter()
    module = wasmtime.Module(engine, binary)
    compile_s = time.perf_counter() - started
    store = wasmtime.Store(engine)
    store.set_limits(memory_size=spec["memory_limit_bytes"])
    if spec["fuel"]:
        store.set_fuel(FUEL)
    if spec["epoch"]:
        store.set_epoch_deadline(1)
    gc.disable()
    signal.setitimer(signal.ITIMER_REAL, spec["timeout_s"] + GRACE_S)
    _reset_peak()
    _say({"compile_s": compile_s})
    try:
        _say(_timed_run(wasmtime, store, module, spec["argument"]))
    except wasmtime.Trap as trap:
        # The tasks execute `unreachable` only when the engine refuses them memory.
        refused = trap.trap_code is wasmtime.TrapCode.UNREACHABLE
        _say(_failure("out_of_memory" if refused else "failed", trap))
    except wasmtime.WasmtimeError as error:
        _say(_failure("failed", error))


def _load_wasmtime(site: str) -> ModuleType:
    sys.path.append(site)
    import wasmtime  # noqa: PLC0415  (only now is it on the path)

    return wasmtime


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


def _config(wasmtime: ModuleType, spec: dict[str, Any]) -> object:
    config = wasmtime.Config()
    config.strategy = "cranelift"
    config.cranelift_opt_level = "speed" if spec["optimized"] else "none"
    config.consume_fuel = spec["fuel"]
    config.epoch_interruption = spec["epoch"]
    # The modules are small; a pool of compiling threads would only add to the memory.
    config.parallel_compilation = False
    if spec["explicit_bounds"]:
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


def peak_memory_kb(process: int | str = "self") -> float:
    """The highest resident memory of a process since its last reset, in KiB.

    Read from VmHWM: `ru_maxrss` would be at least that of the parent, which a child inherits
    when it is started. It is used where there is no /proc, which only works for `self`.
    """
    try:
        with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("VmHWM:"):
                    return float(line.split()[1])
    except OSError:
        pass
    return _inherited_peak_kb() if process == "self" else 0.0


def _inherited_peak_kb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform == "darwin" else float(peak)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
    # Taking the interpreter apart would take 10 ms more and prove nothing.
    os._exit(0)
