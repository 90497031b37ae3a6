"""Corrections: how answers change between two fits, by what was reported since.

For each group of categories whose outcomes speak for it, a correction moves the location of a
metric and widens its scale: quantile q becomes exp(location + shift + scale · widening · R(q)).
The trainer finds them (`foretell_trainer.corrections`); they are kept in the broker, one state
per workload with a number of its own, and every server process applies them to each answer of the
bundle that they were found for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.columns import MISSING, Codes
from foretell.errors import InvalidInput, Violation

Floats = NDArray[np.float64]

CORRECTIONS_CHANNEL = "foretell:corrections"
"""Where the workload's name is published when its corrections change."""


def corrections_key(workload: str) -> str:
    """Return the broker's key of a workload's corrections."""
    return f"foretell:corrections:{workload}"


@dataclass(frozen=True, slots=True)
class Correction:
    """What is corrected for one combination of categories."""

    group: tuple[str, ...]
    """Names of the category features."""
    values: tuple[str, ...]
    """Their values."""
    shift: tuple[float, ...]
    """Added to each metric's location, [M]; for metrics on a log scale it is a logarithm."""
    widening: tuple[float, ...]
    """Each metric's scale is multiplied by this, [M]; below 1 only where the bundle does not know
    the value, and outcomes say more of it than that."""


@dataclass(frozen=True, slots=True)
class Corrections:
    """The corrections of one workload's bundle."""

    workload: str
    bundle_version: str
    """The bundle whose answers they correct, and no other's."""
    number: int = 0
    """Counts up whenever the workload's corrections change; 0 when there never were any."""
    entries: tuple[Correction, ...] = ()

    def to_json(self) -> str:
        """Return the corrections as they travel."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Corrections:
        """Return the corrections that a text holds; InvalidInput when it holds none."""
        try:
            data = json.loads(text)
            entries = tuple(_entry(entry) for entry in data.pop("entries"))
            return cls(**data, entries=entries)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InvalidInput([Violation("corrections", "", str(error))]) from error


def _entry(data: Mapping[str, Any]) -> Correction:
    return Correction(**{name: tuple(values) for name, values in data.items()})


class CorrectionTable:
    """The corrections of one bundle, compiled against its vocabulary. Immutable.

    A row is shifted by the sum of what its groups are shifted by, and widened by the most that
    any of them is. Intervals are narrowed by the least that any group narrows them by, and only
    where each of the row's ids was trained on, or has corrections of its own.
    """

    __slots__ = ("_arrays", "_by_codes", "_ids", "_met", "number")

    def __init__(
        self,
        corrections: Corrections,
        category_names: Sequence[str],
        vocabulary: Mapping[str, Sequence[str]],
        metrics: int,
        *,
        met: Mapping[str, Mapping[str, int]] | None = None,
        groups: Sequence[Sequence[str]] = (),
    ) -> None:
        """Compile; entries that name what has no code are left out.

        ``met`` are codes of values beside the vocabulary's, ``groups`` the bundle's groups, whose
        training rows are told with each row; those of one category are its ids.
        """
        self.number = corrections.number
        slots = {name: i for i, name in enumerate(category_names)}
        codes = {
            name: {
                **{text: code for code, text in enumerate(vocabulary.get(name, ()))},
                **(met or {}).get(name, {}),
            }
            for name in {name for entry in corrections.entries for name in entry.group}
        }
        found: dict[tuple[int, ...], dict[tuple[int, ...], Correction]] = {}
        for entry in corrections.entries:
            pairs = zip(entry.group, entry.values, strict=True)
            key = tuple(codes[name].get(value, MISSING) for name, value in pairs)
            fits = len(entry.shift) == len(entry.widening) == metrics
            if fits and MISSING not in key and all(name in slots for name in entry.group):
                found.setdefault(tuple(slots[name] for name in entry.group), {})[key] = entry
        self._by_codes = list(found.items())
        self._ids = [(i, slots[g[0]]) for i, g in enumerate(groups) if len(g) == 1]
        """Each id's place among the groups, and among the categories."""
        self._met = {
            column: {key[0] for key in found.get((column,), ())} for _, column in self._ids
        }
        """The codes of each id that have corrections of their own."""
        self._arrays = [_GroupArrays(columns, entries) for columns, entries in self._by_codes]

    def __len__(self) -> int:
        return sum(len(entries) for _, entries in self._by_codes)

    def row(
        self,
        categories: Sequence[int],
        location: list[float],
        scale: list[float],
        trained: Sequence[float],
    ) -> tuple[list[float], list[float]]:
        """Return location and scale [M] of one row, corrected.

        ``trained`` [G] is how many training rows are behind each of its groups.
        """
        found = [
            entry
            for columns, entries in self._by_codes
            if (entry := entries.get(tuple([categories[column] for column in columns])))
        ]
        if not found:
            return location, scale
        for entry in found:
            location = [at + by for at, by in zip(location, entry.shift, strict=True)]
        all_met = all(
            trained[i] > 0 or categories[column] in self._met[column] for i, column in self._ids
        )
        factors = zip(*(entry.widening for entry in found), strict=True)
        return location, [
            wide * _factor(by, all_met=all_met) for wide, by in zip(scale, factors, strict=True)
        ]

    # MUST compute the same as `row`; a test compares them.
    def rows(
        self, categories: Codes, location: Floats, scale: Floats, trained: Floats
    ) -> tuple[Floats, Floats]:
        """Return location and scale [n, M] of many rows, corrected; ``trained`` is [n, G]."""
        shift, wider = np.zeros_like(location), np.ones_like(scale)
        narrower = np.zeros_like(scale)
        for arrays in self._arrays:
            rows, entries = arrays.find(categories)
            shift[rows] += arrays.shift[entries]
            by = arrays.widening[entries]
            wider[rows] = np.maximum(wider[rows], by)
            narrower[rows] = np.maximum(narrower[rows], np.where(by < 1, by, 0.0))
        all_met = np.ones(len(location), dtype=bool)
        for i, column in self._ids:
            met = np.isin(categories[:, column], list(self._met[column]))
            all_met &= met | (trained[:, i] > 0)
        narrower[(narrower == 0) | ~all_met[:, None]] = 1.0
        return location + shift, scale * wider * narrower


