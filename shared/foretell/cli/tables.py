"""Tables that commands read and write: CSV, Parquet, JSON Lines, by the file's ending."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.disk import naming
from foretell.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from foretell.schema import Schema
    from foretell_trainer.readers import Table

Columns = Mapping[str, Sequence[Any]]


def read_tables(files: Sequence[Path]) -> Table:
    """Return the rows of several files as one table; a column that a file lacks is missing there.

    Raises InvalidInput for a file that cannot be used as a whole.
    """
    from foretell_trainer.readers import Table, read_table

    tables = [read_table(path) for path in files]
    if len(tables) == 1:
        return tables[0]
    names = dict.fromkeys(name for table in tables for name in table.columns)
    columns = {
        name: [cell for t in tables for cell in t.columns.get(name, [None] * len(t))]
        for name in names
    }
    return Table(
        source=", ".join(table.source for table in tables),
        columns=columns,
        lines=[line for table in tables for line in table.lines],
        rejected=tuple(row for table in tables for row in table.rejected),
    )


def absent_columns(schema: Schema, columns: Columns) -> list[str]:
    """Return the columns of the schema's features that a table does not have."""
    from foretell.table_columns import columns_by_name

    found = columns_by_name(schema, columns)
    return [
        feature.source_column
        for feature in schema.features
        if feature.derive is None and feature.name not in found
    ]


def warn_of_absent(absent: Sequence[str]) -> None:
    """Say on standard error that features are taken as missing throughout."""
    if absent:
        click.echo(f"columns that the files lack, taken as missing: {', '.join(absent)}", err=True)


def check_writable(path: Path) -> None:
    """Raise InvalidInput when a table cannot be written there, before any work is done."""
    if path.suffix.lower() not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise InvalidInput([Violation("--out", str(path), f"{path} must end in one of {known}")])
    if not path.parent.is_dir():
        raise InvalidInput([Violation("--out", str(path), f"there is no folder {path.parent}")])


def write_table(path: Path, columns: Columns) -> None:
    """Write columns to a file by its ending; the file appears when it is complete."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with naming(path):
            _WRITERS[path.suffix.lower()](beside, columns)
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _write_csv(path: Path, columns: Columns, delimiter: str = ",") -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([_csv_cell(value) for value in row])


def _csv_cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _write_tsv(path: Path, columns: Columns) -> None:
    _write_csv(path, columns, delimiter="\t")


def _write_jsonl(path: Path, columns: Columns) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in zip(*columns.values(), strict=True):
            entry = dict(zip(columns, row, strict=True))
            file.write(json.dumps(entry, default=str, ensure_ascii=False) + "\n")


def _write_parquet(path: Path, columns: Columns) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {name: _arrow(pa, values) for name, values in columns.items()}
    pq.write_table(pa.table(arrays), path)


def _arrow(pa: Any, values: Sequence[Any]) -> Any:  # noqa: ANN401 -- pyarrow has no types
    """Return a column as Arrow; texts of a CSV file that are all numbers become numbers."""
    if all(value is None or isinstance(value, str) for value in values):
        for convert in (int, float):
            numbers = _converted(values, convert)
            if numbers is not None:
                return pa.array(numbers)
        return pa.array(values, type=pa.string())
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])


def _converted(
    values: Sequence[str | None], convert: Callable[[str], int | float]
) -> list[int | float | None] | None:
    """Return texts as numbers, None if one of them is none, or would be written differently."""
    found: list[int | float | None] = []
    for text in values:
        if text is None or text == "":
            found.append(None)
            continue
        try:
            number = convert(text)
        except ValueError:
            return None
        if isinstance(number, int) and str(number) != text:
            return None
        if isinstance(number, float) and text[:1] == "0" and text[1:2].isdigit():
            return None  # 007 is a name
        found.append(number)
    return found if any(number is not None for number in found) else None


_WRITERS: Mapping[str, Callable[[Path, Columns], None]] = {
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".jsonl": _write_jsonl,
    ".ndjson": _write_jsonl,
    ".parquet": _write_parquet,
}
