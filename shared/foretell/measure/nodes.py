"""The settings of the engine, which stand for the nodes that a scheduler chooses from.

One machine is all there is to measure on, so what differs between these nodes is how its engine
compiles and guards the code. That changes durations for real, and differently for each task.
Wasmtime's baseline compiler, Winch, is missing because its Python package does not offer it.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType

from foretell.errors import NotFound

Fact = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Node:
    """One way to set up the engine on this machine."""

    name: str
    engine: str = "cranelift"
    optimized: bool = True
    fuel: bool = False  # counts instructions, so that a run can be cut off after so many
    epoch: bool = False  # checks at each loop and call whether the host wants to interrupt
    explicit_bounds: bool = False  # compares every address; otherwise guard pages catch it

    def facts(self) -> dict[str, Fact]:
        """A row of the catalog `nodes`: these settings and this machine."""
        return {
            "node": self.name,
            "engine": self.engine,
            "optimized": self.optimized,
            "fuel": self.fuel,
            "epoch": self.epoch,
            "explicit_bounds": self.explicit_bounds,
            **machine_facts(),
        }


NODES = MappingProxyType(
    {
        node.name: node
        for node in (
            Node("cranelift-speed"),
            Node("cranelift-none", optimized=False),
            Node("cranelift-speed-fuel", fuel=True),
            Node("cranelift-speed-epoch", epoch=True),
            Node("cranelift-speed-bounds", explicit_bounds=True),
        )
    }
)
DEFAULT_NODES = ("cranelift-speed", "cranelift-none", "cranelift-speed-fuel")


def node_named(name: str) -> Node:
    """The node of that name; `NotFound` lists the others."""
    try:
        return NODES[name]
    except KeyError:
        raise NotFound("node", name, tuple(NODES)) from None


@lru_cache(maxsize=1)
def machine_facts() -> dict[str, Fact]:
    """What all nodes on this machine share: processor, memory, and the engine's version."""
    return {
        "cpu_model": _cpu_model(),
        "cpu_count": _cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 2),
        "wasmtime_version": wasmtime_version(),
    }


def wasmtime_version() -> str:
    """The version of the installed engine, or `missing`."""
    try:
        return version("wasmtime")
    except PackageNotFoundError:
        return "missing"


def _cpu_count() -> int:
    # The processors that this process may use; fewer than the machine has, in many containers.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