def _factor(widening: Sequence[float], *, all_met: bool) -> float:
    """Return what a scale is multiplied by, from what each of the row's groups says."""
    wider = max(1.0, *widening)
    narrower = max((by for by in widening if by < 1), default=1.0) if all_met else 1.0
    return wider * narrower


class _GroupArrays:
    """The corrections of one group's combinations, sorted so that rows find theirs at once."""

    def __init__(
        self, columns: tuple[int, ...], entries: Mapping[tuple[int, ...], Correction]
    ) -> None:
        self._columns = list(columns)
        codes = np.array(list(entries), dtype=np.int64)
        self._least = codes.min(axis=0)
        self._base = codes.max(axis=0) - self._least + 1
        numbers = self._numbers(codes)
        order = np.argsort(numbers)
        ordered = [list(entries.values())[i] for i in order]
        self._sorted = numbers[order]
        self.shift = np.array([entry.shift for entry in ordered], dtype=np.float64)
        self.widening = np.array([entry.widening for entry in ordered], dtype=np.float64)

    def find(self, categories: Codes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows that have an entry, and which."""
        codes = categories[:, self._columns]
        inside = np.all((codes >= self._least) & (codes - self._least < self._base), axis=1)
        numbers = np.where(inside, self._numbers(codes), -1)
        places = np.searchsorted(self._sorted, numbers)
        places = np.minimum(places, len(self._sorted) - 1)
        rows = np.flatnonzero(inside & (self._sorted[places] == numbers))
        return rows, places[rows]

    def _numbers(self, codes: Codes) -> NDArray[np.int64]:
        number = np.zeros(len(codes), dtype=np.int64)
        for column, base in enumerate(self._base):
            number = number * base + codes[:, column] - self._least[column]
        return number
