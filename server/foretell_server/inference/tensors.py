"""Tensors: from the columns of a request to arrays, and from arrays to those of an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretell.columns import Coded, Column
from foretell.errors import InvalidInput, Violation
from foretell_server.inference import service_pb2 as pb

_LENGTH_BYTES = 4

_RAW: Mapping[str, str] = {
    "BOOL": "u1",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "BF16": "<u2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""How the numbers of each datatype lie in bytes."""

_TYPED: Mapping[str, tuple[str, str]] = {
    "BOOL": ("bool_contents", "?"),
    **dict.fromkeys(("INT8", "INT16", "INT32"), ("int_contents", "<i4")),
    "INT64": ("int64_contents", "<i8"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), ("uint_contents", "<u4")),
    "UINT64": ("uint64_contents", "<u8"),
    "FP32": ("fp32_contents", "<f4"),
    "FP64": ("fp64_contents", "<f8"),
}
"""Which field of InferTensorContents holds each datatype."""

DATATYPES = (*_RAW, "BYTES")


def columns_of(request: pb.ModelInferRequest, *, nan_is_missing: bool) -> dict[str, Column]:
    """Return the inputs by name; InvalidInput names each that is malformed."""
    raw = _raw_contents(request)
    columns: dict[str, Column] = {}
    violations: list[Violation] = []
    for i, tensor in enumerate(request.inputs):
        try:
            if tensor.name in columns:
                raise ValueError("is there twice")
            column = _column(tensor, None if raw is None else raw[i])
            if len(column) != rows_of(tensor):
                raise ValueError(f"has {len(column)} values for {rows_of(tensor)} rows")
            columns[tensor.name] = _masked(column) if nan_is_missing else column
        except ValueError as error:
            violations.append(Violation(f"inputs[{tensor.name}]", "", str(error)))
    if violations:
        raise InvalidInput(violations)
    return columns


def rows_of(tensor: pb.ModelInferRequest.InferInputTensor) -> int:
    """Return how many rows a tensor has; ValueError unless its shape is [n] or [n, 1]."""
    shape = tuple(tensor.shape)
    if len(shape) not in (1, 2) or shape[0] < 0 or shape[1:] not in ((), (1,)):
        raise ValueError(f"has the shape {list(shape)}; [rows] and [rows, 1] are allowed")
    return shape[0]


def put_typed(contents: pb.InferTensorContents, values: NDArray[Any] | Sequence[str]) -> str:
    """Write an output in the field of its type, and return its datatype."""
    if not isinstance(values, np.ndarray):
        contents.bytes_contents.extend(text.encode() for text in values)
        return "BYTES"
    if values.dtype == np.bool_:
        contents.bool_contents.extend(values.tolist())
        return "BOOL"
    contents.fp64_contents.extend(values.tolist())
    return "FP64"


def raw_of(values: NDArray[Any] | Sequence[str]) -> tuple[str, bytes]:
    """Return an output's datatype, and its values as bytes."""
    if not isinstance(values, np.ndarray):
        texts = [text.encode() for text in values]
        return "BYTES", b"".join(len(t).to_bytes(_LENGTH_BYTES, "little") + t for t in texts)
    if values.dtype == np.bool_:
        return "BOOL", values.tobytes()
    return "FP64", values.astype("<f8", copy=False).tobytes()


def _raw_contents(request: pb.ModelInferRequest) -> Sequence[bytes] | None:
    raw = request.raw_input_contents
    if not raw:
        return None
    if len(raw) != len(request.inputs):
        message = f"has {len(raw)} entries for {len(request.inputs)} inputs; each needs its own"
        raise InvalidInput([Violation("raw_input_contents", str(len(raw)), message)])
    return raw


def _column(tensor: pb.ModelInferRequest.InferInputTensor, raw: bytes | None) -> Column:
    kind = tensor.datatype
    if kind not in DATATYPES:
        raise ValueError(f"has the datatype {kind!r}; allowed: {', '.join(DATATYPES)}")
    if "shared_memory_region" in tensor.parameters:
        raise ValueError("lies in shared memory, which this server does not read")
    if raw is not None and tensor.HasField("contents"):
        raise ValueError("has both contents and raw_input_contents; one is allowed")
    if kind == "BYTES":
        return _texts(list(tensor.contents.bytes_contents) if raw is None else _split(raw))
    if raw is not None:
        return _from_bytes(kind, raw)
    if kind not in _TYPED:
        raise ValueError(f"has the datatype {kind}, which travels in raw_input_contents alone")
    field, dtype = _TYPED[kind]
    return np.array(getattr(tensor.contents, field)[:], dtype=dtype)


def _from_bytes(kind: str, raw: bytes) -> NDArray[Any]:
    dtype = np.dtype(_RAW[kind])
    if len(raw) % dtype.itemsize:
        raise ValueError(f"has {len(raw)} bytes, which is no multiple of {dtype.itemsize}")
    values = np.frombuffer(raw, dtype=dtype)
    if kind == "BOOL":
        if values.size and values.max() > 1:
            raise ValueError("has a BOOL that is neither 0 nor 1")
        return values.astype(np.bool_)
    if kind == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values


def _split(raw: bytes) -> list[bytes]:
    """Return the texts that follow their lengths."""
    found: list[bytes] = []
    at, end = 0, len(raw)
    while at < end:
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(raw[at:begin], "little")
        if at > end or begin > end:
            raise ValueError(f"ends within text {len(found)}")
        found.append(raw[begin:at])
    return found


def _texts(values: Sequence[bytes]) -> Coded:
    index: dict[bytes, int] = {}
    get: Callable[[bytes, int], int] = index.setdefault
    codes = np.fromiter((get(v, len(index)) for v in values), np.int64, count=len(values))
    try:
        return Coded(tuple(value.decode() for value in index), codes)
    except UnicodeDecodeError:
        raise ValueError("has a text that is not UTF-8") from None


def _masked(column: Column) -> Column:
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        return np.ma.masked_array(column, mask=np.isnan(column))
    return column
