"""A first schema for a table that somebody has: guessed, and every guess said to be one."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

import numpy as np

from foretell.column_profile import Profile, crosses, determines, profile_column
from foretell.columns import Column
from foretell.errors import InvalidInput, NotFound, Violation
from foretell.schema_file import parse_schema

_UNITS = {
    "per_s": "1/s",
    "per_sec": "1/s",
    "s": "s",
    "sec": "s",
    "seconds": "s",
    "ms": "ms",
    "us": "us",
    "ns": "ns",
    "bytes": "B",
    "kb": "KB",
    "mb": "MB",
    "gb": "GB",
    "w": "W",
    "watts": "W",
    "j": "J",
    "px": "px",
    "percent": "%",
}
_BETTER_HIGH = re.compile(r"throughput|per_s|accuracy|score|rate|speed|tok|fps|qps", re.IGNORECASE)
_OUTCOME = re.compile(
    r"latency|duration|elapsed|throughput|(^|_)(runtime|power|energy|peak)_", re.IGNORECASE
)
_ID = re.compile(r"(^|_)(id|uuid|guid|key)$", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"time|date|(^|_)(ts|at|when)$", re.IGNORECASE)
_FEW = 0.05
_GROWS = re.compile(
    r"(^n$|batch|token|payload|size|length|argument|count|rows|items|bytes)", re.IGNORECASE
)


def guess_schema(
    workload: str,
    columns: Mapping[str, Column],
    metrics: Mapping[str, str | None],
    not_known: Collection[str] = (),
) -> str:
    """Return the YAML of a schema that fits a table, with a comment at every guess.

    `metrics` maps the columns to predict to their units, None where the unit is to be guessed
    from the name; `not_known` are columns that nobody knows before the work runs. Raises NotFound
    for a name that is not a column, InvalidInput for a metric that is not a number, for a table
    without rows, and for a workload's name that cannot be one.
    """
    for name in (*metrics, *not_known):
        if name not in columns:
            raise NotFound("column", name, list(columns))
    profiles = {name: profile_column(name, column) for name, column in columns.items()}
    if not profiles or not next(iter(profiles.values())).rows:
        raise InvalidInput([Violation("columns", "", "the table has no rows to guess from")])
    inputs = {n: p for n, p in profiles.items() if n not in metrics and n not in not_known}
    times = [n for n in inputs if _is_time(n, columns[n])]
    time_column = times[0] if times else None
    id_column = next((n for n in inputs if n not in times and _is_id(n, inputs[n])), None)
    spoken_for = {id_column, time_column}
    outcomes = {n for n, p in inputs.items() if p.kind == "number" and _OUTCOME.search(n)}
    left_out = {
        n for n, p in inputs.items() if p.useless or n in outcomes or n in times
    } - spoken_for
    used = {n: p for n, p in inputs.items() if n not in spoken_for | left_out}
    if not used:
        raise InvalidInput([Violation("columns", "", "no column is left to predict from")])
    names = _Names()
    groups = _groups(used)
    lines = [
        *_head(workload, id_column, time_column),
        "features:",
        *(line for n, p in used.items() for line in _feature(names.of(n), p, groups, used)),
        *(_left_out(n, time=n in times, outcome=n in outcomes) for n in inputs if n in left_out),
        *(f"  # left out: {json.dumps(n)} is not known before the run" for n in not_known),
        "",
        "metrics:",
        *(line for n, unit in metrics.items() for line in _metric(names.of(n), profiles[n], unit)),
        *_group_lines([[names.of(n) for n in group] for group in groups]),
    ]
    text = "\n".join(lines) + "\n"
    parse_schema(text, f"{workload}.yaml")  # what is written must be readable
    return text


class _Names:
    """Makes names that a schema may use from those of columns; no two differ in case alone."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}

    def of(self, column: str) -> str:
        if column not in self._given:
            base = re.sub(r"[^A-Za-z0-9_]+", "_", column).strip("_") or "column"
            base = base if not base[0].isdigit() else f"c_{base}"
            taken = {name.casefold() for name in self._given.values()}
            name, count = base, 2
            while name.casefold() in taken:
                name, count = f"{base}_{count}", count + 1
            self._given[column] = name
        return self._given[column]


def _head(workload: str, id_column: str | None, time_column: str | None) -> list[str]:
    lines = [
        "# Guessed from a table by `foretell workload init`. Lines that say `guess` are guesses:",
        "# correct them, then run `foretell workload check` on this file.",
        f"workload: {_text(workload)}",
        f"title: {_text(workload.replace('_', ' ').replace('-', ' ').capitalize())}",
    ]
    if id_column is not None:
        lines.append(f"id_column: {_text(id_column)}  # guess: its values are all different")
    if time_column is not None:
        lines.append(f"time_column: {_text(time_column)}  # guess: its values look like times")
    return [*lines, ""]


