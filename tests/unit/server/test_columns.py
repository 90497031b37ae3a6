"""Packed columns: what is written in either form comes back."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.columns import Coded
from foretell.errors import InvalidInput
from foretell.v1 import common_pb2
from foretell_server.converters.columns import columns_of, put_flags, put_numbers

Floats = st.lists(st.floats(allow_nan=False), min_size=1, max_size=50)


@given(Floats, st.booleans())
def test_numbers_round_trip(values: list[float], raw: bool) -> None:
    """Numbers written in either form are read bit by bit as they were."""
    message = common_pb2.Column(name="x")
    put_numbers(message.numbers, np.array(values), raw=raw)
    column = columns_of([message], len(values))["x"]
    assert isinstance(column, np.ndarray)
    np.testing.assert_array_equal(column, np.array(values))


@given(st.lists(st.booleans(), min_size=1, max_size=50), st.booleans())
def test_flags_round_trip(values: list[bool], raw: bool) -> None:
    """Flags written in either form are read as they were."""
    message = common_pb2.Column(name="x")
    put_flags(message.flags, np.array(values), raw=raw)
    column = columns_of([message], len(values))["x"]
    assert isinstance(column, np.ndarray)
    assert column.tolist() == values


@given(st.lists(st.tuples(st.floats(), st.booleans()), min_size=1, max_size=50))
def test_validity_masks(cells: list[tuple[float, bool]]) -> None:
    """Exactly the rows whose bit is 0 are masked, whatever their value is."""
    values, valid = zip(*cells, strict=True)
    message = common_pb2.Column(name="x", numbers=common_pb2.Numbers(values=values))
    message.validity = np.packbits(np.array(valid), bitorder="little").tobytes()
    column = columns_of([message], len(values))["x"]
    assert isinstance(column, np.ma.MaskedArray)
    assert np.ma.getmaskarray(column).tolist() == [not bit for bit in valid]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=50), st.booleans())
def test_texts_are_looked_up(indices: list[int], raw: bool) -> None:
    """Texts are what the dictionary has at their index."""
    names = ("a", "b", "c")
    texts = common_pb2.Texts(dictionary=names)
    if raw:
        texts.raw_indices = np.array(indices, dtype="<u4").tobytes()
    else:
        texts.indices.extend(indices)
    column = columns_of([common_pb2.Column(name="x", texts=texts)], len(indices))["x"]
    assert isinstance(column, Coded)
    assert list(column) == [names[i] for i in indices]


@given(st.binary(max_size=300), st.integers(0, 40))
def test_random_bytes_never_crash(payload: bytes, rows: int) -> None:
    """Whatever a column holds, it is read or refused with a violation."""
    for name in ("numbers", "texts", "flags"):
        message = common_pb2.Column(name="x", validity=payload[:7])
        part = getattr(message, name)
        if name == "texts":
            part.raw_indices = payload
        else:
            part.raw = payload
        with suppress(InvalidInput):
            columns_of([message], rows)


def test_index_beyond_the_dictionary_names_the_row() -> None:
    """An index that the dictionary does not have is refused, unless its row is missing."""
    texts = common_pb2.Texts(dictionary=["a"], indices=[0, 7])
    message = common_pb2.Column(name="x", texts=texts)
    with pytest.raises(InvalidInput, match="row 1 has index 7"):
        columns_of([message], 2)
    message.validity = b"\x01"
    assert list(columns_of([message], 2)["x"]) == ["a", None]
