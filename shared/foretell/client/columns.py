"""Columns on the wire: features packed for PredictBatch, its answers unpacked into arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.errors import ForetellError, InvalidInput, Violation
from foretell.v1 import common_pb2

Table = Mapping[str, Sequence[Any] | NDArray[Any]] | Sequence[Mapping[str, Any]]
"""Many items: a mapping of columns, or a list of one mapping per item."""

# Well under the 4 MiB that a gRPC server takes unless it was told otherwise.
CHUNK_BYTES = 2 * 1024 * 1024
CHUNK_ROWS = 8192


@dataclass(frozen=True, slots=True, eq=False)
class PackedColumn:
    """One feature of all rows, ready to be cut into messages."""

    name: str
    values: NDArray[Any]
    """float64 for numbers, bool for flags, indices into `dictionary` for texts."""
    dictionary: NDArray[np.object_] | None
    valid: NDArray[np.bool_] | None
    """Which rows have a value; None if all have."""

    def message(self, rows: slice) -> common_pb2.Column:
        """Return the column of some of the rows."""
        values = self.values[rows]
        column = common_pb2.Column(name=self.name)
        if self.dictionary is not None:
            used, indices = np.unique(values, return_inverse=True)
            column.texts.dictionary.extend(self.dictionary[used])
            column.texts.raw_indices = indices.astype("<u4").tobytes()
        elif values.dtype == np.bool_:
            column.flags.raw = values.tobytes()
        else:
            column.numbers.raw = values.astype("<f8", copy=False).tobytes()
        if self.valid is not None:
            column.validity = np.packbits(self.valid[rows], bitorder="little").tobytes()
        return column


def pack(table: Table) -> tuple[list[PackedColumn], int]:
    """Return the columns of a table, and how many rows they have.

    None is a missing value, and so is what a numpy mask hides. NaN is not: the server refuses
    it, because it is more often a mistake than a statement; `numpy.ma.masked_invalid` says
    that it is meant. InvalidInput names each column that cannot be sent.
    """
    columns = table if isinstance(table, Mapping) else _columns_of(table)
    lengths = {name: len(column) for name, column in columns.items()}
    rows = max(lengths.values(), default=0)
    violations = [
        Violation(f"columns[{name}]", str(length), f"has {length} rows where others have {rows}")
        for name, length in lengths.items()
        if length != rows
    ]
    packed = []
    for name, column in columns.items():
        try:
            ready = _pack(name, column)
            if ready.valid is None or ready.valid.any():  # else no row has it: as if left out
                packed.append(ready)
        except (TypeError, ValueError, OverflowError) as error:
            violations.append(Violation(f"columns[{name}]", type(column).__name__, str(error)))
    if violations:
        raise InvalidInput(violations)
    return packed, rows


def chunks(columns: Sequence[PackedColumn], rows: int, most: int = CHUNK_ROWS) -> list[slice]:
    """Cut the rows so that each message stays small; no rows are one empty chunk."""
    row_bytes = sum(1 if c.values.dtype == np.bool_ else 8 for c in columns)
    size = max(1, min(most, CHUNK_BYTES // max(1, row_bytes)))
    return [slice(i, min(i + size, rows)) for i in range(0, max(rows, 1), size)]


def numbers(message: common_pb2.Numbers, rows: int) -> NDArray[np.float64]:
    """Return a column of an answer; ForetellError if it has another number of rows."""
    if message.raw:
        values = np.frombuffer(message.raw, dtype="<f8").astype(np.float64, copy=False)
    else:
        values = np.array(message.values, dtype=np.float64)
    if len(values) != rows:
        raise ForetellError(f"the server sent a column of {len(values)} rows instead of {rows}")
    return values


def flags(message: common_pb2.Flags, rows: int) -> NDArray[np.bool_]:
    """Return a column of flags; an empty one is all false."""
    if message.raw:
        return np.frombuffer(message.raw, dtype=np.uint8).astype(np.bool_)
    return np.array(message.values or [False] * rows, dtype=np.bool_)


def _columns_of(items: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for item in items for name in item)
    return {name: [item.get(name) for item in items] for name in names}


def _pack(name: str, column: Sequence[Any] | NDArray[Any]) -> PackedColumn:
    if isinstance(column, np.ma.MaskedArray):
        valid = ~np.ma.getmaskarray(column)
        packed = _pack(name, np.ma.getdata(column))
        return PackedColumn(name, packed.values, packed.dictionary, None if valid.all() else valid)
    if hasattr(column, "__array__"):  # numpy itself, and the columns of data frames
        array = np.asarray(column)
        if array.dtype.kind in "fiu":
            return PackedColumn(name, array.astype(np.float64, copy=False), None, None)
        if array.dtype.kind == "b":
            return PackedColumn(name, array, None, None)
        return _pack_values(name, array.tolist())
    return _pack_values(name, list(column))


def _pack_values(name: str, values: list[Any]) -> PackedColumn:
    kinds = set(map(type, values)) - {type(None)}
    valid = None if None not in values else np.array([v is not None for v in values])
    present = values if valid is None else [v for v in values if v is not None]
    if all(issubclass(kind, str) for kind in kinds) and kinds:
        dictionary = np.array(list(dict.fromkeys(present)), dtype=np.object_)
        place = {text: i for i, text in enumerate(dictionary)}
        indices = np.fromiter((place.get(v, 0) for v in values), np.uint32, count=len(values))
        return PackedColumn(name, indices, dictionary, valid)
    if kinds == {bool}:
        return PackedColumn(name, np.array([bool(v) for v in values]), None, valid)
    if all(issubclass(kind, int | float | np.number) and kind is not bool for kind in kinds):
        filled = [0.0 if v is None else float(v) for v in values]
        return PackedColumn(name, np.array(filled, dtype=np.float64), None, valid)
    mixed = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise TypeError(f"holds {mixed}; a column is all numbers, all texts or all flags")
