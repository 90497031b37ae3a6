"""Packed columns: from messages to arrays and back, without a loop over values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.columns import MISSING, Coded, Column, Flags
from foretell.errors import InvalidInput, Violation
from foretell.v1 import common_pb2


def columns_of(messages: Iterable[common_pb2.Column], rows: int) -> dict[str, Column]:
    """Return packed columns by name; InvalidInput names every column that is malformed."""
    columns: dict[str, Column] = {}
    violations: list[Violation] = []
    for message in messages:
        field = f"columns[{message.name}]"
        try:
            if message.name in columns:
                raise ValueError("is there twice")
            columns[message.name] = _column(message, rows)
        except ValueError as error:
            violations.append(Violation(field, "", str(error)))
    if violations:
        raise InvalidInput(violations)
    return columns


def put_numbers(message: common_pb2.Numbers, values: NDArray[np.float64], *, raw: bool) -> None:
    """Write a column of numbers in the form asked for."""
    if raw:
        message.raw = values.astype("<f8", copy=False).tobytes()
    else:
        message.values.extend(values.tolist())


def put_flags(message: common_pb2.Flags, values: Flags, *, raw: bool) -> None:
    """Write a column of flags in the form asked for."""
    if raw:
        message.raw = values.tobytes()
    else:
        message.values.extend(values.tolist())


def _column(message: common_pb2.Column, rows: int) -> Column:
    kind = message.WhichOneof("values")
    if kind == "texts":
        return _texts(message, rows)
    if kind == "numbers":
        sent = message.numbers
        values = _one_form(sent.values, sent.raw, "<f8")
    elif kind == "flags":
        values = _one_form(message.flags.values, message.flags.raw, "u1")
        if values.size and values.max() > 1:
            raise ValueError("a flag is 0 or 1")
        values = values.astype(np.bool_)
    else:
        raise ValueError("holds no values that this server knows")
    valid = _validity(message, rows, len(values))
    # A mask, not NaN, says missing: NaN where the row has a value is refused.
    return values if valid is None else np.ma.masked_array(values, mask=~valid)


def _texts(message: common_pb2.Column, rows: int) -> Coded:
    sent = message.texts
    indices = _one_form(sent.indices, sent.raw_indices, "<u4").astype(np.int64)
    valid = _validity(message, rows, len(indices))
    if valid is not None:
        indices[~valid] = MISSING
    if indices.size and indices.max() >= len(sent.dictionary):
        row = int((indices >= len(sent.dictionary)).argmax())
        raise ValueError(
            f"row {row} has index {indices[row]} into a dictionary of {len(sent.dictionary)}"
        )
    return Coded(tuple(sent.dictionary), indices)


def _one_form(listed: Any, raw: bytes, dtype: str) -> NDArray[Any]:  # noqa: ANN401
    """Return the values of a column that is written as a list or as bytes, not as both."""
    if not raw:
        return np.array(listed[:], dtype=dtype)
    if listed:
        raise ValueError("is filled in two forms; only one is allowed")
    width = np.dtype(dtype).itemsize
    if len(raw) % width:
        raise ValueError(f"has {len(raw)} bytes, which is no multiple of {width}")
    return np.frombuffer(raw, dtype=dtype)


def _validity(message: common_pb2.Column, rows: int, length: int) -> Flags | None:
    if not message.validity:
        return None
    if length != rows:
        raise ValueError(f"has {length} values for {rows} rows")
    if len(message.validity) != (rows + 7) // 8:
        have, want = len(message.validity), (rows + 7) // 8
        raise ValueError(f"has {have} bytes of validity; {rows} rows need {want}")
    bits = np.frombuffer(message.validity, dtype=np.uint8)
    return np.unpackbits(bits, count=rows, bitorder="little").astype(np.bool_)
