"""Units of the quantities that decisions weigh: what they measure, and how they compare.

Only what cost, energy and capacities need: times, amounts of memory, power, and rates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TIME = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_MEMORY = {"B": 1.0, "KB": 1e3, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_MEMORY |= {f"{prefix}iB": 1024.0**n for n, prefix in enumerate("KMGT", start=1)}
_POWER = {"mW": 1e-3, "W": 1.0, "kW": 1e3}
_FACTORS: Mapping[str, Mapping[str, float]] = {"time": _TIME, "memory": _MEMORY, "power": _POWER}
_RATE = re.compile(r"(.+)/(s|min|h)")

SECONDS_PER_HOUR = 3600.0


def dimension(unit: str) -> str:
    """Return what a unit measures: time, memory, power, rate, or "" for anything else."""
    for name, factors in _FACTORS.items():
        if unit in factors:
            return name
    return "rate" if _RATE.fullmatch(unit) else ""


def factor(unit: str, to: str) -> float | None:
    """Return how many `to` one `unit` is; None when they do not measure the same."""
    if unit == to:
        return 1.0
    for factors in _FACTORS.values():
        if unit in factors and to in factors:
            return factors[unit] / factors[to]
    return None


def rate_of(unit: str) -> tuple[str, float]:
    """Return what a rate counts and how many seconds its time is: "images/min", images and 60.

    Raises ValueError for a unit that is no rate.
    """
    found = _RATE.fullmatch(unit)
    if found is None:
        raise ValueError(f"{unit!r} is not a rate")
    return ("unit" if found[1] == "1" else found[1]), _TIME[found[2]]


def seconds_of(unit: str) -> float:
    """Return how many seconds one unit of time is; KeyError for what is no time."""
    return _TIME[unit]


def watts_of(unit: str) -> float:
    """Return how many watts one unit of power is; KeyError for what is no power."""
    return _POWER[unit]
