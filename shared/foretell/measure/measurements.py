"""What was measured: one `Measurement` per run, and `Measurements` with their catalogs."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from foretell.disk import naming
from foretell.errors import Unavailable

SOURCE = "measure wasm"
COLUMNS = {
    "id": "string",
    "time": "timestamp",
    "function": "string",
    "node": "string",
    "argument": "int64",
    "outcome": "string",
    "duration_s": "float64",
    "cpu_s": "float64",
    "memory_kb": "float64",
    "compile_s": "float64",
    "pace_s": "float64",
    "lb:duration_s": "float64",
    "lb:memory_kb": "float64",
    "reason": "string",
    "source": "string",
    "simulated": "bool",
}
"""The columns of `observations.parquet` and `.csv`, and the type of each."""
Cell = str | int | float | bool | datetime | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one function in a process of its own.

    `outcome` is `completed`, `timeout`, `out_of_memory` or `failed`. Metrics that were not
    reached are None; of a run that was ended, `lower_bounds` says how far it had come.
    """

    id: str
    time: datetime
    function: str
    node: str
    argument: int
    outcome: str
    duration_s: float | None = None
    """Wall time to instantiate the compiled module and run it. Page faults of memory that the
    run touches first are in. Out are starting the process, compiling, and the first use of the
    engine in a process (the yardstick of `pace_s` goes the same way before)."""
    cpu_s: float | None = None
    """User and system time of the process over the same span."""
    memory_kb: float | None = None
    """Peak resident memory of the process over the same span, in KiB: the interpreter and the
    engine (about 24 MB) and what the run touches."""
    compile_s: float | None = None
    pace_s: float | None = None
    """What a fixed piece of work took in the same process just before: how fast the node was at
    that moment. Shared machines change their pace by half from one second to the next."""
    lower_bounds: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    result: int | float | None = None
    """What the function returned; not written to files."""

    def as_row(self) -> dict[str, Cell]:
        """The columns of `observations.parquet`, named as in the schema `serverless`."""
        return {
            "id": self.id,
            "time": self.time,
            "function": self.function,
            "node": self.node,
            "argument": self.argument,
            "outcome": self.outcome,
            "duration_s": self.duration_s,
            "cpu_s": self.cpu_s,
            "memory_kb": self.memory_kb,
            "compile_s": self.compile_s,
            "pace_s": self.pace_s,
            "lb:duration_s": self.lower_bounds.get("duration_s"),
            "lb:memory_kb": self.lower_bounds.get("memory_kb"),
            "reason": self.reason,
            "source": SOURCE,
            "simulated": False,
        }


@dataclass(frozen=True, slots=True)
class Measurements:
    """All runs of a sweep in the order they ended, the catalogs, and where they come from."""

    runs: tuple[Measurement, ...]
    functions: tuple[Mapping[str, Cell], ...]
    nodes: tuple[Mapping[str, Cell], ...]
    about: Mapping[str, Any]

    def repeat_noise(self) -> float | None:
        """How far repeats of one configuration lie apart, as a share of their median.

        The median over all completed runs that have a repeat of |duration / median - 1|. No
        forecast can be expected to be nearer than that. None when nothing was repeated.
        """
        groups: dict[tuple[str, str, int], list[float]] = {}
        for run in self.runs:
            if run.duration_s is not None:
                groups.setdefault((run.function, run.node, run.argument), []).append(run.duration_s)
        deviations = [
            abs(duration / statistics.median(group) - 1)
            for group in groups.values()
            if len(group) > 1
            for duration in group
        ]
        return statistics.median(deviations) if deviations else None

    def write(self, folder: Path) -> None:
        """Writes `observations` (.parquet and .csv), `functions.csv`, `nodes.csv`, `about.json`.

        The folder is made when it is missing; files of that name are replaced.
        """
        folder.mkdir(parents=True, exist_ok=True)
        rows = [run.as_row() for run in self.runs]
        about = json.dumps(self.about, indent=2, ensure_ascii=False) + "\n"
        with naming(folder):
            _write_parquet(folder / "observations.parquet", rows)
            _write_csv(folder / "observations.csv", rows, tuple(COLUMNS))
            _write_csv(folder / "functions.csv", self.functions, tuple(self.functions[0]))
            _write_csv(folder / "nodes.csv", self.nodes, tuple(self.nodes[0]))
            (folder / "about.json").write_text(about, encoding="utf-8")


def _write_csv(path: Path, rows: Sequence[Mapping[str, Cell]], columns: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows({name: _text(cell) for name, cell in row.items()} for row in rows)


def _text(cell: Cell) -> Cell:
    if isinstance(cell, datetime):
        return cell.isoformat()
    return str(cell).lower() if isinstance(cell, bool) else cell


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Cell]]) -> None:
    try:
        import pyarrow  # noqa: PLC0415  (an extra; most users of this package never measure)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise Unavailable("pyarrow", f"{error}; pip install 'foretell[measure]'") from error
    types = {"timestamp": pyarrow.timestamp("us", tz="UTC")}
    schema = pyarrow.schema(
        [(name, types.get(kind) or pyarrow.type_for_alias(kind)) for name, kind in COLUMNS.items()]
    )
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), path)