def _feature(
    name: str, profile: Profile, groups: Sequence[Sequence[str]], used: Mapping[str, Profile]
) -> list[str]:
    lines = [f"  - name: {_text(name)}"]
    if name != profile.name:
        lines.append(f"    column: {_text(profile.name)}")
    lines.append(f"    kind: {profile.kind}  # guess: {profile.why}")
    if profile.kind == "number":
        lines += _number(profile)
    is_id = any(profile.name in group for group in groups)
    if is_id and not profile.missing:
        lines.append("    required: true  # guess: every row has it, and it names what is run")
    key = next((k for g in groups for k in g if determines(used[k], profile)), None)
    if key is not None and not is_id:
        lines.append(f"    # each {key} has one value of this; it could be a fact in a catalog")
    return lines


def _number(profile: Profile) -> list[str]:
    lines = [f"    # seen: {profile.low:g} to {profile.high:g}, {profile.missing} rows without"]
    if profile.format != "plain":
        lines.append(f"    format: {profile.format}  # guess: texts such as {profile.example}")
    unit = "MB" if profile.format == "quantity" else _unit_of(profile.name)
    if unit:
        lines.append(f"    unit: {_text(unit)}  # guess: from the name")
    if profile.spans_magnitudes:
        lines.append("    scale: log  # guess: its values span orders of magnitude")
        if _GROWS.search(profile.name):
            lines.append("    extrapolate: true  # guess: one may ask for more than was seen")
    if profile.whole and profile.low == 1:
        lines.append("    minimum: 1  # guess: it counts something, from 1")
    elif profile.low >= 0:
        lines.append("    minimum: 0  # guess: none is negative")
    return lines


def _metric(name: str, profile: Profile, unit: str | None) -> list[str]:
    if profile.kind != "number" or profile.format != "plain":
        message = f"column {profile.name!r} is not a number ({profile.why}), so it is no metric"
        raise InvalidInput([Violation(profile.name, profile.example, message)])
    lines = [f"  - name: {_text(name)}"]
    if name != profile.name:
        lines.append(f"    column: {_text(profile.name)}")
    lines.append(f"    # seen: {profile.low:g} to {profile.high:g}, {profile.missing} rows without")
    if unit:
        lines.append(f"    unit: {_text(unit)}")
    elif guessed := _unit_of(profile.name):
        lines.append(f"    unit: {_text(guessed)}  # guess: from the name")
    direction = "higher" if _BETTER_HIGH.search(profile.name) else "lower"
    lines.append(f"    direction: {direction}  # guess: from the name; which way is better")
    return [*lines, *_metric_scale(profile)]


def _metric_scale(profile: Profile) -> list[str]:
    if profile.low > 0:
        return ["    scale: log  # guess: all are above 0"]
    if profile.low == 0 and profile.zeros <= _FEW * profile.rows:
        why = f"but for {profile.zeros} rows of 0, which will be rejected, all are above 0"
        return [f"    scale: log  # guess: {why}"]
    return ["    scale: linear  # guess: 0 or less occurs"]


def _groups(used: Mapping[str, Profile]) -> list[list[str]]:
    """Return the ids, at most two that occur in many combinations, and then their pair."""
    categories = [p for p in used.values() if p.kind == "category" and p.distinct > 2]
    categories.sort(key=lambda p: -p.distinct)
    ids: list[Profile] = []
    for candidate in categories:
        if len(ids) < 2 and all(crosses(known, candidate) for known in ids):
            ids.append(candidate)
    names = [[p.name] for p in ids]
    return [*names, [p.name for p in ids]] if len(ids) == 2 else names


def _group_lines(groups: Sequence[Sequence[str]]) -> list[str]:
    if not groups:
        return []
    lines = [f"  - [{', '.join(map(_text, group))}]" for group in groups]
    return ["", "groups:  # guess: the categories with most values, and their pair", *lines]


def _left_out(name: str, *, time: bool, outcome: bool) -> str:
    why = "is the same, or missing, in all rows"
    if time:
        why = "is a time, like the time column"
    elif outcome:
        why = "looks measured, not known before the run; if it is a metric, add it below"
    return f"  # left out (guess): {json.dumps(name)} {why}"


def _unit_of(name: str) -> str | None:
    parts = name.lower().split("_")
    two = "_".join(parts[-2:])
    if parts[-1] == "s" and _BETTER_HIGH.search(name):
        return "1/s"
    return _UNITS.get(two) or (_UNITS.get(parts[-1]) if len(parts) > 1 else None)


def _is_id(name: str, profile: Profile) -> bool:
    all_differ = profile.distinct == profile.rows and profile.rows > 1
    return all_differ and (profile.kind == "category" or bool(_ID.search(name)))


def _is_time(name: str, column: Column) -> bool:
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return True
    values = [column[i] for i in range(min(len(column), 50))]
    given = [value for value in values if value not in (None, "")]
    if not given:
        return False
    if all(isinstance(value, (date, datetime)) for value in given):
        return True
    texts = [value for value in given if isinstance(value, str)]
    # A short number reads as a date, too; only a name can say that it is one.
    sure = bool(_TIME.search(name)) or all(_DATE.match(text) for text in texts)
    return len(texts) == len(given) and sure and all(map(_reads_as_time, texts))


def _reads_as_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _text(value: str) -> str:
    """Return a scalar as YAML reads it back, quoted only where it must be."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_/-]*", value)
    words = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
    return value if plain and value.lower() not in words else json.dumps(value, ensure_ascii=False)
