"""Few rows of a table, encoded one by one: an array costs more than what is computed in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from foretell.columns import MISSING, Coded, Column
from foretell.encoding import EncodedRow, Encoder
from foretell.errors import InvalidInput


def encode_few(
    encoder: Encoder, columns: Mapping[str, Column], rows: int
) -> list[EncodedRow] | None:
    """Return the rows that `Encoder.encode_columns` would, in plain numbers.

    None where something is wrong or unusual: only the columns as a whole tell what it is.
    """
    cells = [_cells(encoder, name, column) for name, column in columns.items()]
    if not cells or any(len(column) != rows for column in cells):
        return None
    try:
        return [
            encoder.encode_row(dict(zip(columns, row, strict=True)))
            for row in zip(*cells, strict=True)
        ]
    except InvalidInput:
        return None


def _cells(encoder: Encoder, name: str, column: Column) -> list[Any]:
    """Return a column's values, None for missing; empty if they mean another thing alone."""
    if isinstance(column, Coded):
        values, indices = (*column.values, None), column.indices.tolist()
        if min(indices, default=MISSING) < MISSING or max(indices, default=0) >= len(values) - 1:
            return []
        return [values[index] for index in indices]
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        return column.tolist() if encoder.number_slot(name) is not None else []
    return []
