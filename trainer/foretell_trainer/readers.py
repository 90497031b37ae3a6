"""Read the files that measurements come in: CSV, Parquet, JSON Lines and DuckDB.

Every reader gives a `Table`: named columns, the place of each row in its file, and the rows that
could not be read, each with its reason. What the values mean is not decided here.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from foretell.errors import InvalidInput, Violation
from foretell_trainer.batches import RejectedRow

CELLS_SHOWN = 8


@dataclass(frozen=True)
class Table:
    """The columns of a file.

    ``lines[i]`` is the place of row i: the physical line in a text file (of its first line, when
    a quoted cell spans several), else the row number; both count from 1. Missing values are None.
    CSV cells are text.
    """

    source: str
    columns: Mapping[str, Sequence[Any]]
    lines: Sequence[int]
    rejected: tuple[RejectedRow, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)


class _Rows(Protocol):
    """What `csv.reader` returns; the standard library has no name for it."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


def read_table(path: Path) -> Table:
    """Read a file by its ending: .csv, .tsv, .parquet, .jsonl or .ndjson, .duckdb or .db.

    A DuckDB file with several tables is named as ``file.duckdb#table``.

    Raises:
        InvalidInput: the file is missing, empty, of no known kind, or broken as a whole.
    """
    file, _, inner = str(path).partition("#")
    path = Path(file)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(sorted(_READERS))
        raise _broken(
            path, f"no reader for {path.suffix or 'a file without ending'}; one of {known}"
        )
    if not path.is_file():
        raise _broken(path, "no such file")
    if path.stat().st_size == 0:
        raise _broken(path, "the file is empty")
    table = reader(path, inner)
    if not table.columns:
        raise _broken(path, "the file has no columns")
    return table


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _broken(path: Path, why: str) -> InvalidInput:
    return InvalidInput([Violation(field="data", value=str(path), message=why)])


def _read_csv(path: Path, _inner: str) -> Table:
    _refuse_utf16(path)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        first = file.readline()
        delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(first)
        file.seek(0)
        return _csv_table(path, csv.reader(file, delimiter=delimiter, strict=True))


def _csv_table(path: Path, rows: _Rows) -> Table:
    try:
        header = [name.strip() for name in next(rows)]
    except (StopIteration, csv.Error) as error:
        raise _broken(path, f"line 1: no header: {error}") from error
    _check_header(path, header)
    cells: list[list[str]] = []
    lines: list[int] = []
    rejected: list[RejectedRow] = []
    for line, row, fault in _csv_rows(rows):
        why = fault or _row_fault(row, header)
        if why:
            rejected.append(RejectedRow(path.name, line, why, ",".join(row[:CELLS_SHOWN])))
        elif any(row):
            cells.append(row)
            lines.append(line)
    columns = dict(zip(header, zip(*cells, strict=True), strict=True)) if cells else {}
    return Table(path.name, columns or dict.fromkeys(header, ()), lines, tuple(rejected))


def _csv_rows(rows: _Rows) -> Iterator[tuple[int, list[str], str]]:
    """Yield (first physical line, cells, fault) of each record."""
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, [], str(error)
        else:
            if row:
                yield line, row, ""


def _row_fault(row: Sequence[str], header: Sequence[str]) -> str:
    if len(row) != len(header):
        return f"{len(row)} cells, the header has {len(header)}"
    for name, cell in zip(header, row, strict=True):
        if not cell.isprintable() and any("\udc80" <= letter <= "\udcff" for letter in cell):
            return f"{name}: not UTF-8 text"
    return ""


def _check_header(path: Path, header: Sequence[str]) -> None:
    if any(any("\udc80" <= letter <= "\udcff" for letter in name) for name in header):
        raise _broken(path, "line 1: the header is not UTF-8 text")
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise _broken(path, f"line 1: column {doubled[0]!r} appears more than once")
    if not any(header):
        raise _broken(path, "line 1: no header")


def _refuse_utf16(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(4096)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _broken(path, "the file is UTF-16; save it as UTF-8")
    if b"\0" in start:
        raise _broken(path, "the file holds zero bytes: it is not a text file in UTF-8")


def _delimiter(header: str) -> str:
    """Return the separator that the header uses most; a comma when it uses none."""
    return max(",;\t", key=header.count)


def _read_jsonl(path: Path, _inner: str) -> Table:
    _refuse_utf16(path)
    objects: list[dict[str, Any]] = []
    lines: list[int] = []
    rejected: list[RejectedRow] = []
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                objects.append(_flat_object(text))
                lines.append(line)
            except ValueError as error:
                shown = text.decode(errors="replace").strip()[:200]
                rejected.append(RejectedRow(path.name, line, str(error), shown))
    names = list(dict.fromkeys(name for entry in objects for name in entry))
    if not names:
        why = f"; line {rejected[0].line}: {rejected[0].reason}" if rejected else ""
        raise _broken(path, f"the file has no rows{why}")
    columns = {name: [entry.get(name) for entry in objects] for name in names}
    return Table(path.name, columns, lines, tuple(rejected))


def _flat_object(text: bytes) -> dict[str, Any]:
    """Parse one line; the parts of an observation's own JSON form become plain columns."""
    entry = json.loads(text)
    if not isinstance(entry, dict):
        msg = f"not a JSON object but {type(entry).__name__}"
        raise ValueError(msg)
    flat: dict[str, Any] = {}
    for name, value in entry.items():
        if not isinstance(value, dict):
            flat[name] = value
            continue
        prefix = {"features": "", "metrics": "", "lower_bounds": "lb:"}.get(name)
        if prefix is None:
            msg = f"{name}: an object is not allowed here"
            raise ValueError(msg)
        flat.update({prefix + key: inner for key, inner in value.items()})
    return flat


def _read_parquet(path: Path, _inner: str) -> Table:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, f"not a readable Parquet file: {error}") from error
    return _from_arrow(path.name, table)


def _read_duckdb(path: Path, inner: str) -> Table:
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise _broken(path, f"cannot be opened: {str(error).splitlines()[0]}") from error
    with connection:
        names = [str(row[0]) for row in connection.execute("SHOW TABLES").fetchall()]
        wanted = inner or (names[0] if len(names) == 1 else "")
        if wanted not in names:
            hint = f"name one table as {path.name}#TABLE; there are: {', '.join(names) or 'none'}"
            raise _broken(path, hint)
        quoted = wanted.replace('"', '""')
        return _from_arrow(path.name, connection.sql(f'FROM "{quoted}"').to_arrow_table())


def _from_arrow(source: str, table: pa.Table) -> Table:
    columns = {
        _plain_name(name, table.column_names): _plain(table[name]) for name in table.column_names
    }
    return Table(source, columns, range(1, table.num_rows + 1))


def _plain_name(name: str, names: Sequence[str]) -> str:
    """Strip the prefixes that a snapshot gives its columns, so that a snapshot is a data file."""
    if "observation_id" in names and name.startswith(("f:", "m:")):
        return name.split(":", 1)[1]
    return name


def _plain(column: pa.ChunkedArray) -> Sequence[Any]:
    if pa.types.is_temporal(column.type) and not pa.types.is_duration(column.type):
        column = column.cast(pa.string())
    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type):
        return [None if value is None or math.isnan(value) else value for value in values]
    return values


_READERS: Mapping[str, Callable[[Path, str], Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".duckdb": _read_duckdb,
    ".db": _read_duckdb,
}
